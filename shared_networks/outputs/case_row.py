"""One case of a run as a row of numbers and words, by its entry in the log and its report."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from shared_networks.errors import CaseStatus
from shared_networks.metrics.image_quality import scores_above
from shared_networks.metrics.lesion_regions import REGIONS

_LESIONS = ("lesion_count", "lesion_load_percent", "largest_lesion_ml", "small_lesion_count", "small_lesion_ml")
_CERTAINTY = ("uncertain_lesion_ml", "mean_probability")
_SCORES = ("noise", "blur")


def row_columns(
    inputs: Sequence[str], class_names: Sequence[str] = (), by_region: bool = False, reviewed: bool = False
) -> list[str]:
    """Names of the columns of a table of cases.

    Args:
        inputs: names of the sources, whose files are the last columns.
        class_names: classes of the label map, the background first and the lesions last; () for no label map.
        by_region: with number and volume of the lesions in each region.
        reviewed: with what the segmentation's probabilities and the image quality say.
    """
    volumes = [f"{name}_ml" for name in class_names[1:]]
    lesions = list(_LESIONS) if class_names else []
    regions = [f"{region}_{what}" for region in REGIONS for what in ("count", "ml")] if by_region else []
    review = [f"{class_names[-1]}_low_ml", f"{class_names[-1]}_high_ml", *_CERTAINTY] if reviewed else []
    review += [f"{score}_{name}" for name in inputs for score in _SCORES] if reviewed else []
    return ["case", "status", "flags", *volumes, *lesions, *regions, *review, "seconds", "warnings", *inputs]


def case_row(
    entry: Mapping[str, Any],
    report: Mapping[str, Any],
    columns: Sequence[str],
    highest_lesion_load: float = 5.0,
    limits: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The values of a case; '' where there is none.

    Args:
        entry: of :class:`shared_networks.data.CaseLog`.
        report: content of ``<case>_report.json``; {} without one.
        columns: of :func:`row_columns`.
        highest_lesion_load: see :func:`case_flags`.
        limits: the same.
    """
    certainty = report.get("certainty", {})
    low, high = certainty.get("lesion_interval_ml", ("", ""))
    lesion_class = list(report.get("volumes_ml", {"": 0.0}))[-1]
    lesions = report.get("lesion_volumes_ml", [])
    small = report.get("small_lesions", {})
    values = {
        **{f"{name}_ml": volume for name, volume in report.get("volumes_ml", {}).items()},
        "lesion_count": report.get("lesion_count", ""),
        "lesion_load_percent": report.get("lesion_load_percent", ""),
        "largest_lesion_ml": lesions[0] if lesions else 0.0 if "lesion_count" in report else "",
        "small_lesion_count": small.get("count", ""),
        "small_lesion_ml": small.get("volume_ml", ""),
        **{
            f"{region}_{what}": found[key]
            for region, found in report.get("lesions_by_region", {}).items()
            for what, key in (("count", "count"), ("ml", "volume_ml"))
        },
        f"{lesion_class}_low_ml": low,
        f"{lesion_class}_high_ml": high,
        **{name: certainty.get(name, "") for name in _CERTAINTY},
        **{
            f"{score}_{name}": "" if value is None else value
            for name, scores in report.get("image_quality", {}).items()
            for score, value in scores.items()
        },
        "case": entry["case"],
        "status": entry["status"],
        "flags": " ".join(case_flags(entry, report, highest_lesion_load, limits)),
        "seconds": entry.get("seconds", ""),
        # A skipped case's reason says that it was done before; its remarks are in the report of that run.
        "warnings": report.get("warnings", "") if entry["status"] == CaseStatus.SKIPPED else entry["reason"],
        **report.get("inputs", {}),
    }
    return {column: values.get(column, "") for column in columns}


def case_flags(
    entry: Mapping[str, Any],
    report: Mapping[str, Any],
    highest_lesion_load: float = 5.0,
    limits: Mapping[str, Any] | None = None,
) -> list[str]:
    """Why a person should look at a case before using its numbers; [] for no reason.

    - ``refused``: there is no result.
    - ``warning``: the loader had a warning.
    - ``one_modality``: T1 or FLAIR was missing.
    - ``no_CSF`` and the like: a class that every brain has is empty.
    - ``lesion_load``: the lesions are a larger part of what was segmented than ``highest_lesion_load`` percent.

    And with ``limits``:

    - ``noise_t1``, ``blur_flair`` and the like: a quality score is above that of ``limits["noise"]["t1"]``.
    - ``unusual_CSF`` and the like: percent of everything segmented outside ``limits["percent"]["CSF"]`` (lowest,
      highest); ``unusual_total``: its volume outside ``limits["total_ml"]``. Only where all classes of the limits are.
    - ``uncertain``: the mean probability of the chosen classes is below ``limits["mean_probability"]``.
    - ``uncertain_lesions``: the volume of uncertain lesion voxels is above ``limits["uncertain_lesions"]`` times that
      of the lesions, and above as many ml.

    Args:
        entry: of :class:`shared_networks.data.CaseLog`.
        report: content of ``<case>_report.json``.
        highest_lesion_load: in percent.
        limits: see above; a check without limits is left out.
    """
    if entry["status"] == CaseStatus.REFUSED:
        return ["refused"]
    volumes = report.get("volumes_ml", {})
    flags = ["warning"] if report.get("warnings", entry["reason"]) else []
    flags += ["one_modality"] if report.get("missing_modality") else []
    # The last class is the lesions, which a case may be without.
    flags += [f"no_{name}" for name, volume in list(volumes.items())[:-1] if not volume]
    flags += ["lesion_load"] if report.get("lesion_load_percent", 0.0) > highest_lesion_load else []
    return flags + _limit_flags(report, volumes, limits or {})


def _limit_flags(report: Mapping[str, Any], volumes: Mapping[str, float], limits: Mapping[str, Any]) -> list[str]:
    flags = [f"{kind}_{name}" for name, kind, *_ in scores_above(report.get("image_quality", {}), limits)]
    total = sum(volumes.values())
    shares = limits.get("percent", {})
    if total and set(shares) <= set(volumes):
        flags += [
            f"unusual_{name}" for name, (low, high) in shares.items() if not low <= 100 * volumes[name] / total <= high
        ]
        low, high = limits.get("total_ml", (0.0, math.inf))
        flags += [] if low <= total <= high else ["unusual_total"]
    certainty = report.get("certainty", {})
    flags += ["uncertain"] if certainty.get("mean_probability", 1.0) < limits.get("mean_probability", 0.0) else []
    factor = limits.get("uncertain_lesions", math.inf)
    lesions = list(volumes.values())[-1] if volumes else 0.0
    if certainty.get("uncertain_lesion_ml", 0.0) > factor * max(1.0, lesions):
        flags.append("uncertain_lesions")
    return flags
