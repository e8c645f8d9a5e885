"""Global refinement: the order of its inputs and what the condition does."""

import torch
import torch.nn.functional as F

from shared_networks.blocks.global_refinement import GlobalRefinement


def test_equals_the_structure_of_the_released_checkpoint():
    torch.manual_seed(0)
    module = GlobalRefinement().double()
    other, mri, condition = (torch.randn(2, 32, 5, 7, dtype=torch.float64) for _ in range(3))
    scale = module.scale[2](F.leaky_relu(module.scale[0](condition), 0.1))
    shift = module.shift[2](F.leaky_relu(module.shift[0](condition), 0.1))
    merged = F.leaky_relu(module.merge[0](torch.cat([other, mri, scale], dim=1)), 0.01)
    torch.testing.assert_close(module([other, mri], condition), merged + shift, rtol=1e-12, atol=1e-12)
    swapped = module([mri, other], condition)
    assert (swapped - module([other, mri], condition)).abs().max() > 1e-3


def test_shift_alone_when_the_merge_is_zero():
    module = GlobalRefinement(4, 2)
    with torch.no_grad():
        for parameter in module.merge.parameters():
            parameter.zero_()
    condition = torch.rand(1, 2, 3, 3)
    torch.testing.assert_close(module([torch.rand(1, 4, 3, 3)], condition), module.shift(condition))
