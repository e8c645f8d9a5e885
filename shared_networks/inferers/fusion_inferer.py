"""Inference on pictures of any size and, slice by slice, on volumes."""

import logging
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer, SliceInferer
from monai.utils import convert_to_dst_type

from shared_networks.inferers.background_skipping import BackgroundSkipping
from shared_networks.inferers.memory_fallback import first_that_fits, on_processor
from shared_networks.inferers.memory_plan import slices_at_a_time
from shared_networks.utils.number_checks import check_number
from shared_networks.utils.slice_axis import slice_axis


class FusionInferer(Inferer):
    """Run a two-dimensional fusion network on pictures or on volumes.

    Pictures (B x 2 x H x W) go through the network as they are. A volume (B x 2 x X x Y x Z) is cut into whole slices
    along one axis; at most ``sw_batch_size`` of them are in the network at a time, so that its memory does not grow
    with their number. When a GPU runs out of memory, the number of slices (or pictures) at a time is halved down to
    one, then the result is put together in main memory, and at last all is computed on the CPU; each step is a warning
    in the log.

    Args:
        spatial_dim: axis along which a volume is cut: 0, 1 or 2; one of a single slice is cut as that slice was.
        sw_batch_size: slices in the network at a time.
        return_masks: ask the network for its principal masks as further channels.
        skip_background: compute only the rectangle of a picture or slice that is not black, see
            :class:`shared_networks.inferers.BackgroundSkipping`: faster where the anatomy is small in the picture.
        memory_limit_gb: on a CPU, memory in GiB that the whole run may take, by the estimate of
            :mod:`shared_networks.inferers.memory_plan`: fewer slices or pictures are in the network at a time. None
            sets no limit.

    Raises:
        InputError: for numbers that mean nothing here; and when called with images of which one slice takes more than
            ``memory_limit_gb``.
        ValueError: when ``spatial_dim`` is not 0, 1 or 2.
    """

    def __init__(
        self,
        spatial_dim: int = 2,
        sw_batch_size: int = 8,
        return_masks: bool = False,
        skip_background: bool = False,
        memory_limit_gb: float | None = None,
    ) -> None:
        super().__init__()
        if spatial_dim not in (0, 1, 2):
            raise ValueError(f"spatial_dim must be 0, 1 or 2, got {spatial_dim!r}.")
        check_number("sw_batch_size", sw_batch_size, least=1, whole=True)
        if memory_limit_gb is not None:
            check_number("memory_limit_gb", memory_limit_gb, least=0)
        self.spatial_dim = spatial_dim
        self.sw_batch_size = int(sw_batch_size)
        self.return_masks = return_masks
        self.skip_background = skip_background
        self.memory_limit_gb = memory_limit_gb
        self._skipping: BackgroundSkipping | None = None

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Fuse B x 2 x H x W or B x 2 x X x Y x Z by a network for B x 2 x H x W, which further arguments go to.

        Returns B x C x H x W or B x C x X x Y x Z; a MetaTensor stays one.
        """
        if self.return_masks:
            kwargs["return_masks"] = True
        module = network
        if self.skip_background:
            # Kept from call to call: it remembers the network's answer to a black picture.
            if self._skipping is None or self._skipping.network is not network:
                self._skipping = BackgroundSkipping(network)
            network = self._skipping
        plain = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        call = partial(_call, network, args, kwargs)
        output = first_that_fits(self._ways(plain, module, call), logging.getLogger(type(self).__name__))
        return convert_to_dst_type(output, inputs, device=output.device)[0] if inputs is not plain else output

    def _ways(
        self, inputs: torch.Tensor, module: Any, call: Callable[..., torch.Tensor]
    ) -> Iterator[tuple[str, Callable[[], torch.Tensor]]]:
        """From the fastest way to the one that needs least of a GPU's memory."""
        run = self._volume if inputs.ndim == 5 else self._pictures
        at_once = self.sw_batch_size if inputs.ndim == 5 else inputs.shape[0]
        if self.memory_limit_gb is not None and inputs.device.type == "cpu":
            size = tuple(inputs.shape[2:])
            pixels = math.prod(size) // (size[slice_axis(size, self.spatial_dim)] if inputs.ndim == 5 else 1)
            at_once = slices_at_a_time(size, pixels, at_once, self.memory_limit_gb)
        yield "", partial(run, inputs, call, at_once, None)
        while at_once > 1:
            at_once //= 2
            yield f"with {at_once} at a time", partial(run, inputs, call, at_once, None)
        yield "with one at a time, put together in main memory", partial(run, inputs, call, 1, "cpu")

        def on_cpu() -> torch.Tensor:
            with on_processor(module):
                return run(inputs.cpu(), call, 1, None)

        yield "on the CPU, which is slower", on_cpu

    @staticmethod
    def _pictures(
        inputs: torch.Tensor, network: Callable[..., torch.Tensor], at_once: int, device: str | None
    ) -> torch.Tensor:
        return torch.cat([network(part).to(device) for part in inputs.split(at_once)])

    def _volume(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], at_once: int, device: str | None
    ) -> torch.Tensor:
        inferer = SliceInferer(
            spatial_dim=slice_axis(inputs.shape[2:], self.spatial_dim),
            roi_size=(-1, -1),
            sw_batch_size=at_once,
            overlap=0.0,
            sw_device=inputs.device,
            device=inputs.device if device is None else device,
        )
        return inferer(inputs, network)


def _call(network: Callable[..., torch.Tensor], args: tuple, kwargs: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    return network(x, *args, **kwargs)
