"""MRBrainS and Prostate158 through the configs of RMR-Fusion, on tiny volumes in their layouts."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow

from benchmarks.toy_data import FEW_VERSIONS
from shared_networks.transforms import MapLabelsd
from tests.bundles.bundle_runs import TINY_VOLUMES, parse, run_workflow
from tests.bundles.prostate_tables import write_prostate_tables

TINY = TINY_VOLUMES | {"device": "$torch.device('cpu')"}


def test_mrbrains_labels_become_our_classes(write_rmr_case, rmr_bundle, tmp_path):
    write_rmr_case(tmp_path / "data" / "training" / "1", 1, labels=9)
    shutil.copytree(tmp_path / "data" / "training" / "1", tmp_path / "data" / "validation" / "2")
    keys = {"dataset_dir": str(tmp_path / "data"), "validation_size": [64, 64, 64], "bundle_root": str(rmr_bundle)}
    files = [str(rmr_bundle / "configs" / f"{name}.json") for name in ("train", "mrbrains")]
    workflow = ConfigWorkflow(files, workflow_type="train", **keys)
    workflow.initialize()
    raw = nib.load(tmp_path / "data" / "training" / "1" / "label.nii.gz").get_fdata()
    assert set(np.unique(raw)) == set(range(9))
    expected = [np.isin(raw, values).sum() for values in ([0, 7, 8], [5, 6], [1, 2], [3], [4])]
    for transforms in ("train#loading", "validate#preprocessing"):
        item = workflow.parser.get_parsed_content(f"{transforms.split('#')[0]}#dataset#data")[0]
        for transform in workflow.parser.get_parsed_content(transforms).transforms:
            item = transform(item)
            if "CropForeground" in type(transform).__name__:
                expected[0] = item["label"].numel() - sum(expected[1:])
        assert np.bincount(np.asarray(item["label"]).ravel(), minlength=5).tolist() == expected


def test_what_mrbrains_does_not_segment_is_background_in_a_perfect_evaluation(rmr_bundle):
    raw = torch.arange(11).repeat_interleave(60).reshape(1, 11, 10, 6)  # cerebellum 7 and brain stem 8 among them
    label = MapLabelsd(mapping="mrbrains")({"label": raw})["label"].long()
    logits = 30.0 * torch.nn.functional.one_hot(label[0], 5).movedim(-1, 0)
    output = torch.cat([logits, torch.zeros(1, *raw.shape[1:])])
    parser = parse(rmr_bundle, "train+mrbrains+evaluate", lesion_white_matter=0.0)
    item = {"pred": output, "image": torch.zeros(2, *raw.shape[1:])}
    found = parser.get_parsed_content("split")(item)["pred"]
    assert torch.equal(found.long(), label)
    dice = parser.get_parsed_content("segmentation_metrics#Dice_WM#metric_fn")
    dice(y_pred=found[None], y=label[None])
    assert dice.aggregate().item() == 1.0
    # Without the overlay every voxel of the brain is one of the tissues.
    tissue = parse(rmr_bundle, "train+evaluate").get_parsed_content("split")(item)["pred"]
    assert tissue.all()


def test_prostate_tables_train_both_stages_with_four_classes(write_rmr_case, rmr_bundle, tmp_path):
    data = write_prostate_tables(tmp_path / "data", write_rmr_case)
    folders = {"ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "eval")}
    keys = {**TINY, **folders, "dataset_dir": str(data), "bundle_root": str(rmr_bundle)}
    run_workflow(rmr_bundle, ["train_autoencoder", "prostate158_autoencoder"], "train", **keys)
    keys |= {"autoencoder_checkpoint": str(tmp_path / "autoencoder.pt")}
    workflow = run_workflow(rmr_bundle, ["train", "head_segresnet", "prostate158"], "train", **keys, **FEW_VERSIONS)
    assert workflow.parser.get_parsed_content("network").semantic_head.network(torch.rand(1, 18, 8, 8, 8)).shape[1] == 4
    metrics = workflow.parser.get_parsed_content("validate#evaluator").state.metrics
    assert metrics.keys() == {
        "val_mean_dice",
        "val_dice_transitional_zone",
        "val_dice_peripheral_zone",
        "val_dice_cancer",
    }
    item = workflow.parser.get_parsed_content("train#loading").transforms[0](
        workflow.parser.get_parsed_content("train#dataset#data")[0]
    )
    assert (np.asarray(item["label"]) == 3).sum() == 4 * 4 * 3


@pytest.mark.full
def test_the_two_real_prostate_cases_run_end_to_end(data_dir, rmr_bundle, tmp_path):
    folders = {"ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "eval")}
    keys = {**TINY, **folders, "dataset_dir": str(data_dir / "prostate"), "bundle_root": str(rmr_bundle)}
    run_workflow(rmr_bundle, ["train_autoencoder", "prostate158_autoencoder"], "train", **keys)
    keys |= {"autoencoder_checkpoint": str(tmp_path / "autoencoder.pt")}
    run_workflow(rmr_bundle, ["train", "head_segresnet", "prostate158"], "train", **keys, **FEW_VERSIONS)

    # The middle of the second case: whole ones take minutes on a CPU.
    middle = {}
    for name in ("t2", "adc"):
        image = nib.load(data_dir / "prostate" / "prostatex-0001" / f"{name}.nii.gz")
        middle[name] = tmp_path / f"p_{name}.nii.gz"
        nib.save(image.slicer[150:214, 150:214], middle[name])
    keys = {
        "t1": middle["t2"],
        "flair": middle["adc"],
        "modalities": ["t2", "adc"],
        "brain_checks": False,
        "classes": 4,
        "auxiliary_of": None,
        "lesion_class": 3,
        "class_names": ["background", "transitional zone", "peripheral zone", "cancer"],
        "checkpoint": tmp_path / "model.pt",
        "output_dir": tmp_path / "out",
        "device": "cpu",
    }
    run_workflow(rmr_bundle, ["inference", "head_segresnet"], "infer", **keys)
    (report,) = (tmp_path / "out").glob("*/*_report.json")
    assert set(json.loads(report.read_text())["volumes_ml"]) == {"transitional zone", "peripheral zone", "cancer"}
    original = nib.load(middle["t2"])
    for ending in ("fused", "seg"):
        (path,) = report.parent.glob(f"*_{ending}.nii.gz")
        result = nib.load(path)
        assert result.shape == original.shape and np.array_equal(result.affine, original.affine)
    assert np.asarray(result.dataobj).max() <= 3
