"""How far is RMR-Fusion's inference from the arithmetic floor of the machine, and where is the time spent?

``python -m benchmarks.rmr_floor [--size 146 165 135] [--device cpu] [--threads N] [--out FOLDER] [--quick]``

The floor is the number of multiply-adds of all convolutions and matrix products, divided by the rate that one 3x3x3
convolution of 24 to 48 channels reaches on this machine, measured before and after in the same run; the better one
counts. Times are wall-clock and, on a CPU, processor seconds of this process, which other work on the machine disturbs
less. Writes ``rmr_floor.json`` and ``.md``.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import RMR
from benchmarks.machine import hardware
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from shared_networks.utils import keep_freed_memory
from shared_networks.utils.bundle_network import read_inference_config

PARTS = {
    "encoders": ("autoencoder.encoder_x", "autoencoder.encoder_y"),
    "fusion module": ("fusion",),
    "semantic head": ("semantic_head",),
    "decoder": ("autoencoder.decoder",),
    "detail gate": ("detail",),
}
"""Part -> modules of :class:`shared_networks.nets.RMRFusionNet`."""


class Meter:
    """Counts multiply-adds and seconds of modules while a network runs on a device.

    ``parts`` maps names to modules, by their names in the network; none inside another.
    """

    def __init__(self, network: nn.Module, parts: dict[str, Sequence[str]], device: torch.device) -> None:
        self.device = device
        self.multiply_adds: dict[str, int] = defaultdict(int)
        self.seconds: dict[str, float] = defaultdict(float)
        self._started = 0.0
        self._counter = _counter()
        for part, names in parts.items():
            for name in names:
                module = network.get_submodule(name)
                module.register_forward_pre_hook(lambda *given: self._begin())
                module.register_forward_hook(lambda *given, part=part: self._end(part))

    def _begin(self) -> None:
        self._counter = _counter()
        self._counter.__enter__()
        self._started = seconds(self.device)

    def _end(self, part: str) -> None:
        self.seconds[part] += seconds(self.device) - self._started
        self._counter.__exit__(None, None, None)
        self.multiply_adds[part] += self._counter.get_total_flops() // 2


def _counter() -> FlopCounterMode:
    return FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
    )


def _attention(query: Sequence[int], key: Sequence[int], *others: Any, **known: Any) -> int:
    """Operations of an attention by the shapes B x H x N x D of query and key; PyTorch counts none on a CPU."""
    batch, heads, rows, width = query
    return 2 * 2 * batch * heads * rows * key[-2] * width


def seconds(device: torch.device) -> float:
    """Processor seconds of this process on a CPU, wall-clock seconds with the queue empty on a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


@torch.no_grad()
def convolution_rate(device: torch.device, size: Sequence[int] = (64, 64, 16), repeats: int = 3) -> float:
    """Multiply-adds a second of a 3x3x3 convolution of 24 to 48 channels; the best of some repeats."""
    convolution = nn.Conv3d(24, 48, 3, padding=1).to(device)
    volume = torch.rand(1, 24, *size, device=device)
    convolution(volume)
    best = float("inf")
    for _ in range(repeats):
        started = seconds(device)
        convolution(volume)
        best = min(best, seconds(device) - started)
    return volume[0, 0].numel() * 24 * 48 * 27 / best


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_floor", device="cpu", quick="a tiny volume")
    parser.add_argument("--size", type=int, nargs=3, default=[146, 165, 135])
    given = parse(parser, arguments)
    size = [20, 18, 9] if given.quick else given.size
    keep_freed_memory()  # as inference.json does
    device = torch.device(given.device)
    config = read_inference_config(RMR)
    config["device"] = device
    torch.manual_seed(0)
    network = config.get_parsed_content("network_def").eval().to(device)
    image = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(0)).to(device)
    rates = [convolution_rate(device)]
    meter = Meter(network, PARTS, device)
    wall, started = time.perf_counter(), seconds(device)
    config.get_parsed_content("inferer")(image, network)
    total, wall = seconds(device) - started, time.perf_counter() - wall
    rates.append(convolution_rate(device))
    facts = {
        "hardware": hardware(device),
        "torch": torch.__version__,
        "size": size,
        "seconds": total,
        "wall_seconds": wall,
        "rates": rates,
        "floor_seconds": sum(meter.multiply_adds.values()) / max(rates),
        "parts": {part: {"multiply_adds": meter.multiply_adds[part], "seconds": meter.seconds[part]} for part in PARTS},
    }
    return write_report("rmr_floor", given.out, arguments, facts, table)


def table(result: dict[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    rate = max(result["rates"])
    parts = {part: (found["multiply_adds"], found["seconds"]) for part, found in result["parts"].items()}
    rest = result["seconds"] - sum(took for _, took in parts.values())
    parts |= {"windows, blending, padding": (0, rest)}
    parts |= {"all": (sum(count for count, _ in parts.values()), result["seconds"])}
    rows = []
    for part, (count, took) in parts.items():
        floor = count / rate
        ratio = f"{took / floor:.2f}" if floor else ""
        rows.append([part, f"{count / 1e9:.0f}", f"{floor:.1f}", f"{took:.1f}", ratio])
    rates = " and ".join(f"{one / 1e9:.1f}" for one in result["rates"])
    columns = ["part", "multiply-adds, 10^9", "floor, s", "seconds", "times the floor"]
    return (
        f"{markdown_table(columns, rows)}\n\n{' x '.join(map(str, result['size']))} voxels, "
        f"{result['wall_seconds']:.0f} s by the clock on the wall. One convolution: {rates} * 10^9 multiply-adds a "
        "second before and after."
    )


if __name__ == "__main__":
    print_report(main, table)
