"""What the ``compute_*`` function of every fusion metric takes and gives, and the checks of it.

``compute_x(fused, source_a, source_b, definition="standard")`` takes three images B x 1 x H x W of one shape with
values in 0..255, and ``"standard"`` (floating point, textbook) or ``"paper"`` (see
:class:`shared_networks.metrics.FusionMetric`). It returns a score for each image, (B,), and raises ValueError when the
shapes do not fit, the images are smaller than the metric is defined for, or the definition is unknown.
"""

import torch

_DEFINITIONS = ("standard", "paper")


def check_definition(definition: str) -> str:
    """Return ``definition``, or raise ValueError when it is neither ``"standard"`` nor ``"paper"``."""
    if definition not in _DEFINITIONS:
        raise ValueError(f"definition must be one of {_DEFINITIONS}, got {definition!r}.")
    return definition


def check_images(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard", smallest: int = 1
) -> None:
    """Raise ValueError unless the arguments are as this module says; ``smallest`` is the least H and W allowed."""
    check_definition(definition)
    shapes = [tuple(image.shape) for image in (fused, source_a, source_b)]
    if len(set(shapes)) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 1:
        raise ValueError(f"fused image and sources must be B x 1 x H x W of one shape, got {shapes}.")
    if min(shapes[0][2:]) < smallest:
        raise ValueError(
            f"images must be at least {smallest} x {smallest} pixels, got {shapes[0][2]} x {shapes[0][3]}."
        )
