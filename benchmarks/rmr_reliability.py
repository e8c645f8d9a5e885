"""Can RMR-Fusion's probabilities be trusted, and do its flags find the cases that went wrong?

``python -m benchmarks.rmr_reliability --dataset_dir BRAINS [--checkpoint FILE] [--section validation]
[--subjects A B] [--settings clean noise] [--device cpu] [--seed 0] [--out FOLDER]``

Runs what ``inference.json`` does on labelled subjects, clean and degraded, and takes from each run:

- calibration inside the brain (``monai.metrics.CalibrationErrorMetric``, 20 bins): of the class that is most probable,
  and of the probability of lesions; the first also at other temperatures, with the negative log-likelihood;
- the volume of lesions, its interval, and what was drawn (Dice, calibration and the two volumes of the labelled
  voxels only);
- the flags (:func:`shared_networks.outputs.case_row.case_flags`), and whether the case is bad: mean Dice of the three
  tissues below 0.8, or Dice of the lesions below 0.5;
- processor seconds of the inference, and those of the scores.

Each run is kept in ``rmr_reliability.json`` at once; the same command goes on after it with the same weights.
Writes ``rmr_reliability.md`` too.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.metrics import CalibrationErrorMetric
from monai.transforms import Compose, CropForegroundd, Invertd, Orientationd

from benchmarks import RMR
from benchmarks.machine import hardware
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.silver_cases import NOT_LABELLED
from shared_networks.data import resolve_cases
from shared_networks.handlers import ImageQuality
from shared_networks.metrics.case_metric import score_labelled
from shared_networks.metrics.class_dice import compute_class_dice
from shared_networks.metrics.image_quality import image_quality
from shared_networks.metrics.volume_report import compute_volume_report
from shared_networks.outputs.case_row import case_flags
from shared_networks.transforms import DegradeMixtured, LoadModalitiesd
from shared_networks.utils.bundle_network import read_inference_config
from shared_networks.utils.hashing import weights_entry
from shared_networks.utils.weights import load_weights

SETTINGS: dict[str, dict[str, float]] = {
    "clean": {"noise_std": 0.0, "blur_sigma": 0.0, "windows": 0},
    "mixture": {"noise_std": 0.04, "blur_sigma": 0.6, "windows": 1},
    "noise": {"noise_std": 0.12, "blur_sigma": 0.0, "windows": 0},
    "blur": {"noise_std": 0.0, "blur_sigma": 1.8, "windows": 0},
    "strong_mixture": {"noise_std": 0.12, "blur_sigma": 1.8, "windows": 3},
    "structure": {"noise_std": 0.0, "blur_sigma": 0.0, "windows": 16},
}
"""Name -> strengths: the paper's mixture, three times the strength of each kind and of all, 16 broken windows."""
TEMPERATURES = (0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
_BAD_TISSUES, _BAD_LESIONS = 0.8, 0.5


def expected_error(probability: torch.Tensor, right: torch.Tensor) -> float:
    """Expected calibration error of N probabilities; ``right`` is 1 where it came true."""
    metric = CalibrationErrorMetric(num_bins=20)
    metric(y_pred=probability[None, None], y=right[None, None].float())
    return float(metric.aggregate())


def calibration(
    logits: torch.Tensor, label: torch.Tensor, lesion_class: int = 4, temperatures: Sequence[float] = TEMPERATURES
) -> dict[str, Any]:
    """Calibration of logits, J x N, on N class numbers; voxels of :data:`NOT_LABELLED` do not count.

    Returns ``lesions``, and ``temperatures`` with ``error`` and ``log_likelihood`` (negative, mean) of each that the
    logits are divided by.
    """
    logits, label = logits[:, label != NOT_LABELLED], label[label != NOT_LABELLED]
    lesions = logits.softmax(dim=0)[lesion_class]
    by_temperature = {}
    for temperature in temperatures:
        log = (logits / temperature).log_softmax(dim=0)
        most, chosen = log.max(dim=0)
        by_temperature[f"{temperature:g}"] = {
            "error": expected_error(most.exp(), chosen == label),
            "log_likelihood": -float(log.gather(0, label[None]).mean()),
        }
    return {"lesions": expected_error(lesions, label == lesion_class), "temperatures": by_temperature}


def tissue_dice(dice: Mapping[str, float]) -> float:
    """Mean Dice of all classes but the lesions."""
    return statistics.fmean(value for name, value in dice.items() if name != "WML")


def is_bad(dice: Mapping[str, float]) -> bool:
    """Whether a segmentation is too far from the label to be used without a look."""
    return tissue_dice(dice) < _BAD_TISSUES or dice["WML"] < _BAD_LESIONS


def hits(runs: Sequence[Mapping[str, Any]], is_meant: Callable[[Mapping[str, Any]], bool]) -> tuple[int, int, int, int]:
    """(meant and flagged, meant, flagged without being meant, not meant) of runs, entries with ``flags``."""
    meant = [run for run in runs if is_meant(run)]
    others = [run for run in runs if not is_meant(run)]
    return sum(bool(run["flags"]) for run in meant), len(meant), sum(bool(run["flags"]) for run in others), len(others)


class _Pipeline:
    """Network, inferer and rules of ``inference.json``."""

    def __init__(self, checkpoint: Path, device: str) -> None:
        parser = read_inference_config(RMR)
        parser["device"] = torch.device(device)
        self.device = device
        self.network = parser.get_parsed_content("network_def")
        load_weights(self.network, checkpoint, "not weights of this network ({fault}); give others")
        self.network.eval().to(device)
        self.inferer = parser.get_parsed_content("inferer")
        self.limits = parser.get_parsed_content("review_limits")
        self.load_limit = parser.get_parsed_content("highest_lesion_load")
        self.class_names = dict(enumerate(parser.get_parsed_content("class_names")))
        self.modalities = parser.get_parsed_content("modalities")
        transforms = parser.get_parsed_content("postprocessing").transforms
        # What comes before the way back to the input's grid; labels are compared on the cropped one.
        first = next(number for number, transform in enumerate(transforms) if isinstance(transform, Invertd))
        self.rules = Compose(transforms[:first])
        margin = parser.get_parsed_content("margin")
        self.crop = CropForegroundd(["image", "brain", "label"], source_key="brain", margin=margin, allow_smaller=False)

    @torch.no_grad()
    def run(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The entry of one case, which :class:`LoadModalitiesd` has loaded with its label."""
        item = self.crop(dict(item))
        image, brain = item["image"].as_tensor().to(self.device), item["brain"].as_tensor().to(self.device)
        started = time.process_time()
        output = self.inferer(image[None], self.network)[0]
        inferred = time.process_time()
        scores = image_quality(image, brain[0], self.network.autoencoder)
        scored = time.process_time()
        item["pred"] = type(item["image"])(output, meta=item["image"].meta)
        logits = output[:-1, brain[0] > 0].float().cpu()
        result = self.rules(item)
        ruled = time.process_time()
        label = item["label"].as_tensor()[0].long()
        found = result["pred"].as_tensor()[0].cpu().long()
        affine = item["image"].affine.numpy()
        report = compute_volume_report(found.numpy(), affine, self.class_names)
        names = list(self.class_names.values())[1:]
        found = score_labelled(found, label, NOT_LABELLED)
        quality = {
            modality: dict(zip(("noise", "blur"), values, strict=True))
            for modality, values in zip(self.modalities, scores.tolist(), strict=True)
        }
        remarks = [item["warning"], *ImageQuality(self.limits, self.modalities).remarks(scores.tolist())]
        report |= {
            "image_quality": quality,
            "certainty": result["certainty"],
            "warnings": "; ".join(filter(None, remarks)),
        }
        drawn, compared = (
            compute_volume_report(labels.numpy(), affine, self.class_names)["volumes_ml"] for labels in (label, found)
        )
        return {
            "dice": dict(zip(names, compute_class_dice(found, label, range(1, len(names) + 1)).tolist(), strict=True)),
            "lesion_ml": compared[names[-1]],
            "drawn_ml": drawn[names[-1]],
            "certainty": report["certainty"],
            "volumes_ml": report["volumes_ml"],
            "quality": quality,
            "remarks": report["warnings"],
            "flags": case_flags({"status": "ok", "reason": ""}, report, self.load_limit, self.limits),
            "calibration": calibration(logits, label[brain[0].cpu() > 0]),
            "seconds": {"inference": inferred - started, "quality": scored - inferred, "rules": ruled - scored},
        }


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_reliability", "BRAINS", "cpu")
    parser.add_argument("--checkpoint", type=Path, default=RMR / "models" / "model.pt")
    parser.add_argument("--section", default="validation")
    parser.add_argument("--subjects", nargs="+", default=[], help="default: all of the section")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=0, help="of the degradations")
    given = parse(parser, arguments)
    shown = ["--dataset_dir BRAINS", *(["--subjects", *given.subjects] if given.subjects else [])]
    shown += ["--settings", *given.settings] if given.settings != list(SETTINGS) else []
    weights = weights_entry(given.checkpoint)
    pipeline = _Pipeline(given.checkpoint, given.device)
    runs = _earlier(given.out / "rmr_reliability.json", weights)
    load = Compose(
        [
            LoadModalitiesd(keys="image", label_key="label"),
            Orientationd(keys=["image", "brain", "label"], axcodes="RAS", labels=None),
        ]
    )
    report: dict[str, Any] = {}
    for case in resolve_cases(dataset_dir=given.dataset_dir, section=given.section):
        name = case["case"]
        wanted = [one for one in given.settings if f"{name} {one}" not in runs]
        if (given.subjects and name not in given.subjects) or not wanted:
            continue
        item = load(case)
        for setting in wanted:
            degrade = DegradeMixtured("image", output_key="", seed=given.seed, **SETTINGS[setting])
            degraded = degrade(dict(item))
            degraded["image"] = degraded["image"] * (item["brain"] > 0)
            runs[f"{name} {setting}"] = {"case": name, "setting": setting} | pipeline.run(degraded)
            facts = {"hardware": hardware(given.device), "weights": weights, "runs": runs}
            report = write_report("rmr_reliability", given.out, shown, facts, table)
            print(f"{name} {setting}: {runs[f'{name} {setting}']['flags']}", flush=True)
    return report or json.loads((given.out / "rmr_reliability.json").read_text("utf-8"))


def _earlier(path: Path, weights: Any) -> dict[str, dict]:
    """Runs of an earlier command with these weights."""
    if not path.is_file():
        return {}
    report = json.loads(path.read_text(encoding="utf-8"))
    return report["runs"] if report["weights"] == weights else {}


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    runs = list(result["runs"].values())
    return "\n\n".join([_run_table(runs), _temperature_table(runs), _flag_table(runs), _cost(runs)])


def _run_table(runs: Sequence[Mapping[str, Any]]) -> str:
    columns = ["subject", "input", "Dice tissues, lesions", "calibration error: classes, lesions"]
    columns += ["lesions, ml: drawn, found (at 0.95 to at 0.5)", "noise T1, FLAIR", "blur T1, FLAIR", "bad", "flags"]
    rows = []
    for run in runs:
        low, high = run["certainty"]["lesion_interval_ml"]
        error = run["calibration"]["temperatures"]["1"]["error"]
        row = [
            run["case"],
            run["setting"].replace("_", " "),
            f"{tissue_dice(run['dice']):.3f}, {run['dice']['WML']:.3f}",
            f"{error:.3f}, {run['calibration']['lesions']:.4f}",
            f"{run['drawn_ml']:.1f}, {run['lesion_ml']:.1f} ({low:.1f} to {high:.1f})",
            *(", ".join(f"{scores[kind]:.2f}" for scores in run["quality"].values()) for kind in ("noise", "blur")),
            "yes" if is_bad(run["dice"]) else "",
            " ".join(run["flags"]),
        ]
        rows.append(row)
    return markdown_table(columns, rows)


def _temperature_table(runs: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for title, chosen in (("clean", True), ("degraded", False)):
        some = [run["calibration"]["temperatures"] for run in runs if (run["setting"] == "clean") == chosen]
        for temperature in some[0] if some else ():
            means = [statistics.fmean(one[temperature][key] for one in some) for key in ("error", "log_likelihood")]
            rows.append([f"{title}, {len(some)}", temperature, *(f"{mean:.4f}" for mean in means)])
    return markdown_table(["input", "temperature", "calibration error", "negative log-likelihood"], rows)


def _flag_table(runs: Sequence[Mapping[str, Any]]) -> str:
    kinds: dict[str, Callable[[Mapping[str, Any]], bool]] = {
        "bad (tissues below 0.8 or lesions below 0.5)": lambda run: is_bad(run["dice"]),
        "degraded": lambda run: run["setting"] != "clean",
        "degraded, without structure loss alone": lambda run: run["setting"] not in ("clean", "structure"),
    }
    rows = []
    for title, meant in kinds.items():
        found, of, false, others = hits(runs, meant)
        rows.append([title, f"{found} of {of}", f"{false} of {others}"])
    return markdown_table(["cases", "flagged", "flagged among the others"], rows)


def _cost(runs: Sequence[Mapping[str, Any]]) -> str:
    total = {key: sum(run["seconds"][key] for run in runs) for key in ("inference", "quality", "rules")}
    share = {key: 100 * value / total["inference"] for key, value in total.items()}
    return (
        f"Processor seconds: inference {total['inference'] / len(runs):.1f} a case, the quality scores "
        f"{share['quality']:.1f} percent of that, rules, certainty and interval {share['rules']:.1f} percent."
    )


if __name__ == "__main__":
    print_report(main, table)
