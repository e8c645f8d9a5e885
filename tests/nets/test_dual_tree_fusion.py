import sys

import numpy as np
import pytest
import torch

from shared_networks.errors import InputError
from shared_networks.nets import DualTreeFusion
from shared_networks.nets.dual_tree_fusion import _NumpyWithRemovedNames


def test_removed_names_do_what_they_did():
    numpy = _NumpyWithRemovedNames()
    assert numpy.asfarray(np.array([1, 2]), dtype=np.dtype(np.int32)).dtype == np.float64
    assert numpy.asfarray(np.array([1], np.float32), dtype=np.dtype(np.float32)).dtype == np.float32
    assert numpy.asfarray(np.array([1j], np.complex64), dtype=np.dtype(np.complex64)).dtype == np.complex64
    assert numpy.issubsctype(np.dtype(np.float32), np.float32)
    assert not numpy.issubsctype(np.dtype(np.float32), np.complex64)
    assert numpy.sqrt is np.sqrt


def test_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "dtcwt", None)
    with pytest.raises(InputError, match=r"pip install --no-deps dtcwt"):
        DualTreeFusion()


@pytest.fixture
def network():
    pytest.importorskip("dtcwt", reason="needs the optional package dtcwt")
    return DualTreeFusion(levels=3)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (33, 46), (33, 21, 10), (8, 8, 1)])
def test_equal_sources_come_back_at_any_size(network, size):
    source = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1))
    fused = network(torch.cat([source, source], dim=1))
    assert fused.shape == source.shape and fused.dtype == source.dtype
    assert torch.allclose(fused, source, atol=1e-6)


@pytest.mark.parametrize("size", [(33, 46), (20, 24, 16)])
def test_lowpass_is_averaged_and_details_are_chosen(network, size):
    generator = torch.Generator().manual_seed(2)
    flat = torch.full((1, 1, *size), 0.2)
    texture = 0.5 + 0.2 * torch.rand(1, 1, *size, generator=generator)
    fused = network(torch.cat([flat, texture], dim=1))
    # A flat source has no details: all of the texture's are kept, and half of the difference of the means.
    assert float(fused.mean()) == pytest.approx((0.2 + float(texture.mean())) / 2, abs=0.01)
    kept = torch.corrcoef(torch.stack([fused.flatten(), texture.flatten()]))[0, 1]
    assert kept > 0.95
    swapped = network(torch.cat([texture, flat], dim=1))
    assert torch.allclose(fused, swapped, atol=1e-6)
