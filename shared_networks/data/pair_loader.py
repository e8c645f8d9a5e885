"""Batches of the cases that can be fused; the others go to the log."""

from collections.abc import Iterator
from typing import Any

from monai.data import DataLoader, Dataset, list_data_collate

from shared_networks.data.case_log import CaseLog

__all__ = ["PairLoader"]


class PairLoader:
    """Iterates over batches of a :class:`FusionDataset` and enters refused and skipped cases in a log.

    Pictures of one size that come within one batch of each other share it; other sizes, and volumes, get batches of
    their own. It has no length: how many batches there will be is known when the last case was read. (An engine
    restarts a loader that ends before its length.)

    Args:
        dataset: items with ``image`` (2 x spatial) or ``refused`` or ``skipped``.
        log: where refused and skipped cases are entered.
        batch_size: most pictures in a batch.
        num_workers: processes that load.
    """

    def __init__(self, dataset: Dataset, log: CaseLog, batch_size: int = 1, num_workers: int = 0) -> None:
        self.dataset = dataset
        self.log = log
        self.loader = DataLoader(dataset, batch_size=batch_size, num_workers=num_workers, collate_fn=_as_they_are)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for items in self.loader:
            groups: dict[tuple, list[dict[str, Any]]] = {}
            for number, item in enumerate(items):
                if "refused" in item or "skipped" in item:
                    self.log.add(item)
                    continue
                shape = tuple(item["image"].shape)
                groups.setdefault(shape if len(shape) == 3 else (number,), []).append(item)
            yield from (list_data_collate(group) for group in groups.values())


def _as_they_are(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A collate function that leaves the list alone; named, because spawned workers cannot take a lambda."""
    return items
