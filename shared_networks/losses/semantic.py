"""Semantic losses of GeSeNet (Li et al. 2023, Section III-E, Eq. 15-17) and of its semantic module's pre-training."""

import torch
import torch.nn.functional as F
from torch import nn

from shared_networks.errors import InputError
from shared_networks.losses.precision import in_single_precision
from shared_networks.nets.bilateral_segmenter import BilateralAttentionSegmenter
from shared_networks.utils.weights import load_weights

_REMEDY = (
    "make it with `python -m monai.bundle run training --config_file gesenet_bundle/configs/train_semantic.json "
    "--bundle_root gesenet_bundle --dataset_dir ...`"
)


class SemanticLoss(nn.Module):
    """Semantic loss (Eq. 15-17): ``L_S = CE(S_main(F), I_o) + delta * CE(S_sub(F), I_o)``, frozen module S.

    The paper does not say where ``I_o`` comes from. Our reading: the class with the highest mean softmax (main head) of
    the module on the two source images, without gradient. Taken from the fused image itself it would be satisfied
    trivially. The module is frozen: no gradient for its weights, and always in evaluation mode, so that its running
    statistics stay. The gradient flows through the fused image only.

    Args:
        segmenter: network whose forward returns main and auxiliary logits. It is frozen in place. None makes a
            :class:`shared_networks.nets.bilateral_segmenter.BilateralAttentionSegmenter` with its default widths.
        checkpoint: plain state dict for the segmenter; '' keeps the weights of the segmenter given.
        delta: weight of the auxiliary term (0.5 in the paper).

    Raises:
        InputError: when the checkpoint is missing, unreadable or of another network, or when neither a segmenter nor
            a checkpoint is given.
    """

    def __init__(self, segmenter: nn.Module | None = None, checkpoint: str = "", delta: float = 0.5) -> None:
        super().__init__()
        if segmenter is None and not checkpoint:
            raise InputError(f"the semantic loss needs a trained module: set its checkpoint; {_REMEDY}.")
        self.segmenter = BilateralAttentionSegmenter() if segmenter is None else segmenter
        if checkpoint:
            refusal = f"not the weights of {type(self.segmenter).__name__} ({{fault}}); {_REMEDY}."
            unreadable = f"These are the weights of the semantic module; {_REMEDY}."
            load_weights(self.segmenter, checkpoint, refusal, unreadable, choose=lambda content: content)
        self.segmenter.requires_grad_(False)
        self.segmenter.eval()
        self.delta = delta

    def train(self, mode: bool = True) -> "SemanticLoss":
        """Set the mode of the loss; the semantic module stays in evaluation mode."""
        super().train(mode)
        self.segmenter.eval()
        return self

    def labels(self, sources: torch.Tensor) -> torch.Tensor:
        """I_o: B x 2 x H x W sources in [0, 1] -> B x H x W class indices."""
        with torch.no_grad():
            batch = sources.shape[0]
            main, _ = self.segmenter(torch.cat([sources[:, 0:1], sources[:, 1:2]]))
            probability = main.softmax(dim=1)
            return (probability[:batch] + probability[batch:]).argmax(dim=1)

    @in_single_precision
    def forward(self, fused: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """fused: B x 1 x H x W, sources: B x 2 x H x W, both in [0, 1] -> scalar."""
        labels = self.labels(sources)
        main, auxiliary = self.segmenter(fused)
        return F.cross_entropy(main, labels) + self.delta * F.cross_entropy(auxiliary, labels)


class SemanticPretrainingLoss(nn.Module):
    """Loss of the semantic module's own training (Peng et al. 2021): ``CE(main) + delta * CE(auxiliary)``.

    Args:
        delta: weight of the auxiliary head (0.5).
    """

    def __init__(self, delta: float = 0.5) -> None:
        super().__init__()
        self.delta = delta

    @in_single_precision
    def forward(self, prediction: tuple[torch.Tensor, torch.Tensor], label: torch.Tensor) -> torch.Tensor:
        """prediction: main and auxiliary logits B x C x H x W, label: B x 1 x H x W class indices -> scalar."""
        main, auxiliary = prediction
        target = label[:, 0].long()
        return F.cross_entropy(main, target) + self.delta * F.cross_entropy(auxiliary, target)
