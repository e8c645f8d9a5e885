"""Which shifts does ``align_pictures`` find, and which pairs does it move that were not shifted?

``python -m benchmarks.gesenet_shifts --dataset_dir PAIRS [--section training] [--modality CT] [--noise 0 0.05 0.1]
[--every 1] [--out benchmarks/results]``

Pairs are taken as they are, and with the second picture moved by 1 to 6 pixels along one axis, at most as many along
the other; limits are those of inference.json. Nothing is fused. Writes ``gesenet_shifts_<modality>.json`` and ``.md``.
"""

import json
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks import GESENET
from benchmarks.machine import hardware
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from shared_networks.data import resolve_pairs
from shared_networks.errors import InputError
from shared_networks.transforms import LoadFusionPaird
from shared_networks.transforms.align_pictures import find_shift

_LARGEST = 6


def main(arguments: Sequence[str] | None = None) -> dict:
    """Measure, and return what was written as JSON."""
    parser = make_parser("gesenet_shifts", "PAIRS")
    parser.add_argument("--section", default="training")
    parser.add_argument("--modality", default="CT")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.05, 0.1], help="standard deviations")
    parser.add_argument("--every", type=int, default=1, help="take every so many pairs")
    given = parse(parser, arguments)
    load = LoadFusionPaird(keys="image")
    chosen = [
        pair
        for pair in resolve_pairs(dataset_dir=given.dataset_dir, section=given.section)
        if "refused" not in pair and pair.get("modality") == given.modality
    ][:: given.every]
    if not chosen:
        raise InputError(f"{given.dataset_dir}: no usable pairs of {given.modality} in {given.section}.")
    pairs = [np.asarray(load(pair)["image"], dtype=np.float32) for pair in chosen]
    facts = {
        "hardware": hardware("cpu"),
        "pairs": len(pairs),
        "settings": {f"{noise:g}": measure(pairs, noise) for noise in given.noise},
    }
    shown = ["--dataset_dir PAIRS", f"--section {given.section}", f"--modality {given.modality}"]
    shown += [f"--every {given.every}"] if given.every > 1 else []
    return write_report("gesenet_shifts", given.out, shown, facts, table, f"gesenet_shifts_{given.modality}")


def measure(pairs: Sequence[np.ndarray], noise: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """Look for a shift in each pair, 2 x H x W in [0, 1], as it is and with the second picture moved.

    Returns:
        ``moved``: pairs that would be moved although they were not shifted. ``shifted``, ``found``, ``within_1`` and
        ``exact``: numbers for shifts of 1 to 6 pixels; a pair's own registration counts as right. ``seconds``: of the
        CPU for a search, median.
    """
    config = json.loads((GESENET / "configs" / "inference.json").read_text(encoding="utf-8"))
    random = np.random.default_rng(seed)
    counts = {name: [0] * _LARGEST for name in ("shifted", "found", "within_1", "exact")}
    moved, seconds = 0, []
    for index, pair in enumerate(pairs):
        size = index % _LARGEST + 1
        shift = [size * int(random.choice([-1, 1])), int(random.integers(-size, size + 1))]
        random.shuffle(shift)
        added = noise * random.standard_normal(pair.shape).astype(np.float32)
        results = []
        for by in ((0, 0), shift):
            other = np.pad(pair[1], _LARGEST, mode="edge")
            rows, columns = (
                slice(_LARGEST - step, _LARGEST - step + side) for step, side in zip(by, pair.shape[1:], strict=True)
            )
            seen = (np.stack([pair[0], other[rows, columns]]) + added).clip(0, 1)
            started = time.process_time()
            found, gain = find_shift(*seen, config["largest_shift"])
            seconds.append(time.process_time() - started)
            results.append((gain >= config["least_gain"], max(abs(a + b) for a, b in zip(found, by, strict=True))))
        (unshifted, _), (is_found, error) = results
        moved += unshifted
        for name, hit in zip(counts, (True, is_found, is_found and error <= 1, is_found and error == 0), strict=True):
            counts[name][size - 1] += int(hit)
    return {"moved": moved, **counts, "seconds": median(seconds)}


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    rows = []
    for noise, found in result["settings"].items():
        for name, title in (("found", "found"), ("within_1", "within a pixel"), ("exact", "exactly")):
            cells = [f"{number} of {of}" for number, of in zip(found[name], found["shifted"], strict=True)]
            first = f"{found['moved']} of {result['pairs']}" if name == "found" else ""
            last = f"{1000 * found['seconds']:.1f}" if name == "found" else ""
            rows.append([noise, first, title, *cells, last])
    sizes = [f"{size} px" for size in range(1, _LARGEST + 1)]
    return markdown_table(["noise", "unshifted, moved", "", *sizes, "CPU ms"], rows)


if __name__ == "__main__":
    print_report(main, table)
