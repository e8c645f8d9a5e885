"""Mutual-reinforcing loss of fusion and segmentation (Zhang et al., AAAI 2024, Eq. 7-9)."""

from collections.abc import Mapping, Sequence

import torch
from monai.losses import MaskedDiceLoss
from monai.networks import one_hot
from torch import nn

from shared_networks.blocks.gradients import sobel_gradient_magnitude
from shared_networks.errors import InputError
from shared_networks.losses.precision import in_single_precision
from shared_networks.utils.number_checks import check_number


class VisualFusionLoss(nn.Module):
    """Visual fusion loss (Eq. 7): ``|F - Y|_1 + delta * |grad F - max(grad X, grad Y)|_1``, both norms as means.

    The gradient is the sum of the absolute responses of the three Sobel operators with replicated borders, as
    :func:`shared_networks.blocks.gradients.sobel_gradient_magnitude` gives it.

    Args:
        delta: weight of the gradient term (0.08 in the paper, 1/12 in the released code).
        intensity: weights of X (T1) and Y (T2-FLAIR) in the intensities that F takes; (0, 1) is Y, as in Eq. 7. A
            share of X keeps what only the T1 shows, and Y's weight near 1 the contrast of the lesions.

    Raises:
        ValueError: when ``intensity`` is not two numbers of at least 0, one of them above 0.
    """

    def __init__(self, delta: float = 0.08, intensity: Sequence[float] = (0.0, 1.0)) -> None:
        super().__init__()
        if len(intensity) != 2 or min(intensity) < 0 or max(intensity) <= 0:
            raise ValueError(f"intensity must be two weights of at least 0, of T1 and FLAIR, got {intensity!r}.")
        self.delta = delta
        self.intensity = tuple(intensity)
        self.parts: dict[str, torch.Tensor] = {}

    @in_single_precision
    def forward(self, fused: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """fused: B x 1 x X x Y x Z, sources: B x 2 x X x Y x Z with X (T1) and Y (T2-FLAIR) -> scalar."""
        wanted = self.intensity[0] * sources[:, 0:1] + self.intensity[1] * sources[:, 1:2]
        intensity = (fused - wanted).abs().mean()
        strongest = sobel_gradient_magnitude(sources).amax(dim=1, keepdim=True)
        gradient = (sobel_gradient_magnitude(fused) - strongest).abs().mean()
        self.parts = {"L_VF_intensity": intensity.detach(), "L_VF_gradient": gradient.detach()}
        return intensity + self.delta * gradient


class MutualReinforcingLoss(nn.Module):
    """Loss of stage 2 (Eq. 9): ``L_MF = L_VF + eta * L_LS``, and a cross entropy that the paper does not have.

    ``L_LS`` (Eq. 8) is the Dice loss over all classes, the background included, of the softmax. Small lesions hardly
    move it; the class-weighted cross entropy is there for them. The loss is computed in single precision also under
    autocast.

    The values of the last call are in :attr:`parts` for logging, as detached tensors on the device: ``L_VF`` with
    ``L_VF_intensity`` and ``L_VF_gradient``, ``L_LS``, ``L_CE`` and ``L_MF``; terms of weight 0 are neither computed
    nor there.

    Args:
        visual: weight of L_VF (1); 0 is the ablation "without L_VF" of Table 5.
        delta: weight of the gradient term within L_VF (0.08 in the paper).
        intensity: weights of T1 and FLAIR in the intensities that L_VF asks for, see :class:`VisualFusionLoss`
            ((0, 1): paper).
        eta: weight of L_LS (0.10 in the paper); 0 is the ablation "without L_LS" of Table 5, and with
            ``cross_entropy`` 0 too no labels are needed.
        cross_entropy: weight of the cross entropy (0: paper). It stands beside ``eta``, not under it.
        class_weights: weight of each class in the cross entropy, which is the weighted mean over voxels; None for
            equal ones.
        batch_dice: take the sums of Eq. 8 over the whole batch instead of each volume: a class that a crop does not
            hold then weighs less.
        ignore_label: label of voxels that nobody classified; they take no part in ``L_LS`` and the cross entropy.
            None for none.
        auxiliary_of: the last class is a part of this one and marked in some volumes only (see
            :class:`shared_networks.blocks.any_size_head.AnySizeHead`). In the others, the two count together. None for
            no such class.

    Raises:
        ValueError: when every weight is 0.
        InputError: when a class weight is no number of at least 0, or, in a call, when there is not one for each class.
    """

    def __init__(
        self,
        visual: float = 1.0,
        delta: float = 0.08,
        eta: float = 0.10,
        cross_entropy: float = 0.0,
        class_weights: Sequence[float] | None = None,
        batch_dice: bool = False,
        ignore_label: int | None = None,
        auxiliary_of: int | None = None,
        intensity: Sequence[float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        if not (visual or eta or cross_entropy):
            raise ValueError("visual, eta and cross_entropy are all 0: nothing is left to minimise.")
        self.visual, self.eta, self.cross_entropy = visual, eta, cross_entropy
        self.visual_loss = VisualFusionLoss(delta, intensity)
        self.dice_loss = MaskedDiceLoss(include_background=True, batch=batch_dice)
        self.ignore_label, self.auxiliary_of = ignore_label, auxiliary_of
        for weight in () if class_weights is None else class_weights:
            check_number("class_weights", weight, least=0)
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)
        self.parts: dict[str, torch.Tensor] = {}

    @in_single_precision
    def forward(self, prediction: torch.Tensor, target: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Combine the terms for B x (J + 1) x X x Y x Z, logits of J classes, then the fused volume -> scalar.

        The target has ``image``, B x 2 x X x Y x Z in [0, 1], and ``label``, B x 1 x X x Y x Z class indices, see
        :class:`shared_networks.engines.PrepareMutualReinforcingBatch`; with ``auxiliary_of`` also ``marked``, (B,),
        true where the auxiliary class is marked in the label.
        """
        parts: dict[str, torch.Tensor] = {}
        terms = []
        logits, fused = prediction[:, :-1], prediction[:, -1:]
        if self.visual:
            visual = self.visual_loss(fused, target["image"])
            parts |= {"L_VF": visual.detach(), **self.visual_loss.parts}
            terms.append(self.visual * visual)
        if self.eta or self.cross_entropy:
            log_probability, label, known = self._segmentation(logits, target)
        if self.eta:
            classes = one_hot(label, log_probability.shape[1], dtype=log_probability.dtype)
            segmentation = self.dice_loss(log_probability.exp(), classes, known)
            parts["L_LS"] = segmentation.detach()
            terms.append(self.eta * segmentation)
        if self.cross_entropy:
            entropy = self._cross_entropy(log_probability, label, known)
            parts["L_CE"] = entropy.detach()
            terms.append(self.cross_entropy * entropy)
        total = torch.stack(terms).sum()
        self.parts = parts | {"L_MF": total.detach()}
        return total

    def _segmentation(
        self, logits: torch.Tensor, target: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log probabilities B x J x spatial, class indices B x 1 x spatial, and B x 1 x spatial: 1 where they count."""
        label = target["label"].long()
        known = torch.ones_like(label, dtype=logits.dtype)
        if self.ignore_label is not None:
            known = (label != self.ignore_label).to(logits.dtype)
            label = label.masked_fill(label == self.ignore_label, 0)
        log_probability = logits.log_softmax(dim=1)
        if self.auxiliary_of is not None:
            classes = list(log_probability.split(1, dim=1))
            marked = target["marked"].bool().view(-1, 1, 1, 1, 1)
            together = torch.logaddexp(classes[self.auxiliary_of], classes[-1])
            classes[self.auxiliary_of] = torch.where(marked, classes[self.auxiliary_of], together)
            # exp(-100) is 0: the auxiliary class has no probability of its own where nothing is marked.
            classes[-1] = classes[-1].masked_fill(~marked, -100.0)
            log_probability = torch.cat(classes, dim=1)
        return log_probability, label, known

    def _cross_entropy(self, log_probability: torch.Tensor, label: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        weight = known
        if self.class_weights is not None:
            count, classes = len(self.class_weights), log_probability.shape[1]
            if count != classes:
                raise InputError(f"class_weights has {count} numbers; expected one for each of {classes} classes.")
            class_weights = self.class_weights.to(device=label.device, dtype=known.dtype)
            weight = known * class_weights[label]
        # At least 1 below the line: a batch without any classified voxel has entropy 0.
        return -(log_probability.gather(1, label) * weight).sum() / weight.sum().clamp_min(1.0)
