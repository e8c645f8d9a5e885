"""GeSeNet without the black surroundings of the anatomy."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import nn

from shared_networks.blocks.region_mask import ChannelAttention
from shared_networks.errors import InputError


def content_box(image: torch.Tensor, margin: int) -> tuple[slice, slice] | None:
    """Rows and columns of a picture, C x H x W, >= 0, that hold everything that is not 0; None when everything is.

    ``margin`` pixels are added on every side, as far as the picture reaches; starts are rounded down to an even number,
    ends up, so that pooling by 2 sees the same pairs of pixels inside the rectangle as in the picture.
    """
    content = (image > 0).any(dim=0)
    box = []
    for axis in (1, 0):
        places = content.any(dim=axis).nonzero()
        if places.shape[0] == 0:
            return None
        first, last = int(places[0]) - margin, int(places[-1]) + 1 + margin
        box.append(slice(max(0, first - first % 2), min(content.shape[1 - axis], last + last % 2)))
    return box[0], box[1]


class BackgroundSkipping:
    """Runs GeSeNet on the rectangle that the anatomy occupies; what lies outside is black in the fused picture.

    Pixels where both sources are 0 further than ``margin`` from the anatomy are not computed at all: their fused value
    is 0 and they belong to no principal region. The one operation of the network that looks at the whole picture, the
    average of the channel attention, still gets the average over the whole picture: what the skipped pixels
    contribute is known from a black picture of the same size, which is computed once.

    What is left of a difference to the whole picture comes from the border of the rectangle, where convolutions pad
    with zeros; it vanishes with growing ``margin``. ``benchmarks/gesenet_speed.py`` measures difference and gain.

    Args:
        network: a :class:`shared_networks.nets.GeSeNet`, or any module that maps B x 2 x H x W to B x C x H x W and
            has no view of the whole picture but its :class:`ChannelAttention`.
        margin: pixels kept around the anatomy.

    Raises:
        InputError: for TorchScript and TensorRT, which hide the poolings: the result would silently be another one.
        ValueError: when ``margin`` is negative.
    """

    def __init__(self, network: nn.Module, margin: int = 8) -> None:
        if margin < 0:
            raise ValueError(f"margin must be 0 or more, got {margin!r}.")
        if isinstance(network, torch.jit.ScriptModule) or hasattr(network, "_trt_compiler"):
            raise InputError("skip_background needs the network itself, not TorchScript or TensorRT: set it to False.")
        self.network = network
        self.margin = margin
        attentions = [module for module in network.modules() if isinstance(module, ChannelAttention)]
        self.pools = [attention.weigh[0] for attention in attentions]
        self.black: dict[tuple, list[torch.Tensor]] = {}

    @torch.no_grad()
    def __call__(self, image: torch.Tensor, return_masks: bool = False) -> torch.Tensor:
        """Fuse pictures, B x 2 x H x W in [0, 1], each in its own rectangle -> B x 1 x H x W, or B x 3 x H x W with the
        masks.
        """
        options = {"return_masks": True} if return_masks else {}
        output = image.new_zeros(image.shape[0], 3 if return_masks else 1, *image.shape[2:])
        for index in range(image.shape[0]):
            box = content_box(image[index], self.margin)
            if box is None:
                continue
            crop = image[index : index + 1, :, box[0], box[1]]
            if crop.shape[2:] == image.shape[2:]:
                output[index] = self.network(crop, **options)[0]
            else:
                with self._whole_picture(image[index : index + 1], box):
                    output[index, :, box[0], box[1]] = self.network(crop, **options)[0]
        return output

    @contextmanager
    def _whole_picture(self, image: torch.Tensor, box: tuple[slice, slice]) -> Iterator[None]:
        """While this lasts every average pooling answers for the whole picture."""
        pixels = image.shape[2] * image.shape[3]
        with ExitStack() as stack:
            for pool, features in zip(self.pools, self._black_features(image), strict=True):
                outside = features.sum((2, 3), keepdim=True) - features[:, :, box[0], box[1]].sum((2, 3), keepdim=True)
                stack.enter_context(_removed(pool.register_forward_hook(partial(_add_outside, outside, pixels))))
            yield

    def _black_features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What every pooling sees of a black picture of the size of ``image``."""
        key = (tuple(image.shape[2:]), image.dtype, image.device)
        if key not in self.black:
            seen: list[torch.Tensor] = []
            with ExitStack() as stack:
                for pool in self.pools:
                    hook = pool.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
                    stack.enter_context(_removed(hook))
                self.network(torch.zeros_like(image))
            self.black = {key: seen}
        return self.black[key]


@contextmanager
def _removed(hook: torch.utils.hooks.RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        hook.remove()


def _add_outside(
    outside: torch.Tensor, pixels: int, module: nn.Module, inputs: tuple[torch.Tensor], mean: torch.Tensor
) -> torch.Tensor:
    return (mean * (inputs[0].shape[2] * inputs[0].shape[3]) + outside) / pixels
