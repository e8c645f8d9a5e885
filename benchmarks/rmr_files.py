"""What do loading, scores, rules and saving of a case take, and does a large grid around the brain cost anything?

``python -m benchmarks.rmr_files --case T1 FLAIR [--side 256] [--device cpu] [--threads N] [--out FOLDER]``

Does what ``inference.json`` does before and after the network, on the case's own grid and with the case padded by zeros
to ``--side`` voxels along each axis. The network, which gets the same from both, is left out: classes by intensity
stand for its output. Times are processor seconds. Writes ``rmr_files.json`` and ``.md``.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import nn

from benchmarks import RMR
from benchmarks.machine import hardware
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from shared_networks.metrics.image_quality import image_quality
from shared_networks.utils.bundle_network import load_network, read_inference_config


def pad_to_cube(paths: Sequence[Path], folder: Path, side: int) -> list[Path]:
    """Write volumes with zeros behind the ends of their axes, so that each axis has at least ``side`` voxels."""
    padded = []
    for path in paths:
        image = nib.load(path)
        voxels = np.asarray(image.dataobj)
        voxels = np.pad(voxels, [(0, max(0, side - length)) for length in voxels.shape])
        padded.append(folder / f"cube_{path.name}")
        nib.save(nib.Nifti1Image(voxels, image.affine, image.header), padded[-1])
    return padded


def classes_by_intensity(image: torch.Tensor, brain: torch.Tensor, classes: int = 5) -> torch.Tensor:
    """What stands for the network's output: certain classes and a fused volume.

    Args:
        image: 2 x X x Y x Z, T1 and FLAIR in [0, 1].
        brain: 1 x X x Y x Z.
        classes: J; the last ones are thirds of the T1's range in the brain, and the brightest hundredth of FLAIR.

    Returns:
        (J + 1) x X x Y x Z, logits and the mean of both images.
    """
    inside = brain[0] > 0
    limits = torch.quantile(image[0][inside][::7], torch.linspace(0, 1, classes - 1)[1:-1])
    label = torch.bucketize(image[0].contiguous(), limits) + 1
    label[image[1] > torch.quantile(image[1][inside][::7], 0.99)] = classes - 1
    one_hot = nn.functional.one_hot(label * inside, classes).movedim(-1, 0).to(image.dtype)
    return torch.cat([20 * one_hot, image.mean(dim=0, keepdim=True)])


@torch.no_grad()
def measure(config: ConfigParser, network: nn.Module, paths: Sequence[Path]) -> tuple[torch.Tensor, dict[str, Any]]:
    """What the network would get, and the grid of the files with the seconds of each step."""
    before = config.get_parsed_content("preprocessing")
    after = config.get_parsed_content("postprocessing")
    started = time.process_time()
    item = before({"case": "case", "image": list(map(str, paths))})
    loaded = time.process_time()
    image, brain = item["image"].as_tensor(), item["brain"].as_tensor()
    image_quality(image, brain[0], network.autoencoder)
    scored = time.process_time()
    item["pred"] = type(item["image"])(classes_by_intensity(image, brain), meta=item["image"].meta)
    made = time.process_time()
    after(item)
    ended = time.process_time()
    took = {"loading": loaded - started, "image quality": scored - loaded, "rules and saving": ended - made}
    return image, {"grid": list(nib.load(paths[0]).shape), "seconds": took}


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_files", device="cpu")
    parser.add_argument("--case", type=Path, nargs=2, required=True, help="T1 and FLAIR")
    parser.add_argument("--side", type=int, default=256, help="of the large grid, in voxels")
    given = parse(parser, arguments)
    config = read_inference_config(RMR)
    config["device"] = torch.device(given.device)
    network = load_network(RMR).to(given.device)
    with tempfile.TemporaryDirectory() as folder:
        config["output_dir"] = folder
        first, tight = measure(config, network, given.case)
        second, large = measure(config, network, pad_to_cube(given.case, Path(folder), given.side))
    if not torch.equal(first, second):
        raise RuntimeError("the network would not get the same from both grids.")
    facts = {
        "hardware": hardware(given.device),
        "torch": torch.__version__,
        "network_gets": list(first.shape[1:]),
        "grids": [tight, large],
    }
    shown = [f"--case T1 FLAIR --side {given.side} --threads {torch.get_num_threads()}"]
    return write_report("rmr_files", given.out, shown, facts, table)


def table(result: dict[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    columns = ["grid", *(f"{step}, s" for step in result["grids"][0]["seconds"]), "together, s"]
    rows = []
    for one in result["grids"]:
        took = [*one["seconds"].values(), sum(one["seconds"].values())]
        rows.append([" x ".join(map(str, one["grid"])), *(f"{value:.1f}" for value in took)])
    inner = " x ".join(map(str, result["network_gets"]))
    return f"{markdown_table(columns, rows)}\n\nThe network gets {inner} voxels from both."


if __name__ == "__main__":
    print_report(main, table)
