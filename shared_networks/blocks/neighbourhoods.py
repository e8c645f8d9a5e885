"""Pixels picked from feature maps together with their 3x3 neighbourhood, for convolutions at a few places only."""

import torch


def pixel_rows(features: torch.Tensor) -> torch.Tensor:
    """Feature maps B x C x H x W as one row of channels for each pixel, (B H W) x C; a view if they are
    ``channels_last``.
    """
    return features.permute(0, 2, 3, 1).reshape(
        features.shape[0] * features.shape[2] * features.shape[3], features.shape[1]
    )


def neighbourhood_rows(pixels: torch.Tensor, batch: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Row numbers of the 3x3 neighbourhoods of N pixels, row numbers of :func:`pixel_rows`.

    Returns 9 N row numbers, the neighbours of a pixel one after the other from top left to bottom right, and the places
    among them that lie outside the picture (they hold some row number that exists).
    """
    steps = torch.arange(-1, 2, device=pixels.device)
    row = (torch.div(pixels, width, rounding_mode="floor") % height).view(-1, 1, 1) + steps.view(1, 3, 1)
    column = (pixels % width).view(-1, 1, 1) + steps.view(1, 1, 3)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    rows = pixels.view(-1, 1, 1) + width * steps.view(1, 3, 1) + steps.view(1, 1, 3)
    outside = (~inside).view(-1).nonzero().view(-1)
    return rows.view(-1).clamp(0, batch * height * width - 1), outside


def gather_neighbourhoods(rows: torch.Tensor, neighbours: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
    """Zero-padded 3x3 neighbourhoods, N x (9 C), neighbours slow, channels fast, of features R x C, one row for each
    pixel.

    ``neighbours`` and ``outside`` are those of :func:`neighbourhood_rows`.
    """
    picked = rows.index_select(0, neighbours).index_fill_(0, outside, 0.0)
    return picked.view(neighbours.shape[0] // 9, 9 * rows.shape[1])


def kernel_matrix(weight: torch.Tensor) -> torch.Tensor:
    """3x3 kernels, C_out x C_in x 3 x 3, as the matrix (9 C_in) x C_out that maps :func:`gather_neighbourhoods` to
    outputs.
    """
    return weight.permute(2, 3, 1, 0).reshape(9 * weight.shape[1], weight.shape[0])
