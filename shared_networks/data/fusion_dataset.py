"""A data set in which a bad case does not end the run."""

from collections.abc import Callable, Sequence
from typing import Any

from monai.data import Dataset

from shared_networks.data.done_cases import DoneCases
from shared_networks.errors import InputError

__all__ = ["FusionDataset"]


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
        if self.done is not None and not item.get("refused"):
            item = {**item, **self.done.identify(item)}
            if "skipped" in item:
                return {key: item[key] for key in ("case", "skipped", "inputs_sha256", "fingerprint")}
        try:
            return item if self.transform is None else self.transform(item)
        except Exception as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            return {"case": item.get("case", str(index)), "refused": str(refusal)}


def _refusal(error: BaseException | None) -> InputError | None:
    """The InputError among the causes of an error: MONAI wraps what a transform raises."""
    while error is not None:
        if isinstance(error, InputError):
            return error
        error = error.__cause__
    return None
