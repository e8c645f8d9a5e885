"""Label maps: every known value, no unknown one."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from shared_networks.errors import InputError
from shared_networks.transforms import CheckLabelsd, MapLabelsd
from shared_networks.transforms.label_maps import whole_labels


def test_mrbrains_becomes_the_four_tissues():
    label = torch.arange(11, dtype=torch.uint8).view(1, 11, 1, 1)
    mapped = MapLabelsd(mapping="mrbrains")({"label": label})["label"]
    # background, cortical and basal grey, white, lesions, CSF, ventricles, cerebellum, brain stem, infarction, other
    assert mapped.flatten().tolist() == [0, 2, 2, 3, 4, 1, 1, 0, 0, 0, 0] and mapped.dtype == torch.uint8


def test_named_maps_of_finished_labels_change_nothing():
    for name, classes in (("tissue", 5), ("prostate", 4)):
        label = np.arange(classes, dtype=np.float32)[None]
        mapped = MapLabelsd(mapping=name)({"label": label})["label"]
        assert mapped.dtype == np.uint8 and np.array_equal(mapped, label)


def test_a_map_from_json_and_the_meta_data():
    affine = torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0], dtype=torch.float64))
    label = MetaTensor(torch.tensor([[[[0.0, 255.0]]]]), affine=affine, meta={"label_filename": "a.nii.gz"})
    mapped = MapLabelsd(mapping={"0": 0, "255": 1})({"label": label})["label"]
    assert mapped.flatten().tolist() == [0, 1]
    assert torch.equal(mapped.affine, affine) and mapped.meta["label_filename"] == "a.nii.gz"


@pytest.mark.parametrize("value", [5, 255, -1, 0.5, 300])
def test_unknown_values_are_refused_with_the_file(value):
    label = MetaTensor(torch.tensor([[[[0.0, float(value)]]]]), meta={"label_filename": "p1/label.nii.gz"})
    with pytest.raises(InputError) as caught:
        MapLabelsd()({"label": label})
    text = str(caught.value)
    assert text.startswith(f"p1/label.nii.gz: values {value} are not in the label map; expected 0, 1, 2, 3, 4")


def test_missing_labels():
    assert MapLabelsd(allow_missing_keys=True)({"image": 1}) == {"image": 1}
    with pytest.raises(KeyError):
        MapLabelsd()({"image": 1})


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("mrbrain", "unknown; give one of mrbrains"),
        ({"a": 1}, "whole numbers"),
        ({300: 1}, "0..255"),
        ({1: -1}, "0..255"),
    ],
)
def test_maps_that_are_none(mapping, message):
    with pytest.raises(InputError, match=message):
        MapLabelsd(mapping=mapping)


@pytest.mark.parametrize(
    ("values", "allowed", "others"),
    [
        ([0, 4], range(5), ""),
        ([0, 255], [*range(5), 255], ""),
        ([0, 255], range(5), "value 255"),
        ([5, 7, 0], range(5), "values 5, 7"),
        ([10, 0], "mrbrains", ""),
        ([11, 0], "mrbrains", "value 11"),
        ([3], {"3": 1}, ""),
        ([0, 3], {"3": 1}, "value 0"),
        ([1.5, 1], range(5), "value 1.5"),
    ],
)
def test_other_labels_are_refused(values, allowed, others):
    label = MetaTensor(torch.tensor(values).view(1, -1, 1, 1), meta={"label_filename": "x/label.nii"})
    check = CheckLabelsd("label", allowed, allow_missing_keys=True)
    if not others:
        checked = check({"label": label, "warning": "dark"})
        assert checked["label"] is label
        left_out = "; x/label.nii: 1 voxels of label 255 are left out as not labelled: set ignore_label to None to "
        assert checked["warning"] == (f"dark{left_out}refuse them" if 255 in values else "dark")
        assert check({"image": 1}) == {"image": 1}
        return
    with pytest.raises(InputError) as caught:
        check({"label": label})
    assert str(caught.value).startswith(f"x/label.nii: {others} in the label, expected ")
    assert str(caught.value).endswith(": correct the file, or set classes, label_map or ignore_label.")


def test_labels_with_rounding_errors_are_whole_and_others_stay():
    values = np.array([0.0, 2.00003, 2.99998, 1.5, 254.9995], np.float32)
    assert np.array_equal(whole_labels(values), np.array([0, 2, 3, 1.5, 255], np.float32))
