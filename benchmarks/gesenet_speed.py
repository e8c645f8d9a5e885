"""Time and memory of GeSeNet's inference forms against the arithmetic floor of the machine.

``python -m benchmarks.gesenet_speed [--pairs FOLDER] [--released CONVERTED.pt] [--sizes 256 1024] [--batches 1 16]
[--volume MRI OTHER] [--device cpu] [--dtype float32] [--threads N] [--compile] [--out FOLDER] [--quick]``

The floor is the number of multiply-adds of the network with every pixel principal, divided by the rate that one
3x3 convolution of 32 to 32 channels reaches in the same process on maps of the same size; the forms are timed in turns
with it, so that a change of the machine's clock meets all of them. Every size and batch has a process of its own for
each form to tell its peak memory. Writes ``gesenet_speed.json`` and ``.md``.
"""

import argparse
import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import GESENET
from benchmarks.bundle_runs import last_line_of
from benchmarks.machine import hardware, peak_memory_of_process, seconds_in_turns, synchronise
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown, markdown_table, write_report
from shared_networks.inferers import BackgroundSkipping, FusionInferer
from shared_networks.nets import GeSeNet
from shared_networks.transforms import LoadFusionPaird
from shared_networks.utils.bundle_network import read_inference_config

FORMS = ("straight", "masked", "sparse", "background skipped")


def load_network(checkpoint: Path, form: str) -> GeSeNet:
    """The network as the bundle configures it, or with the paper's settings for the released weights."""
    parser = read_inference_config(GESENET)
    options = {key: parser.get(key) for key in ("temperature", "mask_upsampling", "output_range")}
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if "mri.mask.generator.upsample.weight" in state:
        options = {}
    network = GeSeNet(**options, inference_form="masked" if form == "background skipped" else form).eval()
    network.load_state_dict(state)
    return network


def load_pairs(folder: Path | None, size: int, batch: int) -> torch.Tensor:
    """Pairs of PNG files (folders ``mri`` and ``other``, equal names), resized to batch x 2 x size x size."""
    folder = GESENET / "sample_data" if folder is None else folder
    paths = sorted((folder / "mri").glob("*.png"))
    step = max(1, len(paths) // batch)
    chosen = [paths[(index * step) % len(paths)] for index in range(batch)]
    load = LoadFusionPaird(keys="image")
    images = []
    for path in chosen:
        item = load({"case": path.stem, "image": [str(path), str(folder / "other" / path.name)]})
        images.append(item["image"].as_tensor()[None].contiguous())
    resized = [torch.nn.functional.interpolate(image, (size, size), mode="bilinear") for image in images]
    return torch.cat(resized)


def multiply_adds(network: GeSeNet, image: torch.Tensor) -> int:
    """Multiply-adds of one forward pass in which every pixel is principal and no convolution is done twice."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        all_principal(network)(image)
    return counter.get_total_flops() // 2


def all_principal(network: GeSeNet) -> GeSeNet:
    """A copy of the network whose spatial masks are 1 everywhere."""
    network = copy.deepcopy(network)
    for branch in (network.mri, network.other):
        upsample = branch.mask.generator.upsample
        last = upsample[1] if isinstance(upsample, torch.nn.Sequential) else upsample
        with torch.no_grad():
            last.bias.copy_(torch.tensor([-1e4, 1e4]))
    return network


@torch.no_grad()
def measure(given: argparse.Namespace, checkpoint: Path, size: int, batch: int) -> dict:
    """Time, difference and memory of every form for one size and batch.

    ``floor_seconds``, ``principal_share`` and, for every form, ``seconds``, ``times_the_floor``, ``largest_difference``
    to the straight form (in units of the full range) and ``peak_bytes``.
    """
    device, dtype = torch.device(given.device), getattr(torch, given.dtype)
    image = load_pairs(given.pairs, size, batch).to(device, dtype)
    networks = {form: load_network(checkpoint, form).to(device, dtype) for form in FORMS}
    if device.type == "cuda":
        networks = {form: network.to(memory_format=torch.channels_last) for form, network in networks.items()}
    calls: dict[str, Callable] = dict(networks)
    calls["background skipped"] = BackgroundSkipping(networks["background skipped"])
    if given.compile:
        calls["masked, compiled"] = torch.compile(networks["masked"])
    calls["masked, all principal"] = all_principal(networks["masked"])
    total = multiply_adds(load_network(checkpoint, "masked"), torch.rand(1, 2, 64, 64)) * batch * (size / 64) ** 2

    expected = calls["straight"](image, return_masks=True)
    differences = {name: (call(image) - expected[:, :1]).abs().max().item() for name, call in calls.items()}
    layout = {"device": device, "dtype": dtype, "memory_format": torch.channels_last}
    convolution = torch.nn.Conv2d(32, 32, 3, padding=1).to(**layout)
    features = torch.rand(batch, 32, size, size).to(**layout)
    timed = {name: (lambda call=call: call(image)) for name, call in calls.items()}
    seconds = seconds_in_turns({"convolution": lambda: convolution(features), **timed}, given.repeats, device)
    floor = total / (features.numel() * 32 * 9 / seconds.pop("convolution"))
    forms = {}
    for name, value in seconds.items():
        peak = None if given.quick or "," in name else _peak(given, checkpoint, size, batch, name)
        forms[name] = {
            "seconds": value,
            "times_the_floor": value / floor,
            "largest_difference": differences[name],
            "peak_bytes": peak,
        }
    return {
        "size": size,
        "batch": batch,
        "weights": checkpoint.name,
        "multiply_adds": int(total),
        "floor_seconds": floor,
        "principal_share": expected[:, 1:].float().mean((0, 2, 3)).tolist(),
        "forms": forms,
    }


@torch.no_grad()
def measure_volume(given: argparse.Namespace) -> dict:
    """Time of a whole volume, slice by slice, with and without its black surroundings."""
    volume = LoadFusionPaird(keys="image")({"case": "volume", "image": [str(path) for path in given.volume]})["image"]
    volume = volume.as_tensor()[None].to(given.device)
    network = load_network(given.checkpoint, "masked").to(given.device)
    seconds, results = {}, {}
    for name, skip in (("whole slices", False), ("background skipped", True)):
        inferer = FusionInferer(skip_background=skip)
        inferer(volume[..., :8], network)
        start = time.perf_counter()
        results[name] = inferer(volume, network)
        synchronise(given.device)
        seconds[name] = time.perf_counter() - start
    difference = (results["whole slices"] - results["background skipped"]).abs()
    return {
        "shape": list(volume.shape[2:]),
        "share_above_0": (volume > 0).any(dim=1).float().mean().item(),
        "seconds": seconds,
        "largest_difference_above_0": difference[(volume > 0).any(dim=1, keepdim=True)].max().item(),
    }


def _peak(given: argparse.Namespace, checkpoint: Path, size: int, batch: int, form: str) -> int:
    """Peak memory of a new process that runs one form once."""
    pairs = [] if given.pairs is None else ["--pairs", str(given.pairs)]
    arguments = [*pairs, "--device", given.device, "--dtype", given.dtype]
    arguments += ["--sizes", str(size), "--batches", str(batch)]
    command = ["-m", "benchmarks.gesenet_speed", "--once", form, "--checkpoint", str(checkpoint)]
    return int(last_line_of([*command, *arguments]))


@torch.no_grad()
def _once(given: argparse.Namespace) -> int:
    device, dtype = torch.device(given.device), getattr(torch, given.dtype)
    network = load_network(given.checkpoint, given.once).to(device, dtype)
    image = load_pairs(given.pairs, given.sizes[0], given.batches[0]).to(device, dtype)
    (BackgroundSkipping(network) if given.once == "background skipped" else network)(image)
    return peak_memory_of_process(device)


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("gesenet_speed", device="cpu", quick="one tiny picture, no memory")
    parser.add_argument("--pairs", type=Path, default=None, help="folder with mri/ and other/; default: the samples")
    parser.add_argument("--released", type=Path, default=None, help="converted released checkpoint, measured too")
    parser.add_argument("--volume", type=Path, nargs=2, default=None, help="a volume pair, timed as a whole")
    parser.add_argument("--checkpoint", type=Path, default=GESENET / "models" / "model.pt")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--compile", action="store_true", help="time torch.compile too")
    parser.add_argument("--once", choices=FORMS, help=argparse.SUPPRESS)
    given = parse(parser, arguments)
    if given.once:
        return {"peak_bytes": _once(given)}
    if given.quick:
        given.sizes, given.batches, given.repeats = [64], [1], 1
    # More than 4 megapixels at a time would only measure how much memory a machine has.
    runs = [(size, batch) for size in given.sizes for batch in given.batches if size * size * batch <= 2**22]
    checkpoints = [given.checkpoint] + ([given.released] if given.released else [])
    facts = {
        "hardware": hardware(given.device),
        "torch": torch.__version__,
        "dtype": given.dtype,
        "runs": [measure(given, checkpoint, size, batch) for checkpoint in checkpoints for size, batch in runs],
        "volume": measure_volume(given) if given.volume else None,
    }
    return write_report("gesenet_speed", given.out, arguments, facts, table)


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    rows = []
    for run in result["runs"]:
        where = [run["weights"], run["size"], run["batch"]]
        rows.append([*where, "*arithmetic floor*", f"{1000 * run['floor_seconds'] / run['batch']:.1f}", "1", "", ""])
        for name, form in run["forms"].items():
            each, ratio = f"{1000 * form['seconds'] / run['batch']:.1f}", f"{form['times_the_floor']:.2f}"
            peak = "" if form["peak_bytes"] is None else f"{form['peak_bytes'] / 2**20:.0f}"
            rows.append([*where, name, each, ratio, f"{form['largest_difference']:.1e}", peak])
    shares = [f"{run['size']} px {'/'.join(f'{s:.2f}' for s in run['principal_share'])}" for run in result["runs"]]
    columns = ["weights", "size", "batch", "form", "ms a pair", "times the floor", "largest difference"]
    parts = [
        markdown_table([*columns, "peak memory, MiB"], rows),
        "The difference is to the straight form, 1 being the full range. Principal share of the MRI and the other "
        f"branch: {'; '.join(shares)}.",
    ]
    return "\n\n".join([*parts, *([_about_volume(result["volume"])] if result["volume"] else [])])


def _about_volume(volume: dict) -> str:
    whole, skipped = volume["seconds"]["whole slices"], volume["seconds"]["background skipped"]
    return (
        f"A volume of {' x '.join(map(str, volume['shape']))} voxels, {volume['share_above_0']:.0%} of them above 0: "
        f"{whole:.1f} s by whole slices, {skipped:.1f} s with the background skipped ({whole / skipped:.2f} times as "
        f"fast); difference where a source is above 0 at most {volume['largest_difference_above_0']:.1e}."
    )


if __name__ == "__main__":
    outcome = main()
    print(outcome["peak_bytes"] if "peak_bytes" in outcome else markdown(outcome, table))
