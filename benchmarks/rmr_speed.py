"""Time and memory of fusing and segmenting a whole volume with RMR-Fusion, against the released code's procedure.

``python -m benchmarks.rmr_speed [--case T1 FLAIR] [--size 146 165 135] [--checkpoint FILE] [--overlay NAME]
[--device cpu] [--threads N] [--forms encode_once released] [--out FOLDER] [--quick]``

Two forms on the same weights, window and overlap, each in a process of its own, whose peak memory is taken:

- ``encode_once``: what ``inference.json`` does. The encoders run once on the volume, only the head slides.
- ``released``: the procedure of the released code. One pass makes the fused volume and a second one the segmentation,
  each with the encoders in every window and MONAI's plain attention.

Writes ``rmr_speed.json`` and ``.md``.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from monai.bundle import ConfigParser
from monai.inferers import sliding_window_inference

from benchmarks import RMR
from benchmarks.bundle_runs import last_line_of
from benchmarks.machine import hardware, peak_memory_of_process, synchronise
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown, markdown_table, write_report
from shared_networks.blocks.grouped_window_attention import GroupedWindowAttention
from shared_networks.inferers import EncodeOnceInferer
from shared_networks.nets import RMRFusionNet
from shared_networks.transforms import LoadModalitiesd
from shared_networks.utils import keep_freed_memory

FORMS = ("encode_once", "released")


def _configuration(given: argparse.Namespace) -> tuple[RMRFusionNet, list[int], float]:
    """The network of ``inference.json`` with random or given weights, its window and overlap."""
    parser = ConfigParser()
    names = ["inference", *([given.overlay] if given.overlay else [])]
    parser.read_config([RMR / "configs" / f"{name}.json" for name in names])
    parser.update({"bundle_root": str(RMR)})
    torch.manual_seed(0)
    network = parser.get_parsed_content("network_def").eval()
    if given.checkpoint:
        network.load_state_dict(torch.load(given.checkpoint, map_location="cpu", weights_only=True))
    window = [16, 16, 8] if given.quick else parser.get_parsed_content("roi_size")
    return network, window, parser.get_parsed_content("overlap")


def _image(given: argparse.Namespace) -> torch.Tensor:
    """1 x 2 x X x Y x Z in [0, 1]: the case, or random values of the size."""
    if given.case:
        item = LoadModalitiesd(keys="image")({"image": [str(path) for path in given.case]})
        return item["image"].as_tensor()[None]
    return torch.rand(1, 2, *given.size, generator=torch.Generator().manual_seed(0))


def _plain_attention(network: torch.nn.Module) -> None:
    """MONAI's own attention: no fused kernel, all windows of a call at once."""
    for module in network.modules():
        if isinstance(module, GroupedWindowAttention):
            module.use_flash_attention, module.windows_per_group = False, sys.maxsize


@torch.no_grad()
def run_form(form: str, network: RMRFusionNet, image: torch.Tensor, window: Sequence[int], overlap: float) -> dict:
    """Fuse and segment 1 x 2 x X x Y x Z once in one of :data:`FORMS`; ``released`` changes the network's attention.

    Returns ``seconds``, ``peak_bytes`` and ``output`` (1 x (J + 1) x X x Y x Z).
    """

    def slide(predictor: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return sliding_window_inference(image, window, 1, predictor, overlap=overlap, mode="gaussian")

    if form == "released":
        _plain_attention(network)
    start = time.perf_counter()
    if form == "encode_once":
        output = EncodeOnceInferer(window, overlap=overlap)(image, network)
    else:
        fused = slide(lambda x: network.decode(network.encode_fuse(x)))
        output = torch.cat([slide(lambda x: network.semantic_head(network.encode_fuse(x))), fused], dim=1)
    synchronise(image.device)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_bytes": peak_memory_of_process(image.device), "output": output}


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_speed", device="cpu", quick="a tiny volume")
    parser.add_argument("--case", type=Path, nargs=2, default=None, help="T1 and FLAIR; default: random values")
    parser.add_argument("--size", type=int, nargs=3, default=[146, 165, 135])
    parser.add_argument("--checkpoint", type=Path, default=None, help="default: random weights")
    parser.add_argument("--overlay", default="", help="config over inference.json, e.g. paper_size")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--once", choices=FORMS, help=argparse.SUPPRESS)
    given = parse(parser, arguments)
    if given.quick:
        given.size = [20, 18, 9]
    if given.once:
        return _once(given)
    command = ["-m", "benchmarks.rmr_speed", *(arguments or sys.argv[1:])]
    facts = {
        "hardware": hardware(given.device),
        "torch": torch.__version__,
        "forms": {form: json.loads(last_line_of([*command, "--once", form])) for form in given.forms},
    }
    return write_report("rmr_speed", given.out, arguments, facts, table)


def _once(given: argparse.Namespace) -> dict:
    keep_freed_memory()  # as inference.json does
    network, window, overlap = _configuration(given)
    image = _image(given).to(given.device)
    measured = run_form(given.once, network.to(given.device), image, window, overlap)
    measured["checksum"] = measured.pop("output").double().abs().mean().item()
    return measured | {"shape": list(image.shape[2:]), "window": list(window), "overlap": overlap}


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    slowest = result["forms"].get("released", {}).get("seconds")
    rows = []
    for name, form in result["forms"].items():
        ratio = f"{slowest / form['seconds']:.2f} times as fast" if slowest else ""
        rows.append([name, f"{form['seconds']:.1f}", ratio, f"{form['peak_bytes'] / 2**30:.2f}"])
    first = next(iter(result["forms"].values()))
    return (
        f"{markdown_table(['form', 'seconds', 'against released', 'peak memory, GiB'], rows)}\n\n"
        f"{' x '.join(map(str, first['shape']))} voxels, window {' x '.join(map(str, first['window']))}, overlap "
        f"{first['overlap']}."
    )


if __name__ == "__main__":
    outcome = main()
    print(json.dumps(outcome) if "checksum" in outcome else markdown(outcome, table))
