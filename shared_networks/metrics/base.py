"""The common form of the fusion metrics as MONAI metrics."""

from collections.abc import Callable

import torch
from monai.metrics import CumulativeIterationMetric
from monai.utils import convert_to_tensor

from shared_networks.errors import InputError
from shared_networks.metrics.arguments import check_definition

# Slices of a volume that are scored together: bounds the memory, whatever the number of slices.
_SLICES_AT_ONCE = 16


class FusionMetric(CumulativeIterationMetric):
    """Score fused images against their two sources, one value per image, by the :attr:`function` of a subclass.

    Called as ``metric(y_pred=fused, y=sources)`` with values in [0, 1]: fused B x 1 x H x W and sources B x 2 x H x W,
    or lists of 1 x H x W and 2 x H x W, whose sizes may differ. A colour image is scored on its luminance (BT.601),
    which the caller extracts. Images are scored in double precision on the scale 0..255, on the device of the fused
    image: sources may have stayed on the CPU.

    Volumes (one more axis, B x 1 x H x W x D) are scored slice by slice over the last axis and the value is the mean
    over slices. Slices in which both sources are constant hold nothing to fuse and are left out; a volume of only
    such slices scores NaN, which the reductions skip.

    The buffer is B x 1, one row per image, as ``monai.handlers.MetricsSaver`` expects.

    Args:
        definition: ``"standard"`` (floating point, textbook) or ``"paper"`` (what reproduces the tables of the GeSeNet
            paper: the 8-bit arithmetic of older MATLAB code). Where a metric has one form only, both are the same.
        quantise: round the images to the 256 levels of an 8-bit picture first, as published evaluations do, since
            they read saved pictures. Values beyond [0, 1] are clipped then.

    Raises:
        ValueError: when ``definition`` is unknown.
    """

    function: Callable[..., torch.Tensor]
    """``compute_*`` of the metric, as a static method: (fused, source_a, source_b, definition) -> scores (B,)."""

    def __init__(self, definition: str = "standard", quantise: bool = True) -> None:
        super().__init__()
        self.definition = check_definition(definition)
        self.quantise = quantise

    def compute(self, fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor) -> torch.Tensor:
        """Return the scores (B,) of images B x 1 x H x W on the scale 0..255."""
        return self.function(fused, source_a, source_b, self.definition)

    def aggregate(self, reduction: str = "mean") -> torch.Tensor:
        """Reduce the values, skipping NaN, by ``"mean"`` or ``"sum"`` (NaN when no image has one); ``"none"`` gives N x
        1.

        Raises ValueError when nothing was collected or the reduction is unknown.
        """
        values = self.get_buffer()
        if not isinstance(values, torch.Tensor):
            raise ValueError(f"{type(self).__name__}: no images were scored before aggregate().")
        if reduction == "none":
            return values
        if reduction == "mean":
            return values.nanmean()
        if reduction == "sum":
            return values.nansum()
        raise ValueError(f'reduction must be "mean", "sum" or "none", got {reduction!r}.')

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        fused, sources = self._images(y_pred, y)
        if fused.ndim == 4:
            values = self.compute(fused, sources[:, :1], sources[:, 1:])
        else:
            values = torch.stack([self._score_volume(f, s) for f, s in zip(fused, sources, strict=True)])
        return values.float().unsqueeze(1)

    def _images(self, y_pred: torch.Tensor, y: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        if y is None:
            raise InputError(f"{type(self).__name__}: y is missing; pass the two sources as B x 2 x H x W.")
        if y_pred.ndim not in (4, 5) or y_pred.shape[1] != 1 or y.shape != (y_pred.shape[0], 2, *y_pred.shape[2:]):
            raise InputError(
                f"{type(self).__name__}: got y_pred {tuple(y_pred.shape)} and y {tuple(y.shape)}; expected a fused "
                "image B x 1 x H x W (x D) and two sources B x 2 x H x W (x D)."
            )
        images = [convert_to_tensor(image, track_meta=False).to(y_pred.device).double() * 255 for image in (y_pred, y)]
        if self.quantise:
            images = [image.clamp(0, 255).round() for image in images]
        return images[0], images[1]

    def _score_volume(self, fused: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        fused, sources = fused.movedim(-1, 0), sources.movedim(-1, 0)
        informative = (sources.amax(dim=(2, 3)) > sources.amin(dim=(2, 3))).any(dim=1)
        if not informative.any():
            return fused.new_full((), torch.nan)
        fused, sources = fused[informative], sources[informative]
        pairs = zip(fused.split(_SLICES_AT_ONCE), sources.split(_SLICES_AT_ONCE), strict=True)
        return torch.cat([self.compute(f, s[:, :1], s[:, 1:]) for f, s in pairs]).mean()
