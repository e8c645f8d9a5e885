"""Part B: what the device can do, and what the bundles' networks, trainings and inference get of it.

``python -m benchmarks.gpu.timings --device cuda --out FOLDER --seconds 150`` adds a line to ``timings.jsonl`` after
each measurement, the ones that part C needs first, and begins none when the seconds are used up.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.bundle import ConfigWorkflow
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import GESENET, RMR
from benchmarks.machine import hardware, synchronise
from benchmarks.toy_data import small_gesenet
from shared_networks.utils import set_backends
from shared_networks.utils.bundle_network import load_network, read_inference_config

PRECISIONS = {"float32": None, "tf32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}
LONGEST = 15.0
"""Seconds after which a call is not repeated again."""


def precisions_of(device: str) -> list[str]:
    """Precisions that are worth measuring: a CPU has no TF32, and its float16 is 300 times slower than float32."""
    return [name for name in PRECISIONS if device == "cuda" or name not in ("tf32", "float16")]


def median_seconds(call: Callable[[], Any], device: str, repeats: int = 7) -> float:
    """Median time of a call after two that warm up; of fewer calls, or the first, where they are long."""
    times: list[float] = []
    while len(times) < repeats + 2 and sum(times) < LONGEST:
        synchronise(device)
        started = time.perf_counter()
        call()
        synchronise(device)
        times.append(time.perf_counter() - started)
    return statistics.median_high(times[2:] or times[-1:])


def peak_gib(device: str) -> float | None:
    """Peak of the GPU's memory since it was reset; None on a CPU."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None


def ceilings(device: str, side: int) -> dict[str, float]:
    """Measured rate of matrix products in TFLOP/s by precision, and of copies in GB/s."""
    found = {}
    for name in precisions_of(device):
        dtype = PRECISIONS[name]
        set_backends(tf32=name == "tf32", cudnn_benchmark=True, deterministic=False)
        a, b = (torch.randn(side, side, device=device, dtype=dtype or torch.float32) for _ in range(2))
        found[f"{name}_tflops"] = 2 * side**3 / median_seconds(lambda a=a, b=b: a @ b, device) / 1e12
    block = torch.randn(side * side * 4, device=device)
    target = torch.empty_like(block)
    found["copy_gb_per_s"] = 2 * block.numel() * 4 / median_seconds(lambda: target.copy_(block), device) / 1e9
    return {key: float(f"{value:.4g}") for key, value in found.items()}


def steps_per_second(bundle: Path, config: str, keys: dict[str, Any], device: str, seconds: float, work: Path) -> dict:
    """Steps/s of a training config's own trainer, after five steps that warm up."""
    over = {"bundle_root": bundle, "output_dir": work, "ckpt_dir": work, "device": f"$torch.device('{device}')"}
    over |= {"max_epochs": 1, "iterations_per_epoch": 100_000, "val_interval": 2, "resume": False} | keys
    if config == "train" and bundle == RMR:
        over |= {"versions": 4, "renewed": 1}  # a step costs the same with 26, which take minutes to encode
    over = {key: str(value) if isinstance(value, Path) else value for key, value in over.items()}
    file = str(bundle / "configs" / f"{config}.json")
    workflow = ConfigWorkflow(file, workflow_type="train", logging_file=False, **over)
    workflow.initialize()
    content = workflow.parser.get_parsed_content
    trainer, marks = content("train#trainer"), []

    def mark(engine: Any) -> None:
        late = bool(marks) and time.perf_counter() > marks[0] + seconds
        if len(marks) == 5 or late:
            synchronise(device)
        marks.append(time.perf_counter())
        if len(marks) > 6 and late:
            engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED, mark)
    if config == "train" and bundle == RMR:
        content("network_def").load_autoencoder(content("autoencoder_checkpoint"))
    trainer.run()
    workflow.finalize()
    rate, batch = (len(marks) - 6) / (marks[-1] - marks[5]), content("batch_size")
    facts = {"patch": content("patch_size"), "batch": batch, "workers": content("num_workers"), "amp": content("amp")}
    found = {"steps_per_s": round(rate, 3), "samples_per_s": round(rate * batch, 2), "peak_gib": peak_gib(device)}
    return {"what": f"train {bundle.name} {config}", **facts, **found}


def loaded(bundle: Path, device: str) -> tuple[torch.nn.Module, Any]:
    """Network and inferer of a bundle's inference.json with its weights."""
    parser = read_inference_config(bundle)
    parser["device"] = f"$torch.device('{device}')"
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(load_network(bundle).state_dict())
    return network, parser.get_parsed_content("inferer")


def inference(
    name: str, call: Callable[[], torch.Tensor], device: str, rates: dict[str, float], precision: str, **facts: Any
) -> dict[str, Any]:
    """Time one call in a precision; the share is that of the measured rate of matrix products."""
    dtype = PRECISIONS[precision]
    set_backends(tf32=precision == "tf32", cudnn_benchmark=True, deterministic=False)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with torch.no_grad(), torch.autocast(device, dtype=dtype) if dtype else nullcontext():
        with FlopCounterMode(display=False) as counter:
            call()
        seconds = median_seconds(call, device, 5)
    reached = counter.get_total_flops() / seconds / 1e12
    share = reached / rates[f"{precision}_tflops"] if rates else None
    return {
        "what": name,
        "precision": precision,
        **facts,
        "ms": round(1000 * seconds, 3),
        "tflops": round(reached, 3),
        "share_of_matrix_rate": None if share is None else round(share, 4),
        "peak_gib": peak_gib(device),
    }


def agreement(device: str, size: int, volume: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Results on the device against those on the CPU, in float32."""
    set_backends(tf32=False, cudnn_benchmark=False, deterministic=True)
    generator = torch.Generator().manual_seed(0)
    pair = torch.rand(1, 2, size, size, generator=generator)
    case = torch.rand(1, 2, *volume, generator=generator)
    for bundle, x in ((GESENET, pair), (RMR, case)):
        results = []
        for place in ("cpu", device):
            network, inferer = loaded(bundle, place)
            with torch.no_grad():
                results.append(inferer(x.to(place), network).float().cpu())
        difference = (results[0] - results[1]).abs().max().item()
        labels = [result[:, :-1].argmax(dim=1) for result in results]
        same = (labels[0] == labels[1]).float().mean().item() if bundle == RMR else None
        yield {"what": f"{bundle.name}: {device} against cpu", "largest_difference": difference, "same_labels": same}


def measurements(given: argparse.Namespace) -> Iterator[Callable[[], Any]]:
    """What is measured, in order; each call gives a row or several."""
    device, tiny, work = given.device, given.tiny, given.out / "timings"
    brains, pairs = {"dataset_dir": given.brains}, {"dataset_dir": given.pairs}
    seconds = 1.0 if tiny else 8.0
    small1 = {"patch_size": [14, 14, 7], "batch_size": 1} if tiny else {}
    small2 = {"patch_size": [14, 14, 7]} if tiny else {}
    pictures = small_gesenet(given.pairs) if tiny else {}

    def train(bundle: Path, config: str, keys: dict[str, Any]) -> Callable[[], Any]:
        return partial(steps_per_second, bundle, config, keys, device, seconds, work)

    # What part C needs.
    yield train(RMR, "train_autoencoder", brains | small1)
    yield train(RMR, "train", brains | small2)
    yield train(GESENET, "train", pairs | pictures)
    rates: dict[str, float] = {}

    def measure_rates() -> dict[str, Any]:
        rates.update(ceilings(device, 256 if tiny else 8192))
        return {"what": "ceilings", **rates}

    yield measure_rates
    yield lambda: list(agreement(device, 44 if tiny else 256, (28, 28, 14) if tiny else (84, 84, 42)))
    networks: dict[Path, Any] = {}
    size, whole = (44, (28, 28, 14)) if tiny else (256, (182, 218, 60))

    def network(bundle: Path) -> Any:
        if bundle not in networks:
            networks[bundle] = loaded(bundle, device)
        return networks[bundle]

    def picture(form: str, batch: int, precision: str) -> dict[str, Any]:
        net, x = network(GESENET)[0], torch.rand(batch, 2, size, size, device=device)
        net = torch.compile(net) if form == "compile" else net
        return inference("GeSeNet pair", lambda: net(x), device, rates, precision, batch=batch, form=form)

    def volume(precision: str) -> dict[str, Any]:
        net, inferer = network(RMR)
        x = torch.rand(1, 2, *whole, device=device)
        return inference("RMR-Fusion volume", lambda: inferer(x, net), device, rates, precision, size=whole)

    forms, batches = (["eager"], [1, 2]) if tiny else (["eager", "compile"], [1, 16, 64])
    for form, batch, precision in product(forms, batches, precisions_of(device)):
        yield partial(picture, form, batch, precision)
    for precision in precisions_of(device):
        yield partial(volume, precision)
    if tiny:
        return
    for patch, batch, workers in [((56, 56, 28), 4, 8), ((84, 84, 28), 2, 8), ((56, 56, 28), 4, 14)]:
        keys = {"patch_size": list(patch), "batch_size": batch, "num_workers": workers}
        yield train(RMR, "train_autoencoder", brains | keys)
        yield train(RMR, "train", brains | keys)
    yield train(GESENET, "train", pairs | {"batch_size": 16})
    yield train(RMR, "train", brains | {"amp": False})


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure until the seconds are used up; a measurement that fails is a row with its error."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.timings")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--brains", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--tiny", action="store_true", help="small sizes, for a rehearsal")
    given = parser.parse_args(arguments)
    (given.out / "timings").mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + given.seconds
    for measure in measurements(given):
        if time.monotonic() > end:
            break
        try:
            rows = measure()
        except (Exception, SystemExit) as error:
            rows = {"what": "failed", "error": f"{type(error).__name__}: {error}"[:300]}
        with (given.out / "timings.jsonl").open("a", encoding="utf-8") as file:
            for row in rows if isinstance(rows, list) else [rows]:
                file.write(json.dumps({**row, "device": hardware(given.device)}) + "\n")


if __name__ == "__main__":
    main()
