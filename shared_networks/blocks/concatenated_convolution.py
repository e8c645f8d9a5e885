"""Convolution of a concatenation that is never built."""

import torch
import torch.nn.functional as F


def convolve_concatenation(inputs: list[torch.Tensor], weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Zero-padded convolution of the channel concatenation of tensors B x C_k x spatial (2D or 3D) -> B x C_out x
    spatial.

    A convolution is linear in its input channels, so a sum of one convolution for each is the same up to rounding, and
    the copy that ``torch.cat`` makes is saved. The weight is C_out x sum of C_k x K x K (x K), K odd.
    """
    padding = weight.shape[2] // 2
    start = inputs[0].shape[1]
    total = _convolve(inputs[0], weight[:, :start], bias, padding)
    for part in inputs[1:]:
        end = start + part.shape[1]
        total = total.add_(_convolve(part, weight[:, start:end], None, padding))
        start = end
    return total


def _convolve(image: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, padding: int) -> torch.Tensor:
    if weight.dim() == 5:
        return F.conv3d(image, weight, bias, padding=padding)
    return F.conv2d(image, weight, bias, padding=padding)
