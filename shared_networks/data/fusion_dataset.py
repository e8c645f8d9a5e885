"""A data set in which a bad case does not end the run, and batches of the cases that can be fused."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from monai.data import DataLoader, Dataset, list_data_collate

from shared_networks.data.case_log import CaseLog
from shared_networks.data.done_cases import DoneCases
from shared_networks.errors import CaseStatus, InputError


class FusionDataset(Dataset):
    """``monai.data.Dataset`` that hands on a refusal instead of raising it, and leaves out what is done.

    When a transform raises :class:`shared_networks.errors.InputError`, the item becomes
    ``{"case": name, "refused": reason}``. Any other error is a defect, and is raised. :class:`PairLoader` takes the
    refused items out. A case that ``done`` recognises becomes ``{"case": name, "skipped": reason}`` without being
    loaded; of the others it adds ``inputs_sha256`` and ``fingerprint``.

    Args:
        data: items with ``case`` and ``image``.
        transform: what loads an item.
        done: recognises results that are there; None does every case.
    """

    def __init__(self, data: Sequence, transform: Callable | None = None, done: DoneCases | None = None) -> None:
        super().__init__(data, transform)
        self.done = done

    def _transform(self, index: int) -> Any:
        item = self.data[index]
        if self.done is not None and not item.get(CaseStatus.REFUSED):
            item = {**item, **self.done.identify(item)}
            if CaseStatus.SKIPPED in item:
                return {key: item[key] for key in ("case", CaseStatus.SKIPPED, "inputs_sha256", "fingerprint")}
        try:
            return item if self.transform is None else self.transform(item)
        except Exception as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            return {"case": item.get("case", str(index)), CaseStatus.REFUSED: str(refusal)}


def _refusal(error: BaseException | None) -> InputError | None:
    """The InputError among the causes of an error: MONAI wraps what a transform raises."""
    while error is not None:
        if isinstance(error, InputError):
            return error
        error = error.__cause__
    return None


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
                if CaseStatus.REFUSED in item or CaseStatus.SKIPPED in item:
                    self.log.add(item)
                    continue
                shape = tuple(item["image"].shape)
                groups.setdefault(shape if len(shape) == 3 else (number,), []).append(item)
            yield from (list_data_collate(group) for group in groups.values())


def _as_they_are(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A collate function that leaves the list alone; named, because spawned workers cannot take a lambda."""
    return items
