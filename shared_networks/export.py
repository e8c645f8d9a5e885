"""Write a bundle's network with its shipped weights as TorchScript and ONNX, each checked against the network.

``python -m shared_networks.export BUNDLE_FOLDER [--out dist] [--format torchscript|onnx|all]``

Writes ``<out>/<bundle>_v<version>.ts`` and ``.onnx``. A network that takes any size (GeSeNet) is scripted, and its ONNX
form has free batch and spatial axes. Where ``inference.json`` has a window (``roi_size``: RMR-Fusion, whose Swin blocks
cannot be scripted) it is traced and exported at this window with batch 1, which is what a sliding window needs.
"""

import argparse
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import torch
from monai.data import save_net_with_metadata
from monai.networks.utils import convert_to_onnx, convert_to_torchscript
from torch import nn

from shared_networks.errors import InputError
from shared_networks.utils.atomic import atomic_files
from shared_networks.utils.bundle_network import check_version, load_network, read_inference_config, read_metadata
from shared_networks.utils.optional_packages import missing_packages

FORMATS = {"torchscript": ".ts", "onnx": ".onnx"}
"""Format -> suffix of its file."""

LARGEST_DIFFERENCE = 1e-4
"""What an exported network may differ from the network by, as a share of the larger of 1 and its largest value."""

# Sizes of an example whose axes are free: no two equal, none 1, which an export would take for fixed.
_FREE_SIZES = (32, 48, 40)
# Sizes to compare free axes at: odd, small, and of another batch than the example's two.
_OTHER_SIZES = ((1, 33, 47, 21), (3, 16, 5, 30))


def export_bundle(
    bundle: str | Path, out: str | Path = "dist", formats: Sequence[str] = tuple(FORMATS)
) -> dict[Path, float]:
    """Export the network of a bundle's ``inference.json`` with the weights ``models/model.pt``.

    MONAI's ``ckpt_export`` and ``onnx_export`` use the same converters. They are not used here because they compare at
    the example only, leave a file that failed the comparison, and do not write files atomically.

    Args:
        bundle: folder of the bundle: the repository's, or an unpacked release.
        out: folder of the files, made when missing.
        formats: of :data:`FORMATS`.

    Returns:
        Path of each file and its largest difference to the network, as :data:`LARGEST_DIFFERENCE` has it. The files
        appear together.

    Raises:
        InputError: when the bundle is incomplete, its weights do not fit, a package is missing, a file differs from the
            network by more than :data:`LARGEST_DIFFERENCE`, or ``out`` cannot be written; nothing is written then.
    """
    bundle, out = Path(bundle).resolve(), Path(out)
    needed = {name: name for name in ("onnx", "onnxscript", "onnxruntime")} if "onnx" in formats else {}
    if missing := missing_packages(needed):
        raise InputError(f"ONNX needs packages that are not installed: pip install {' '.join(missing)}")
    metadata = read_metadata(bundle)
    check_version(bundle, metadata)
    network = load_network(bundle)
    example, *others = _inputs(bundle)
    paths = [out / f"{bundle.name}_v{metadata['version']}{FORMATS[name]}" for name in formats]
    differences = []
    try:
        with atomic_files(out, [path.name for path in paths]) as temporaries:
            for name, temporary in zip(formats, temporaries, strict=True):
                save, load = _WAYS[name]
                save(network, example, bundle, temporary)
                differences.append(_largest_difference(network, load(temporary), others))
                # Not `>`: a difference of NaN is refused too.
                if not differences[-1] <= LARGEST_DIFFERENCE:
                    raise InputError(
                        f"{bundle}: {name} differs from the network by {differences[-1]:.1e}, more than "
                        f"{LARGEST_DIFFERENCE:.0e}; nothing was written: try another version of PyTorch or of {name}."
                    )
    except OSError as error:
        raise InputError(
            f"{out}: cannot be written ({error.strerror or error}); give another folder by --out."
        ) from error
    return dict(zip(paths, differences, strict=True))


def _window(bundle: Path) -> list[int] | None:
    """The window of ``inference.json``, if it has one: the size that the exported network is made for."""
    config = read_inference_config(bundle)
    if "roi_size" not in config:
        return None
    window = config.get_parsed_content("roi_size")
    if min(window) < 1:
        raise InputError(f"{bundle}: roi_size is {window} in inference.json; an export needs a window of fixed size.")
    return window


def _inputs(bundle: Path) -> list[torch.Tensor]:
    """An example to export with, then images to compare with, uniform in [0, 1]."""
    (image,) = read_metadata(bundle)["network_data_format"]["inputs"].values()
    window, axes = _window(bundle), len(image["spatial_shape"])
    sizes = [(2, *_FREE_SIZES[:axes]), *((batch, *size[:axes]) for batch, *size in _OTHER_SIZES)]
    if window is not None:
        sizes = [(1, *window)] * 2
    random = torch.Generator().manual_seed(0)
    return [torch.rand(batch, image["num_channels"], *size, generator=random) for batch, *size in sizes]


def _save_torchscript(network: nn.Module, example: torch.Tensor, bundle: Path, path: Path) -> None:
    """With metadata and ``inference.json`` inside, as ``monai.bundle.ckpt_export`` has it."""
    if _window(bundle) is None:
        made = convert_to_torchscript(network)
    else:
        with warnings.catch_warnings():
            # A trace warns of every size that it takes for fixed; here they are meant to be.
            warnings.simplefilter("ignore")
            made = convert_to_torchscript(network, inputs=example, use_trace=True, check_trace=False)
    config = (bundle / "configs" / "inference.json").read_bytes()
    save_net_with_metadata(
        made,
        str(path),
        include_config_vals=False,
        meta_values=read_metadata(bundle),
        more_extra_files={"inference.json": config},
    )


def _save_onnx(network: nn.Module, example: torch.Tensor, bundle: Path, path: Path) -> None:
    """In one file, with name and version of the bundle among its properties."""
    free = {axis: torch.export.Dim.DYNAMIC for axis in range(example.ndim) if axis != 1}
    # The exporter tells of packages that it could use and of every step.
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        made = convert_to_onnx(
            network,
            [example],
            filename=str(path),
            input_names=["image"],
            output_names=["pred"],
            dynamo=True,
            dynamic_shapes=(free,) if _window(bundle) is None else None,
            external_data=False,
            verbose=False,
        )
    finally:
        exporter.setLevel(level)
    onnx, metadata = import_module("onnx"), read_metadata(bundle)
    onnx.helper.set_model_props(made, {name: metadata[name] for name in ("name", "version")})
    onnx.save(made, str(path))


def _load_torchscript(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    return torch.jit.load(str(path)).eval()


def _load_onnx(path: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    onnxruntime = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda image: torch.from_numpy(session.run(["pred"], {"image": image.numpy()})[0])


_WAYS = {"torchscript": (_save_torchscript, _load_torchscript), "onnx": (_save_onnx, _load_onnx)}


@torch.no_grad()
def _largest_difference(
    network: nn.Module, exported: Callable[[torch.Tensor], torch.Tensor], images: Sequence[torch.Tensor]
) -> float:
    # Logits reach some tens, and single precision has seven digits.
    pairs = [(exported(image), network(image)) for image in images]
    shares = [(made - right).abs().max() / right.abs().max().clamp(min=1) for made, right in pairs]
    return torch.stack(shares).max().item()


def main(arguments: Sequence[str] | None = None) -> dict[Path, float]:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m shared_networks.export", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the files")
    parser.add_argument("--format", choices=[*FORMATS, "all"], default="all")
    given = parser.parse_args(arguments)
    return export_bundle(given.bundle, given.out, tuple(FORMATS) if given.format == "all" else (given.format,))


if __name__ == "__main__":
    try:
        for file, difference in main().items():
            print(f"{file} (largest difference to the network {difference:.1e})")
    except InputError as problem:
        sys.exit(f"error: {problem}")
