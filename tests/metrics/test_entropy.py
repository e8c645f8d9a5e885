import pytest
import torch
from skimage.measure import shannon_entropy

from shared_networks.metrics import compute_entropy


def test_constant_image_has_no_entropy():
    image = torch.full((1, 1, 8, 8), 77.0)
    assert compute_entropy(image, image, image).item() == 0.0


@pytest.mark.parametrize("levels", [2, 4, 256])
def test_equally_frequent_levels_give_the_logarithm_of_their_number(levels):
    image = torch.arange(1024).remainder(levels).view(1, 1, 32, 32).float()
    assert compute_entropy(image, image, image).item() == pytest.approx(torch.log2(torch.tensor(levels)).item())


def test_equals_scikit_image(triplet):
    value = compute_entropy(*triplet)
    expected = [shannon_entropy(image.numpy(), base=2) for image in triplet[0]]
    assert value.tolist() == pytest.approx(expected, abs=1e-12)


def test_rounds_to_whole_levels(triplet):
    fused, a, b = triplet
    shifted = fused + 0.4 * torch.linspace(-1, 1, fused[0].numel()).view(1, *fused.shape[1:])
    assert torch.equal(compute_entropy(shifted, a, b), compute_entropy(fused, a, b))
