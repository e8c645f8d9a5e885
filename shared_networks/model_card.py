"""The model card of a bundle for Hugging Face: front matter and a short text, made of ``metadata.json``."""

from collections.abc import Mapping
from typing import Any

import yaml

_TYPES = {"Dice": "dice", "F1": "f1", "HD95": "hausdorff_distance"}
"""First part of a measure's name -> type of Hugging Face; others keep their name."""


def model_card(metadata: Mapping[str, Any]) -> str:
    """``README.md`` for the top of a bundle's folder, which Hugging Face shows, by its ``configs/metadata.json``.

    The front matter has licence, library, task, tags and the measures of ``eval_metrics`` as a model index: numbers
    only.
    """
    evaluated = metadata.get("eval_metrics", {})
    measures = {name: value for name, value in evaluated.items() if isinstance(value, (int, float))}
    prediction = metadata["network_data_format"]["outputs"]["pred"]
    segments = prediction["format"] == "segmentation"
    task = "image-segmentation" if segments else "image-to-image"
    name = metadata["name"].partition(":")[0]
    kinds = dict.fromkeys(_kind(measure) for measure in measures)
    front = {
        "license": "apache-2.0",
        "library_name": "monai",
        "pipeline_tag": task,
        "tags": ["monai", "medical", "mri", "image-fusion", *(["image-segmentation"] if segments else [])],
        "metrics": list(kinds),
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": task, "name": metadata["task"]},
                        "dataset": {"name": "validation cases of docs/README.md", "type": "other"},
                        "metrics": [
                            {"type": _kind(measure), "name": measure, "value": value}
                            for measure, value in measures.items()
                        ],
                    }
                ],
            }
        ],
    }
    references = "\n".join(f"- {reference}" for reference in metadata.get("references", []))
    text = f"""
# {metadata["name"]}

{metadata["description"]}

**Intended use.** {metadata["intended_use"]}

**Data.** {metadata["data_source"]}

**Measures.** Made by `{evaluated.get("command", "the commands in docs")}`.

How to run, train and measure it is in [docs/README.md](docs/README.md). A MONAI bundle, version {metadata["version"]},
for MONAI {metadata["monai_version"]}.

## References

{references}

{metadata["authors"]}
"""
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=120)}---\n{text}"


def _kind(measure: str) -> str:
    """``clean Dice_WML`` -> ``dice``."""
    first = measure.split()[-1].partition("_")[0]
    return _TYPES.get(first, first.lower())
