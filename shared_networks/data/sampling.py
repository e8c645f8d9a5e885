"""Sampling weights, so that no modality dominates because it has more pictures."""

from collections import Counter
from collections.abc import Sequence

__all__ = ["modality_weights"]


def modality_weights(items: Sequence[dict]) -> list[float]:
    """Weight of every item so that all modalities are drawn equally often.

    Args:
        items: data list; items without ``modality`` count as one modality of their own.

    Returns:
        One positive weight an item; the weights of each modality add up to 1.
    """
    names = [str(item.get("modality", "")) for item in items]
    counts = Counter(names)
    return [1.0 / counts[name] for name in names]
