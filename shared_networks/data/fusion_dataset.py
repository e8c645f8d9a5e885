"""A data set in which a bad case does not end the run."""

from typing import Any

from monai.data import Dataset

from shared_networks.errors import InputError

__all__ = ["FusionDataset"]


class FusionDataset(Dataset):
    """``monai.data.Dataset`` that hands on a refusal instead of raising it.

    When a transform raises :class:`shared_networks.errors.InputError`, the item becomes
    ``{"case": name, "refused": reason}``. Any other error is a defect, and is raised. :class:`PairLoader` takes the
    refused items out.
    """

    def _transform(self, index: int) -> Any:
        try:
            return super()._transform(index)
        except Exception as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            return {"case": self.data[index].get("case", str(index)), "refused": str(refusal)}


def _refusal(error: BaseException | None) -> InputError | None:
    """The InputError among the causes of an error: MONAI wraps what a transform raises."""
    while error is not None:
        if isinstance(error, InputError):
            return error
        error = error.__cause__
    return None
