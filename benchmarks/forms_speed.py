"""Time of a bundle's network on one input in every form that it can be run in.

``python -m benchmarks.forms_speed BUNDLE_FOLDER [--forms eager compiled torchscript onnx tensorrt] [--batch 1]
[--size 256 256] [--device cuda] [--repeats 9] [--threads N] [--out FOLDER] [--quick]``

- ``eager``: the network of ``inference.json`` with the shipped weights.
- ``compiled``: the same under ``torch.compile``.
- ``torchscript`` and ``onnx``: what ``python -m shared_networks.export`` writes; ONNX runs in ONNX Runtime, with CUDA
  where its build has it, and is given the input from main memory and returns the output to it.
- ``tensorrt``: the network of ``inference.json`` with the overlay ``inference_trt.json``; it needs a CUDA device. The
  engine is built before the first timing, and its file stays beside the weights.

The input is uniform noise: the window of RMR-Fusion, one or more pictures for GeSeNet. The forms take turns. Writes
``forms_speed.json`` and ``.md``.
"""

import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import torch
from monai.bundle import ConfigParser

from benchmarks.gesenet_speed import seconds_in_turns
from benchmarks.machine import hardware
from benchmarks.report import write_report
from benchmarks.study_options import parse_timing, timing_parser
from shared_networks.errors import InputError
from shared_networks.export import export_bundle
from shared_networks.utils import missing_for_tensorrt
from shared_networks.utils.bundle_network import load_network, read_inference_config, read_metadata

__all__ = ["main", "prepare"]

FORMS = ("eager", "compiled", "torchscript", "onnx", "tensorrt")


def prepare(form: str, bundle: Path, device: torch.device, folder: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """Make one form of the network.

    Args:
        form: one of :data:`FORMS`.
        bundle: its folder.
        device: where the network runs.
        folder: takes the exported files.

    Returns:
        A function from the input, on ``device``, to the output.

    Raises:
        InputError: when the machine lacks what the form needs.
    """
    if form in ("eager", "compiled"):
        network = load_network(bundle).to(device)
        return torch.compile(network) if form == "compiled" else network
    if form == "tensorrt":
        return _tensorrt(bundle, device)
    (path,) = export_bundle(bundle, folder, [form])
    if form == "torchscript":
        return torch.jit.load(str(path), map_location=device).eval()
    onnxruntime = import_module("onnxruntime")
    wanted = ["CUDAExecutionProvider", "CPUExecutionProvider"] if device.type == "cuda" else ["CPUExecutionProvider"]
    providers = [provider for provider in wanted if provider in onnxruntime.get_available_providers()]
    session = onnxruntime.InferenceSession(str(path), providers=providers)
    return lambda image: torch.from_numpy(session.run(None, {"image": image.cpu().numpy()})[0])


def _tensorrt(bundle: Path, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
    if missing := missing_for_tensorrt(device):
        raise InputError(f"tensorrt needs {', and '.join(missing)}; leave it out of --forms.")
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / f"{name}.json") for name in ("inference", "inference_trt")])
    # A form that silently fell back to PyTorch would be timed as TensorRT.
    parser.update({"bundle_root": str(bundle), "device": str(device), "trt_args#fallback": False})
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(load_network(bundle).state_dict())
    # What the overlay makes the inferer ask for; GeSeNet's engine always has the masks.
    options = {"return_masks": True} if "inferer#return_masks" in parser else {}
    return lambda image: network(image, **options)


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = timing_parser("forms_speed", "one tiny picture, once", "cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS[:-1]))
    parser.add_argument("--batch", type=int, default=1, help="pictures at a time; a window is always alone")
    parser.add_argument("--size", type=int, nargs="+", default=[256, 256], help="where the bundle has no window")
    parser.add_argument("--repeats", type=int, default=9)
    given = parse_timing(parser, arguments)
    if given.quick:
        given.size, given.repeats = [16, 16], 1
    bundle, device = given.bundle.resolve(), torch.device(given.device)
    config, (source,) = read_inference_config(bundle), read_metadata(bundle)["network_data_format"]["inputs"].values()
    window = config.get_parsed_content("roi_size") if "roi_size" in config else None
    shape = [1, source["num_channels"], *window] if window else [given.batch, source["num_channels"], *given.size]
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device)
    with tempfile.TemporaryDirectory() as folder:
        calls = {form: prepare(form, bundle, device, Path(folder)) for form in given.forms}
    expected = load_network(bundle).to(device)(image)
    channels = expected.shape[1]
    differences = {
        form: (call(image).to(device)[:, :channels] - expected).abs().max().item() for form, call in calls.items()
    }
    timed = {form: (lambda call=call: call(image)) for form, call in calls.items()}
    seconds = seconds_in_turns(timed, given.repeats, device)
    facts = {
        "hardware": hardware(given.device),
        "torch": torch.__version__,
        "bundle": bundle.name,
        "shape": shape,
        "forms": {form: {"seconds": seconds[form], "largest_difference": differences[form]} for form in calls},
    }
    return write_report("forms_speed", given.out, arguments, facts, table)


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    lines = ["| form | ms | largest difference |", "|---|---|---|"]
    for name, form in result["forms"].items():
        lines.append(f"| {name} | {1000 * form['seconds']:.1f} | {form['largest_difference']:.1e} |")
    lines += [
        "",
        f"{result['bundle']}, input {' x '.join(map(str, result['shape']))}; median; the difference is to the eager "
        f"network. `{result['command']}` ({result['date']}, {result['hardware']}, torch {result['torch']})",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(main()))
