"""Label map and fused volume out of the network's one tensor."""

import torch
from monai.data import MetaTensor

from shared_networks.transforms import SplitSegmentationd


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
