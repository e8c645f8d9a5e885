"""Map checkpoints that the papers' authors released onto the networks of this package.

``python -m shared_networks.convert gesenet RELEASED.pth OUT.pt``
"""

import sys

import torch

from shared_networks.errors import InputError
from shared_networks.nets.gesenet import GeSeNet
from shared_networks.utils.weights import read_weights

# released branch prefix -> ours: the released "inf" branch takes the MRI, "vis" the other picture.
_BRANCHES = {"inf": "mri", "vis": "other"}
_BRANCH_PARTS = {
    "conv.conv": "stem.0",
    "eem.dense.conv1.conv": "edge.dense1",
    "eem.dense.conv2.conv": "edge.dense2",
    "eem.convdown.conv": "edge.dense_projection",
    "eem.sobelconv.convx": "edge.gradient_filter.horizontal",
    "eem.sobelconv.convy": "edge.gradient_filter.vertical",
    "eem.convup.conv": "edge.gradient_projection",
    "rmm.spa_mask.0": "mask.generator.reduce.0",
    "rmm.spa_mask.3": "mask.generator.reduce.3",
    "rmm.spa_mask.5": "mask.generator.upsample",
    "rmm.body.ch_mask": "mask.convolution.channel_mask",
    "rmm.body.body.0": "mask.convolution.convolutions.0",
    "rmm.body.body.1": "mask.convolution.convolutions.1",
    "rmm.body.body.2": "mask.convolution.convolutions.2",
    "rmm.body.body.3": "mask.convolution.convolutions.3",
    "rmm.body.collect": "mask.convolution.collect",
    "rmm.ca.conv_du.0": "mask.attention.weigh.1",
    "rmm.ca.conv_du.2": "mask.attention.weigh.3",
}
_SHARED_PARTS = {
    "sft.SFT_scale_conv0": "refinement.scale.0",
    "sft.SFT_scale_conv1": "refinement.scale.2",
    "sft.SFT_shift_conv0": "refinement.shift.0",
    "sft.SFT_shift_conv1": "refinement.shift.2",
    "sft.SFT2": "refinement.merge.0",
    "decoder2.conv": "decoder.0",
    "decoder1.conv": "decoder.2",
}
# The released forward pass never calls this batch normalisation.
_UNUSED = tuple(
    f"decoder1.bn.{name}" for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
)


def _gesenet_names() -> dict[str, str]:
    names = dict(_SHARED_PARTS)
    for released, ours in _BRANCHES.items():
        names.update({f"{released}_{part}": f"{ours}.{name}" for part, name in _BRANCH_PARTS.items()})
    return names


def convert_gesenet_state_dict(released: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Rename the tensors (75) of the released GeSeNet checkpoint.

    Returns a state dict that ``GeSeNet()`` loads strictly, and the released keys that it has no use for. Raises
    InputError when a key is missing, unknown, or has another shape than the network's.
    """
    names = _gesenet_names()
    converted: dict[str, torch.Tensor] = {}
    unused, unknown = [], []
    for key, value in released.items():
        part, _, kind = key.rpartition(".")
        if key in names:
            converted[names[key]] = value
        elif part in names:
            converted[f"{names[part]}.{kind}"] = value
        elif key in _UNUSED:
            unused.append(key)
        else:
            unknown.append(key)
    expected = GeSeNet().state_dict()
    missing = sorted(set(expected) - set(converted))
    wrong = sorted(k for k in expected if k in converted and expected[k].shape != converted[k].shape)
    for what, keys in (("unknown keys", unknown), ("missing tensors", missing), ("other shapes", wrong)):
        if keys:
            raise InputError(f"not a released GeSeNet checkpoint: {what}: {', '.join(keys[:5])} ({len(keys)} in all).")
    return converted, unused


def convert_gesenet_checkpoint(source: str, destination: str) -> list[str]:
    """Read the released ``GeSeNet.pth``, write the converted one, and return the unused keys.

    Raises InputError when ``source`` is missing, is no weights-only checkpoint, or does not fit.
    """
    released = read_weights(source)
    if not isinstance(released, dict) or not all(isinstance(v, torch.Tensor) for v in released.values()):
        raise InputError(f"{source}: expected a plain state dict of tensors.")
    converted, unused = convert_gesenet_state_dict(released)
    torch.save(converted, destination)
    return unused


def main(arguments: list[str]) -> str:
    """Run the command line; returns the message to print, raises InputError with a one-line reason."""
    if len(arguments) != 3 or arguments[0] != "gesenet":
        raise InputError("usage: python -m shared_networks.convert gesenet RELEASED.pth OUT.pt")
    unused = convert_gesenet_checkpoint(arguments[1], arguments[2])
    return f"wrote {arguments[2]}; released keys that the network does not use: {', '.join(unused)}"


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except InputError as problem:
        sys.exit(str(problem))
