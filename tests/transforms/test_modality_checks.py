"""Whether T1 and FLAIR are in their order, and are images."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from shared_networks.transforms.modality_checks import look_swapped, value_remarks


def ball(radius=50, size=60, step=2):
    """Mask of a ball in voxels of 2 mm, and the depth below its surface in mm."""
    x, y, z = np.mgrid[-size : size + 1 : step, -size : size + 1 : step, -size : size + 1 : step]
    brain = x**2 + y**2 + z**2 <= radius**2
    return brain, distance_transform_edt(brain, sampling=[step] * 3)


def test_order_is_told_by_the_brightness_of_the_depth():
    brain, depth = ball()
    t1 = np.where(depth > 12, 1.0, 0.7) * brain
    flair = np.where(depth > 12, 0.8, 0.9) * brain
    spacing = np.array([2.0, 2.0, 2.0])
    assert not look_swapped(t1, flair, brain, spacing)
    assert look_swapped(flair, t1, brain, spacing)


def test_too_little_brain_is_not_judged():
    brain, depth = ball(radius=10)
    assert not look_swapped(brain * 1.0, depth, brain, np.array([2.0, 2.0, 2.0]))


def test_real_brains(data_dir):
    from shared_networks.data import resolve_cases
    from shared_networks.transforms import LoadModalitiesd

    for case in resolve_cases(dataset_dir=data_dir / "brain"):
        if case["case"] in ("open_ms-19", "mahdi_ms5-105755", "longitudinal-19s2"):
            assert LoadModalitiesd(label_key="")(case)["warning"] == ""
            swapped = LoadModalitiesd(label_key="")({**case, "image": case["image"][::-1]})
            assert swapped["warning"] == "t1 and flair look swapped; check flair.nii.gz and t1.nii.gz"


def test_negatives_and_label_maps_are_named():
    values = np.linspace(0, 100, 8000).reshape(20, 20, 20)
    assert value_remarks(values, "t1") == value_remarks(values - 50, "t1") == value_remarks(values * 0, "t1") == []
    assert value_remarks(-values, "t1") == ["t1: no value is above 0; is it a negative, or were values moved?"]
    assert value_remarks(np.round(values / 50), "t1") == ["t1: only 3 different values; is it a mask or a label map?"]
