"""Inference of RMR-Fusion on whole volumes: the encoders run once, only the semantic head slides."""

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer, sliding_window_inference
from monai.utils import convert_to_dst_type, fall_back_tuple
from torch.nn.parallel import DataParallel, DistributedDataParallel

from shared_networks.inferers.autocast import bfloat16_on_cpu
from shared_networks.inferers.memory_fallback import first_that_fits, on_processor
from shared_networks.inferers.memory_plan import rmr_block_voxels
from shared_networks.inferers.overlapping_blocks import block_size, in_overlapping_blocks
from shared_networks.utils.number_checks import check_number, check_numbers

# Side of the encoder's attention window in voxels, and overlap of the blocks of a volume that is encoded in blocks.
ENCODER_WINDOW = 14
BLOCK_OVERLAP = 2 * ENCODER_WINDOW


class EncodeOnceInferer(Inferer):
    """Encode and fuse a volume once, decode the fused features, and slide the semantic head over them.

    The network is one with the methods ``encode_fuse``, ``decode`` and ``semantic_head``
    (:class:`shared_networks.nets.RMRFusionNet`), bare or inside DistributedDataParallel. The head sees
    Gaussian-weighted overlapping windows that cover every voxel. A network without these methods (TorchScript, a
    wrapper of ONNX) gets an ordinary sliding window over the whole of it, and the log says so.

    When a GPU runs out of memory, the windows at a time and the block size are halved, then the result is put
    together in main memory, and at last all is computed on the CPU; each step is a warning in the log.

    Args:
        roi_size: window of the head (of the whole network in the ordinary case); -1 stands for the volume's axis.
        sw_batch_size: windows in the head at a time.
        overlap: part of a window that the next one covers again, in [0, 1).
        encode_max_voxels: larger volumes are encoded and decoded in blocks of at most so many voxels (but sides of up
            to 56), which overlap by 28 voxels and are blended; smaller ones in one piece, which is exact.
        device: where the logits are put together; the network's device when None.
        progress: show a bar over the windows.
        memory_limit_gb: on a CPU, memory in GiB that the whole run may take, by the estimate of
            :mod:`shared_networks.inferers.memory_plan`: blocks and windows at a time become smaller until it suffices.
            None sets no limit.
        cpu_bfloat16: on a CPU, compute under autocast to bfloat16, which takes less time where the processor has
            instructions for it (AVX512_BF16, AMX); windows and blocks are still blended in the precision of the input.

    Raises:
        InputError: for numbers that mean nothing here; and when called with a volume that takes more than
            ``memory_limit_gb`` in the smallest blocks.
    """

    def __init__(
        self,
        roi_size: Sequence[int] = (64, 64, 64),
        sw_batch_size: int = 1,
        overlap: float = 0.5,
        encode_max_voxels: int = 4_000_000,
        device: torch.device | str | None = None,
        progress: bool = False,
        memory_limit_gb: float | None = None,
        cpu_bfloat16: bool = False,
    ) -> None:
        super().__init__()
        check_number("sw_batch_size", sw_batch_size, least=1, whole=True)
        check_number("encode_max_voxels", encode_max_voxels, least=1, whole=True)
        check_number("overlap", overlap, least=0, below=1)
        check_numbers("roi_size", roi_size, 3, least=-1, whole=True)
        if memory_limit_gb is not None:
            check_number("memory_limit_gb", memory_limit_gb, least=0)
        self.roi_size = tuple(int(length) for length in roi_size)
        self.sw_batch_size = int(sw_batch_size)
        self.overlap = overlap
        self.encode_max_voxels = int(encode_max_voxels)
        self.device = device
        self.progress = progress
        self.memory_limit_gb = memory_limit_gb
        self.cpu_bfloat16 = cpu_bfloat16
        self.logger = logging.getLogger(type(self).__name__)

    def __call__(
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Fuse and segment volumes, B x 2 x X x Y x Z, every axis at least 1 -> logits and fused volume, B x (J + 1) x
        X x Y x Z.

        Further arguments go to a network without the three methods. A MetaTensor stays one.
        """
        if isinstance(network, (DistributedDataParallel, DataParallel)):
            network = network.module
        plain = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        if all(callable(getattr(network, name, None)) for name in ("encode_fuse", "decode", "semantic_head")):
            compute = self._encode_once
        else:
            self.logger.info(
                f"{type(network).__name__} cannot encode a volume once: sliding a window over the whole network"
            )
            compute = partial(self._slide_whole, args=args, kwargs=kwargs)

        def on_cpu() -> torch.Tensor:
            with on_processor(network):
                return compute(plain.cpu(), network)

        ways = [("", partial(compute, plain, network)), ("on the CPU, which is slower", on_cpu)]
        with bfloat16_on_cpu(self.cpu_bfloat16, plain.device):
            output = first_that_fits(ways, self.logger)
        return convert_to_dst_type(output, inputs, device=output.device)[0] if inputs is not plain else output

    def _slide_whole(self, inputs: torch.Tensor, network: Any, args: tuple, kwargs: dict[str, Any]) -> torch.Tensor:
        return self._slide(inputs, lambda x: network(x, *args, **kwargs), self.roi_size, inputs.device)

    def _encode_once(self, inputs: torch.Tensor, network: Any) -> torch.Tensor:
        most, device = self.encode_max_voxels, inputs.device
        if self.memory_limit_gb is not None and device.type == "cpu":
            size = tuple(inputs.shape[2:])
            most = rmr_block_voxels(size, most, self.memory_limit_gb, ENCODER_WINDOW, BLOCK_OVERLAP)
            if most < self.encode_max_voxels:
                self.logger.info(
                    f"memory_limit_gb is {self.memory_limit_gb:g}: encoding at most {most} voxels at a time"
                )
        # Windows are blended in the precision of the input, also where autocast computes in a lower one.
        features = self._in_blocks(inputs, lambda x: network.encode_fuse(x).to(inputs.dtype), most, device)
        size = tuple(features.shape[2:])
        # A window is never larger than the volume: the head pads to what it needs, which is less than a window.
        window = tuple(min(pair) for pair in zip(fall_back_tuple(self.roi_size, size), size, strict=True))
        logits = self._slide(features, lambda x: network.semantic_head(x).to(inputs.dtype), window, device)
        fused = self._in_blocks(features, lambda x: network.decode(x).to(inputs.dtype), most, device)
        return first_that_fits(
            [
                ("", lambda: torch.cat([logits, fused.to(logits.device)], dim=1)),
                ("with the result in main memory", lambda: torch.cat([logits.cpu(), fused.cpu()], dim=1)),
            ],
            self.logger,
        )

    def _slide(
        self,
        x: torch.Tensor,
        predictor: Callable[[torch.Tensor], torch.Tensor],
        window: Sequence[int],
        compute_device: torch.device,
    ) -> torch.Tensor:
        def slide(at_once: int, device: torch.device | str | None) -> torch.Tensor:
            return sliding_window_inference(
                x,
                window,
                at_once,
                predictor,
                overlap=self.overlap,
                mode="gaussian",
                padding_mode="replicate",
                sw_device=compute_device,
                device=compute_device if device is None else device,
                progress=self.progress,
            )

        ways, at_once = [("", partial(slide, self.sw_batch_size, self.device))], self.sw_batch_size
        while at_once > 1:
            at_once //= 2
            ways.append((f"with {at_once} windows at a time", partial(slide, at_once, self.device)))
        if self.device is None or torch.device(self.device).type != "cpu":
            ways.append(("with one window at a time, put together in main memory", partial(slide, 1, "cpu")))
        return first_that_fits(ways, self.logger)

    def _in_blocks(
        self,
        x: torch.Tensor,
        predictor: Callable[[torch.Tensor], torch.Tensor],
        most: int,
        compute_device: torch.device,
    ) -> torch.Tensor:
        """The whole volume at once, or overlapping blocks of it when it is too large."""
        size = tuple(x.shape[2:])

        def run(block: Sequence[int], device: str | None) -> torch.Tensor:
            return in_overlapping_blocks(
                x, lambda part: predictor(part.to(compute_device)), block, BLOCK_OVERLAP, device
            )

        block = block_size(size, most, ENCODER_WINDOW, BLOCK_OVERLAP)
        ways = [("", partial(run, block, None))]
        while (smaller := block_size(size, math.prod(block) // 2, ENCODER_WINDOW, BLOCK_OVERLAP)) != block:
            block = smaller
            ways.append((f"in blocks of {block} voxels", partial(run, block, None)))
        ways.append((f"in blocks of {block} voxels, put together in main memory", partial(run, block, "cpu")))
        return first_that_fits(ways, self.logger)
