"""Label map and fused volume out of the network's one tensor."""

import pytest
import torch
from monai.data import MetaTensor

from shared_networks.errors import InputError
from shared_networks.transforms import SegmentationCertaintyd, SplitSegmentationd


def test_label_is_the_largest_logit_and_fused_is_clamped():
    output = torch.tensor([[2.0, -1.0], [0.0, 3.0], [1.0, 0.0], [1.7, -0.2]]).view(4, 2, 1, 1)
    item = SplitSegmentationd()({"pred": output})
    assert item["pred"].flatten().tolist() == [0, 1]
    assert item["pred"].dtype == torch.uint8
    assert item["fused"].flatten().tolist() == [1.0, 0.0]


def test_geometry_is_kept():
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    item = SplitSegmentationd()({"pred": MetaTensor(torch.rand(6, 3, 4, 5), affine=affine)})
    for key in ("pred", "fused"):
        assert item[key].shape == (1, 3, 4, 5)
        assert torch.equal(item[key].affine, affine)


def output_of(probability, affine=None):
    """Network output whose softmax is ``probability`` (classes x spatial)."""
    output = torch.cat([probability.clamp_min(1e-6).log(), torch.zeros_like(probability[:1])])
    return output if affine is None else MetaTensor(output, affine=affine)


def test_lesion_is_where_its_probability_reaches_the_threshold():
    probability = torch.tensor([[0.1, 0.3, 0.1], [0.5, 0.3, 0.1], [0.4, 0.4, 0.8]]).view(3, 3, 1, 1)
    cases = (None, [1, 2, 2]), (0.399, [2, 2, 2]), (0.401, [1, 0, 2]), (0.799, [1, 0, 2]), (0.801, [1, 0, 0])
    for threshold, expected in cases:
        split = SplitSegmentationd(lesion_class=2, lesion_threshold=threshold, probability_key="lesion")
        item = split({"pred": output_of(probability)})
        assert item["pred"].flatten().tolist() == expected, threshold
        assert torch.allclose(item["lesion"].flatten(), probability[2].flatten(), atol=1e-6)


def test_lesions_below_the_smallest_volume_become_the_other_class():
    lesion = torch.zeros(6, 5, 4)
    lesion[0, 0, 0] = lesion[1, 1, 1] = 1  # touch at a corner: one lesion of two voxels
    lesion[4, 4, 3] = 1
    probability = torch.stack([0.4 * (1 - lesion), 0.6 - 0.2 * lesion, 0.6 * lesion])
    affine = torch.diag(torch.tensor([2.0, 2.5, 10.0, 1.0], dtype=torch.float64))  # 0.05 ml a voxel
    for smallest, voxels in ((0.0, 3), (0.05, 3), (0.051, 2), (0.1, 2), (0.11, 0)):
        split = SplitSegmentationd(lesion_class=2, smallest_lesion_ml=smallest)
        labels = split({"pred": output_of(probability, affine)})["pred"]
        assert (labels == 2).sum() == voxels
        assert torch.equal(labels.affine, affine)
        assert (labels[labels != 2] == 1).all()


def test_small_lesions_are_counted_inside_the_brain():
    lesion = torch.zeros(6, 5, 4)
    lesion[0, 0, 0] = lesion[3, 0, 0] = lesion[5, 4, 3] = 1
    lesion[0, 4, 0:3] = 1
    probability = torch.stack([0.4 * (1 - lesion), 0.6 - 0.2 * lesion, 0.6 * lesion])
    affine = torch.diag(torch.tensor([2.0, 2.5, 10.0, 1.0], dtype=torch.float64))  # 0.05 ml a voxel
    split = SplitSegmentationd(lesion_class=2, smallest_lesion_ml=0.1)
    item = {"pred": output_of(probability, affine)}
    assert split(item)["small_lesions"] == {"count": 3, "volume_ml": 0.15}
    brain = torch.ones(1, 6, 5, 4)
    brain[0, 5] = 0
    within = SplitSegmentationd(lesion_class=2, smallest_lesion_ml=0.1, mask_key="brain")
    assert within(item | {"brain": brain})["small_lesions"] == {"count": 2, "volume_ml": 0.1}
    # In evaluation the mask is that of the whole grid, and the output that of a part.
    assert split(item | {"brain": torch.ones(1, 9, 9, 9)})["small_lesions"] == {"count": 3, "volume_ml": 0.15}
    assert "small_lesions" not in SplitSegmentationd(lesion_class=2)(item)


def test_lesions_whose_place_is_not_white_matter_become_what_is_there():
    """Two lesions of four voxels: one of them has two, the other four, that were white matter otherwise."""
    lesion, matter = torch.zeros(2, 6, 5, 4)
    lesion[0, 0, :4] = lesion[3, 0, :4] = 1
    matter[3:] = matter[0, 0, :2] = 1
    probability = torch.stack([0.4 * (1 - lesion) * (1 - matter), 0.4 * (1 - matter), 0.4 * matter, 0.6 * lesion])
    for least, voxels in ((0.0, 8), (0.5, 8), (0.51, 4), (1.0, 4)):
        split = SplitSegmentationd(lesion_class=3, least_white_matter=least, white_matter=2)
        labels = split({"pred": output_of(probability)})["pred"]
        assert (labels == 3).sum() == voxels
        assert (labels[0, 3, 0] == 3).all()
    assert labels[0, 0, 0].tolist() == [2, 2, 1, 1]


def test_bright_voxels_have_a_threshold_of_their_own():
    """Grey matter of 0.4, 0.5, 0.6 on FLAIR has a deviation of 0.148: bright is what lies above 0.797."""
    flair = torch.tensor([0.4, 0.5, 0.6, 0.79, 0.81, 0.81, 0.9])
    lesion = torch.tensor([0.0, 0.0, 0.0, 0.3, 0.3, 0.09, 0.75])
    matter = torch.tensor([0.0, 0.0, 0.0, 0.6, 0.6, 0.6, 0.2])
    probability = torch.stack([torch.zeros(7), torch.zeros(7), 1 - lesion - matter, matter, lesion]).view(5, 7, 1, 1)
    item = {"pred": output_of(probability), "image": torch.stack([torch.zeros(7), flair]).view(2, 7, 1, 1)}

    def labels(**keywords):
        return SplitSegmentationd(lesion_threshold=0.7, **keywords)(item)["pred"].flatten().tolist()

    assert labels() == [2, 2, 2, 3, 3, 3, 4]
    assert labels(lesion_brightness=2.0, bright_lesion_threshold=0.1) == [2, 2, 2, 3, 4, 3, 4]
    assert labels(lesion_brightness=2.0) == labels()
    # A bright lesion needs no white matter.
    assert labels(lesion_brightness=2.0, bright_lesion_threshold=0.1, least_white_matter=1.0)[4] == 4
    item["image"] = torch.zeros(2, 7, 1, 1)
    assert labels(lesion_brightness=2.0, bright_lesion_threshold=0.1) == labels()


def test_the_image_gives_its_values_and_not_its_meta_data():
    probability = torch.tensor([[0.1, 0.1], [0.2, 0.2], [0.6, 0.1], [0.1, 0.6], [0.0, 0.0]]).view(5, 2, 1, 1)
    affine = torch.diag(torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64))
    image = MetaTensor(torch.rand(2, 2, 1, 1), affine=affine)
    split = SplitSegmentationd(lesion_threshold=0.5, lesion_brightness=2.0, bright_lesion_threshold=0.1)
    assert not isinstance(split({"pred": output_of(probability), "image": image})["pred"], MetaTensor)
    kept = split({"pred": output_of(probability, 2 * affine), "image": image})["pred"]
    assert torch.equal(kept.affine, 2 * affine)


def test_without_background_the_next_class_is_taken():
    probability = torch.tensor([[0.8, 0.1, 0.6], [0.15, 0.7, 0.1], [0.05, 0.2, 0.3]]).view(3, 3, 1, 1)
    for lesion_class, threshold in ((None, None), (2, None), (2, 0.9)):
        split = SplitSegmentationd(lesion_class=lesion_class, lesion_threshold=threshold, without_background=True)
        labels = split({"pred": output_of(probability)})["pred"].flatten().tolist()
        assert labels == ([1, 1, 2] if threshold is None else [1, 1, 1])


def test_without_a_lesion_class_the_largest_logit_decides():
    probability = torch.tensor([[0.1, 0.3], [0.2, 0.3], [0.7, 0.4]]).view(3, 2, 1, 1)
    split = SplitSegmentationd(lesion_class=None, lesion_threshold=0.85, smallest_lesion_ml=1.0)
    assert split({"pred": output_of(probability)})["pred"].flatten().tolist() == [2, 2]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"lesion_threshold must be in \(0, 1\)"):
        SplitSegmentationd(lesion_threshold=1.5)
    with pytest.raises(ValueError, match=r"bright_lesion_threshold must be in \(0, 1\)"):
        SplitSegmentationd(bright_lesion_threshold=0.0)
    for brightness in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="lesion_brightness must be above 0 or None"):
            SplitSegmentationd(lesion_brightness=brightness)
    with pytest.raises(ValueError, match="smallest_lesion_ml must be at least 0"):
        SplitSegmentationd(smallest_lesion_ml=-1.0)
    with pytest.raises(ValueError, match=r"least_white_matter must be in \[0, 1\]"):
        SplitSegmentationd(least_white_matter=75)


@pytest.mark.parametrize("lesion_class", [3, -1])
def test_a_class_that_the_network_does_not_have(lesion_class):
    item = {"pred": output_of(torch.rand(3, 2, 2, 2)), "brain": torch.ones(1, 2, 2, 2)}
    for transform in (
        SplitSegmentationd(lesion_class=lesion_class, lesion_threshold=0.5),
        SegmentationCertaintyd("pred", "brain", lesion_class),
    ):
        with pytest.raises(InputError, match=f"lesion_class must be at least 0 and below 3, got {lesion_class}"):
            transform(item)
