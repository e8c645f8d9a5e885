"""Checks of the arguments that every fusion metric takes."""

import torch

__all__ = ["check_definition", "check_images"]

_DEFINITIONS = ("standard", "paper")


def check_definition(definition: str) -> str:
    """Return ``definition``, or raise ValueError when it is neither ``"standard"`` nor ``"paper"``."""
    if definition not in _DEFINITIONS:
        raise ValueError(f"definition must be one of {_DEFINITIONS}, got {definition!r}.")
    return definition


def check_images(
    fused: torch.Tensor,
    source_a: torch.Tensor,
    source_b: torch.Tensor,
    definition: str = "standard",
    smallest: int = 1,
) -> None:
    """Check the three images of a fusion metric.

    Args:
        fused: B x 1 x H x W.
        source_a: B x 1 x H x W.
        source_b: B x 1 x H x W.
        definition: ``"standard"`` or ``"paper"``.
        smallest: the smallest H and W that the metric is defined for.

    Raises:
        ValueError: when shapes differ, are not B x 1 x H x W, or are too small, or the definition is unknown.
    """
    check_definition(definition)
    shapes = [tuple(image.shape) for image in (fused, source_a, source_b)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 1:
        raise ValueError(f"fused image and sources must be B x 1 x H x W of one shape, got {shapes}.")
    if min(shapes[0][2:]) < smallest:
        raise ValueError(
            f"images must be at least {smallest} x {smallest} pixels, got {shapes[0][2]} x {shapes[0][3]}."
        )
