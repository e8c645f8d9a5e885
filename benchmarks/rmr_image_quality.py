"""Does the image quality score tell degraded volumes from clean ones? Score against strength, for unseen subjects.

``python -m benchmarks.rmr_image_quality --dataset_dir BRAINS [--checkpoint FILE] [--device cpu] [--seed 0]
[--out FOLDER]``

Scores the clean volumes of the training section, and takes the limits from them: the highest value of a subject plus
one standard deviation, for each modality. Then it degrades the validation subjects in the box that the score looks at
(:func:`shared_networks.metrics.image_quality.central_box`), one kind at a time and by the paper's mixture. Writes
``rmr_image_quality.json``, ``.md`` and ``.png``.
"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, Orientationd

from benchmarks import RMR
from benchmarks.figures import draw_grid, save
from benchmarks.machine import hardware
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from shared_networks.data import resolve_cases
from shared_networks.metrics.image_quality import central_box, image_quality, scores_above
from shared_networks.nets import DegradationAutoencoder
from shared_networks.transforms import DegradeMixtured, LoadModalitiesd

MODALITIES = ("t1", "flair")
SCORES = ("noise", "blur")
PANELS = [(s, m) for s in range(2) for m in range(2)]
"""Number of the score, number of the modality."""
KINDS: dict[str, dict[str, Any]] = {
    "noise": {"key": "noise_std", "strengths": [0.02, 0.04, 0.08], "label": "standard deviation of the noise"},
    "blur": {"key": "blur_sigma", "strengths": [0.3, 0.6, 1.2], "label": "sigma of the blur, voxels"},
    "structure loss": {"key": "windows", "strengths": [1, 4], "label": "broken windows in the box"},
}
"""Kind -> argument of :class:`shared_networks.transforms.DegradeMixtured`, strengths, label of the axis."""
_NOTHING = {"noise_std": 0.0, "blur_sigma": 0.0, "windows": 0}
_MIXTURE = {"noise_std": 0.04, "blur_sigma": 0.6, "windows": 1}


def settings() -> dict[str, dict[str, float]]:
    """Name -> strengths: nothing, each kind alone, and the paper's mixture."""
    alone = {
        f"{kind} {strength:g}": _NOTHING | {entry["key"]: strength}
        for kind, entry in KINDS.items()
        for strength in entry["strengths"]
    }
    return {"clean": _NOTHING} | alone | {"mixture": _MIXTURE}


def measure(
    image: torch.Tensor, brain: torch.Tensor, case: str, strengths: Mapping[str, float], network: Any, seed: int = 0
) -> list[list[float]]:
    """Noise and blur of each modality of a volume that was degraded inside the box and masked, as a stripped one is.

    The image is 2 x X x Y x Z in [0, 1], axes in RAS; the mask 1 x X x Y x Z. The randomness depends on case and seed;
    ``strengths`` are arguments of :class:`shared_networks.transforms.DegradeMixtured`; ``network`` is stage 1 in
    evaluation mode, on the CPU or the image's device.
    """
    box = (slice(None), *central_box(brain[0] > 0))
    item = {"image": image[box], "brain": brain[box], "case": case}
    degraded = DegradeMixtured("image", output_key="", seed=seed, **strengths)(item)["image"]
    part = torch.as_tensor(np.asarray(degraded)) * (item["brain"] > 0)
    return image_quality(part.to(image.device), item["brain"][0], network).tolist()


def limits_of(clean: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Score -> modality -> highest value of the subjects plus one standard deviation, two decimals.

    Args:
        clean: subject -> scores of each modality, as :func:`measure` gives them.
    """
    return {
        score: {
            modality: round(max(values) + statistics.stdev(values), 2)
            for m, modality in enumerate(MODALITIES)
            for values in [[scores[m][s] for scores in clean.values()]]
        }
        for s, score in enumerate(SCORES)
    }


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_image_quality", "BRAINS", "cpu")
    parser.add_argument("--checkpoint", type=Path, default=RMR / "models" / "autoencoder.pt")
    parser.add_argument("--seed", type=int, default=0, help="of the degradations")
    given = parse(parser, arguments)
    network = DegradationAutoencoder().load(given.checkpoint).eval().to(given.device)
    load = Compose(
        [LoadModalitiesd(keys="image", label_key=""), Orientationd(keys=["image", "brain"], axcodes="RAS", labels=None)]
    )
    found: dict[str, dict[str, dict]] = {}
    for section, wanted in (("training", {"clean": _NOTHING}), ("validation", settings())):
        for case in resolve_cases(dataset_dir=given.dataset_dir, section=section):
            item = load(case)
            image, brain = (item[key].as_tensor().to(given.device) for key in ("image", "brain"))
            scores = {name: measure(image, brain, case["case"], s, network, given.seed) for name, s in wanted.items()}
            found.setdefault(section, {})[case["case"]] = scores
            print(case["case"], scores["clean"], flush=True)
    facts = {
        "hardware": hardware(given.device),
        "limits": limits_of({case: scores["clean"] for case, scores in found["training"].items()}),
        **found,
    }
    report = write_report("rmr_image_quality", given.out, ["--dataset_dir BRAINS"], facts, table)
    draw(report, given.out / "rmr_image_quality")
    return report


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    training, subjects = ([*result[section].values()] for section in ("training", "validation"))
    volumes = {f"{len(training)} training subjects, clean": [one["clean"] for one in training]}
    volumes |= {f"{len(subjects)} validation subjects, {name}": [one[name] for one in subjects] for name in subjects[0]}
    rows = []
    for title, of_title in volumes.items():
        columns = [[scores[m][s] for scores in of_title] for s, m in PANELS]
        found = sum(any(scores_above(_named(scores), result["limits"])) for scores in of_title)
        ranges = [f"{min(values):.2f} to {max(values):.2f}" for values in columns]
        rows.append([title, *ranges, f"{found} of {len(of_title)}"])
    rows.append(["*limit*", *(f"{result['limits'][SCORES[s]][MODALITIES[m]]:.2f}" for s, m in PANELS), ""])
    titles = [f"{SCORES[s]} {MODALITIES[m].upper()}" for s, m in PANELS]
    return markdown_table(["volumes", *titles, "above a limit"], rows)


def _named(scores: Sequence[Sequence[float]]) -> dict[str, dict[str, float]]:
    """Modality -> score -> value."""
    return {name: dict(zip(SCORES, values, strict=True)) for name, values in zip(MODALITIES, scores, strict=True)}


def draw(result: dict, path: Path) -> None:
    """Both scores of both modalities against the strength of each kind, a line a subject, with the limits."""
    places = {
        kind: {0.0: "clean"} | {strength: f"{kind} {strength:g}" for strength in entry["strengths"]}
        for kind, entry in KINDS.items()
    }
    panels = {
        f"{SCORES[s]}, {MODALITIES[m].upper()}": [
            {
                case: [(strength, scores[name][m][s]) for strength, name in of_kind.items()]
                for case, scores in result["validation"].items()
            }
            for of_kind in places.values()
        ]
        for s, m in PANELS
    }
    figure, grid = draw_grid(panels, [entry["label"] for entry in KINDS.values()], list(KINDS), (9, 9.5))
    for row, (s, m) in zip(grid, PANELS, strict=True):
        for axes in row:
            axes.axhline(result["limits"][SCORES[s]][MODALITIES[m]], color="black", linestyle="--", linewidth=1)
    handles, titles = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, titles, loc="outside lower center", ncols=4, fontsize=9)
    save(figure, path)


if __name__ == "__main__":
    print_report(main, table)
