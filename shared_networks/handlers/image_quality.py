"""Scores the quality of every case's images when it has been computed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.engines import IterationEvents
from monai.networks.utils import eval_mode
from nibabel.affines import voxel_sizes
from torch.nn.parallel import DataParallel, DistributedDataParallel

from shared_networks.errors import join_remarks
from shared_networks.metrics.image_quality import image_quality, scores_above

_REMARKS = {"noise": "noisy", "blur": "blurred, or of thick slices brought to thin ones"}


class ImageQuality:
    """Puts noise and blur of both modalities into the output of an evaluator, and remarks on what is above a limit.

    The scores (:func:`shared_networks.metrics.image_quality.image_quality`) come from the network's own autoencoder; it
    encodes a small part of the brain once more. A network without one (TorchScript, TensorRT) gives no scores. Larger
    voxels have other detail: images whose voxels are outside ``plane_mm`` have NaN.

    Args:
        limits: score (``noise``, ``blur``) -> modality -> highest value without remark; and ``plane_mm``, smallest and
            largest voxel in X and Y, in mm, for which they hold.
        modalities: names of the channels.
        image_key: images, B x 2 x X x Y x Z, axes in RAS.
        brain_key: mask, B x 1 x X x Y x Z.
        output_key: where the scores go in the output, B x 2 x 2: modality, then noise and blur.
        warning_key: remarks of each case in the batch.
    """

    def __init__(
        self,
        limits: Mapping[str, Any],
        modalities: Sequence[str] = ("t1", "flair"),
        image_key: str = "image",
        brain_key: str = "brain",
        output_key: str = "image_quality",
        warning_key: str = "warning",
    ) -> None:
        self.limits = limits
        self.modalities = tuple(modalities)
        self.image_key, self.brain_key = image_key, brain_key
        self.output_key = output_key
        self.warning_key = warning_key

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator, whose output is a dict when the network has run."""
        engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, self._score)

    def _score(self, engine: Engine) -> None:
        network = engine.network
        if isinstance(network, (DistributedDataParallel, DataParallel)):
            network = network.module
        autoencoder = getattr(network, "autoencoder", None)
        if autoencoder is None:
            return
        images = engine.state.output[self.image_key]
        known = self._known_voxels(images)
        images = images.as_tensor() if isinstance(images, MetaTensor) else images
        # The inferer may have moved a network that was too large for a GPU.
        images = images.to(next(autoencoder.parameters()).device)
        brains = engine.state.batch[self.brain_key].to(images.device)
        with eval_mode(autoencoder):
            scores = [
                image_quality(image, brain[0], autoencoder) if right else torch.full((len(image), 2), torch.nan)
                for image, brain, right in zip(images, brains, known, strict=True)
            ]
        engine.state.output[self.output_key] = torch.stack(scores)
        if self.warning_key in engine.state.batch:
            warnings = engine.state.batch[self.warning_key]
            engine.state.batch[self.warning_key] = [
                join_remarks(before, *self.remarks(one.tolist())) for before, one in zip(warnings, scores, strict=True)
            ]

    def _known_voxels(self, images: torch.Tensor) -> list[bool]:
        """For each image whether its voxels are as wide as those that the limits were made with."""
        smallest, largest = self.limits.get("plane_mm", (0.0, math.inf))
        if not isinstance(images, MetaTensor):
            return [True] * len(images)
        widths = (voxel_sizes(one)[:2] for one in np.asarray(images.affine, np.float64).reshape(-1, 4, 4))
        return [bool((smallest <= pair).all() and (pair <= largest).all()) for pair in widths]

    def remarks(self, scores: Sequence[Sequence[float]]) -> list[str]:
        """What to say about a case.

        Args:
            scores: for each modality noise and blur.
        """
        named = {
            modality: dict(zip(_REMARKS, values, strict=True))
            for modality, values in zip(self.modalities, scores, strict=True)
        }
        return [
            f"{modality} looks {_REMARKS[kind]}: score {value:.2f}, at most {limit:g} expected"
            for modality, kind, value, limit in scores_above(named, self.limits)
        ]
