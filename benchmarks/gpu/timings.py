"""Part B: what the device can do, and what the bundles' networks, trainings and inference get of it.

``python -m benchmarks.gpu.timings --device cuda --out FOLDER --seconds 150`` adds a line to ``timings.jsonl`` after
each measurement, and begins none when the seconds are used up.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from benchmarks import GESENET, RMR
from benchmarks.gpu.measure import ceilings, inference, precisions_of
from benchmarks.gpu.rates import recipes, steps_per_second, versions_per_second
from benchmarks.machine import hardware
from benchmarks.report import fault_line
from shared_networks.utils import missing_for_tensorrt, set_backends
from shared_networks.utils.bundle_network import load_network


def loaded(bundle: Path, device: str, *overlays: str, **keys: Any) -> tuple[torch.nn.Module, Any]:
    """Network and inferer of a bundle's inference.json, with overlays and overrides, and its weights."""
    parser = ConfigParser()
    parser.read_config([str(bundle / "configs" / f"{name}.json") for name in ("inference", *overlays)])
    parser.update({"bundle_root": str(bundle), "device": f"$torch.device('{device}')", **keys})
    parser.get_parsed_content("network_def").load_state_dict(load_network(bundle).state_dict())
    return parser.get_parsed_content("network").eval(), parser.get_parsed_content("inferer")


def has_tensorrt(device: str) -> bool:
    """Whether the bundles' inference_trt.json can be run, or else ``torch_tensorrt``."""
    return not missing_for_tensorrt(device) or (device == "cuda" and find_spec("torch_tensorrt") is not None)


def on_tensorrt(bundle: Path, device: str, precision: str, work: Path) -> tuple[torch.nn.Module, Any]:
    """Network and inferer with the bundle's inference_trt.json or, where its packages are missing, with
    ``torch_tensorrt``.
    """
    if not missing_for_tensorrt(device):
        keys: dict[str, Any] = {"trt_precision": precision, "trt_plan": str(work / f"{bundle.name}_{precision}")}
        if bundle == GESENET:
            keys["trt_sizes"] = [[1, 256, 256], [16, 256, 256], [64, 256, 256]]
        return loaded(bundle, device, "inference_trt", **keys)
    network, inferer = loaded(bundle, device)
    options = {"enabled_precisions": {torch.float16 if precision == "fp16" else torch.float32}}
    part = network.semantic_head if bundle == RMR else network
    part.compile(backend="torch_tensorrt", options=options)
    return network, inferer


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
    size, whole = (44, (28, 28, 14)) if tiny else (256, (182, 218, 60))
    rates: dict[str, float] = {}
    networks: dict[Path, Any] = {}

    def measure_rates() -> dict[str, Any]:
        rates.update(ceilings(device, 256 if tiny else 8192))
        return {"what": "ceilings", **rates}

    def network(bundle: Path) -> Any:
        if bundle not in networks:
            networks[bundle] = loaded(bundle, device)
        return networks[bundle]

    def picture(form: str, batch: int, precision: str) -> dict[str, Any]:
        net, x = network(GESENET)[0], torch.rand(batch, 2, size, size, device=device)
        made = torch.compile(net) if form == "compile" else net
        facts = {"batch": batch, "form": form}
        return inference("GeSeNet pair", lambda: made(x), device, rates, precision, batch, lambda: net(x), **facts)

    def volume(bundle: Path, precision: str) -> dict[str, Any]:
        net, inferer = network(bundle)
        x = torch.rand(1, 2, *whole, device=device)
        return inference(f"{bundle.name} volume", lambda: inferer(x, net), device, rates, precision, size=whole)

    def tensorrt(bundle: Path, precision: str, shape: tuple[int, ...]) -> dict[str, Any]:
        made = on_tensorrt(bundle, device, "fp16" if precision == "float16" else precision, work)
        x, (net, inferer) = torch.rand(shape, device=device), network(bundle)
        call, eager = (lambda: made[1](x, made[0])), (lambda: inferer(x, net))
        facts = {"batch": shape[0], "size": shape[2:], "form": "TensorRT"}
        return inference(f"{bundle.name} by TensorRT", call, device, rates, precision, shape[0], eager, **facts)

    def train(bundle: Path, config: str, keys: dict[str, Any]) -> Callable[[], Any]:
        return partial(steps_per_second, bundle, config, keys, device, 1.0 if tiny else 6.0, work)

    yield measure_rates
    yield lambda: list(agreement(device, 44 if tiny else 256, (28, 28, 14) if tiny else (84, 84, 42)))
    for bundle, precision in product((RMR, GESENET), precisions_of(device)):
        yield partial(volume, bundle, precision)
    batches = [1, 2] if tiny else [1, 16, 64]
    for batch, precision in product(batches, precisions_of(device)):
        yield partial(picture, "eager", batch, precision)
    shipped = recipes(given.brains, given.pairs, tiny)
    for (bundle, config), keys in shipped.items():
        yield train(bundle, config, keys)
    semantic = {"dataset_dir": given.pairs, "validate#dataset#data": "@train#dataset#data"}
    yield train(GESENET, "train_semantic", semantic | ({"batch_size": 2, "num_workers": 0} if tiny else {}))
    yield lambda: list(versions_per_second(given.brains, tiny, device, (1,) if tiny else (1, 8, os.cpu_count()), work))
    if not tiny:
        for patch, batch in [((56, 56, 28), 4), ((84, 84, 28), 2)]:
            keys = {"patch_size": list(patch), "batch_size": batch}
            yield train(RMR, "train", shipped[RMR, "train"] | keys)
            for workers in (0, 8, os.cpu_count()):
                yield train(
                    RMR, "train_autoencoder", shipped[RMR, "train_autoencoder"] | keys | {"num_workers": workers}
                )
        for batch, workers in [(16, 8), (16, os.cpu_count())]:
            yield train(GESENET, "train", shipped[GESENET, "train"] | {"batch_size": batch, "num_workers": workers})
        yield train(RMR, "train", shipped[RMR, "train"] | {"amp": False})
        for batch, precision in product(batches, precisions_of(device)):
            yield partial(picture, "compile", batch, precision)
    if not has_tensorrt(device):
        yield lambda: {"what": "TensorRT", "note": "not installed"}
        return
    # An engine is built for a minute or more.
    for precision in ("float16", "tf32"):
        yield partial(tensorrt, GESENET, precision, (batches[-1], 2, size, size))
        yield partial(tensorrt, RMR, precision, (1, 2, *whole))


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
            rows = {"what": "failed", "error": fault_line(error)}
        with (given.out / "timings.jsonl").open("a", encoding="utf-8") as file:
            for row in rows if isinstance(rows, list) else [rows]:
                print(row, flush=True)
                file.write(json.dumps({**row, "device": hardware(given.device)}) + "\n")


if __name__ == "__main__":
    main()
