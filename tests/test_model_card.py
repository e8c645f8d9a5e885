"""The model card: what Hugging Face reads, against the bundles' metadata."""

import json

import pytest
import yaml

from shared_networks.model_card import model_card
from shared_networks.release import check_release


def parts(metadata):
    """Front matter and text of the card."""
    _, front, text = model_card(metadata).split("---\n", 2)
    return yaml.safe_load(front), text


def test_front_matter_of_a_segmentation(rmr_bundle):
    metadata = json.loads((rmr_bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    metadata["eval_metrics"] = {"clean Dice_WML": 0.5, "clean HD95_WML": 30, "degraded SCD": -0.25, "command": "run it"}
    front, text = parts(metadata)
    assert (front["license"], front["library_name"], front["pipeline_tag"]) == (
        "apache-2.0",
        "monai",
        "image-segmentation",
    )
    assert {"monai", "medical", "image-segmentation"} <= set(front["tags"])
    assert front["metrics"] == ["dice", "hausdorff_distance", "scd"]
    (entry,) = front["model-index"]
    assert entry["name"] == "RMR-Fusion"
    assert entry["results"][0]["metrics"] == [
        {"type": "dice", "name": "clean Dice_WML", "value": 0.5},
        {"type": "hausdorff_distance", "name": "clean HD95_WML", "value": 30},
        {"type": "scd", "name": "degraded SCD", "value": -0.25},
    ]
    assert "`run it`" in text and metadata["intended_use"] in text and metadata["references"][0] in text


@pytest.mark.parametrize(("name", "task"), [("rmr_bundle", "image-segmentation"), ("gesenet_bundle", "image-to-image")])
def test_both_bundles_have_numbers_in_their_card(request, name, task):
    metadata = check_release(request.getfixturevalue(name))
    front, _ = parts(metadata)
    numbers = [value for value in metadata["eval_metrics"].values() if isinstance(value, float)]
    assert [entry["value"] for entry in front["model-index"][0]["results"][0]["metrics"]] == numbers
    assert front["pipeline_tag"] == task and len(numbers) > 10
