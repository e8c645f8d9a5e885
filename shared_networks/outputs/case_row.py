"""One case of a run as a row of numbers and words, by its entry in the log and its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared_networks.errors import CaseStatus
from shared_networks.metrics.lesion_regions import REGIONS

__all__ = ["case_flags", "case_row", "row_columns"]

_LESIONS = ("lesion_count", "lesion_load_percent", "largest_lesion_ml", "small_lesion_count", "small_lesion_ml")


def row_columns(inputs: Sequence[str], class_names: Sequence[str] = (), by_region: bool = False) -> list[str]:
    """Names of the columns of a table of cases.

    Args:
        inputs: names of the sources, whose files are the last columns.
        class_names: classes of the label map, the background first and the lesions last; () for no label map.
        by_region: with number and volume of the lesions in each region.
    """
    volumes = [f"{name}_ml" for name in class_names[1:]]
    lesions = list(_LESIONS) if class_names else []
    regions = [f"{region}_{what}" for region in REGIONS for what in ("count", "ml")] if by_region else []
    return ["case", "status", "flags", *volumes, *lesions, *regions, "seconds", "warnings", *inputs]


def case_row(
    entry: Mapping[str, Any], report: Mapping[str, Any], columns: Sequence[str], highest_lesion_load: float = 5.0
) -> dict[str, Any]:
    """The values of a case; '' where there is none.

    Args:
        entry: of :class:`shared_networks.data.CaseLog`.
        report: content of ``<case>_report.json``; {} without one.
        columns: of :func:`row_columns`.
        highest_lesion_load: see :func:`case_flags`.
    """
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
        "case": entry["case"],
        "status": entry["status"],
        "flags": " ".join(case_flags(entry, report, highest_lesion_load)),
        "seconds": entry.get("seconds", ""),
        # A skipped case's reason says that it was done before; its remarks are in the report of then.
        "warnings": report.get("warnings", "") if entry["status"] == CaseStatus.SKIPPED else entry["reason"],
        **report.get("inputs", {}),
    }
    return {column: values.get(column, "") for column in columns}


def case_flags(entry: Mapping[str, Any], report: Mapping[str, Any], highest_lesion_load: float = 5.0) -> list[str]:
    """Why a person should look at a case before using its numbers; [] for no reason.

    ``refused``: there is no result; ``warning``: the loader remarked something; ``one_modality``: T1 or FLAIR was
    missing; ``no_CSF`` and the like: a class that every brain has is empty; ``lesion_load``: the lesions are a larger
    part of what was segmented than ``highest_lesion_load`` percent.

    Args:
        entry: of :class:`shared_networks.data.CaseLog`.
        report: content of ``<case>_report.json``.
        highest_lesion_load: in percent.
    """
    if entry["status"] == CaseStatus.REFUSED:
        return ["refused"]
    flags = ["warning"] if report.get("warnings", entry["reason"]) else []
    flags += ["one_modality"] if report.get("missing_modality") else []
    # The last class is the lesions, which a case may be without.
    flags += [f"no_{name}" for name, volume in list(report.get("volumes_ml", {}).items())[:-1] if not volume]
    flags += ["lesion_load"] if report.get("lesion_load_percent", 0.0) > highest_lesion_load else []
    return flags
