"""Convolution of a concatenation that is never built."""

import torch
import torch.nn.functional as F

__all__ = ["convolve_concatenation"]


def convolve_concatenation(inputs: list[torch.Tensor], weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Zero-padded convolution of the channel concatenation of ``inputs``, as a sum of one convolution for each.

    A convolution is linear in its input channels, so the sum is the same up to rounding, and the copy that
    ``torch.cat`` makes is saved.

    Args:
        inputs: tensors B x C_k x H x W.
        weight: C_out x C_in x K x K, K odd, C_in = the sum of all C_k.
        bias: C_out, if any.

    Returns:
        B x C_out x H x W.
    """
    padding = weight.shape[2] // 2
    start = inputs[0].shape[1]
    total = F.conv2d(inputs[0], weight[:, :start], bias, padding=padding)
    for part in inputs[1:]:
        end = start + part.shape[1]
        total = total.add_(F.conv2d(part, weight[:, start:end], padding=padding))
        start = end
    return total
