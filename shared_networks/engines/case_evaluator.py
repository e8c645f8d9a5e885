"""An evaluator that outlives a case which the machine is too small for."""

from typing import Any

from monai.engines import SupervisedEvaluator

from shared_networks.errors import CaseStatus
from shared_networks.runner.one_line_errors import find_input_error
from shared_networks.utils.memory import is_memory_error


class CaseEvaluator(SupervisedEvaluator):
    """``SupervisedEvaluator`` that refuses the cases of a batch, and goes on, when they cannot be computed.

    That is when the memory is too small even for the inferer's smallest pieces, or when inferer or postprocessing raise
    :class:`shared_networks.errors.InputError`. Any other error is a defect, and ends the run. Its outputs are lists of
    items, as with ``decollate=True``; a refused case's has the reason under ``refused`` and nothing else.

    The arguments are those of ``monai.engines.SupervisedEvaluator``.
    """

    def _iteration(self, engine: SupervisedEvaluator, batchdata: dict[str, Any]) -> Any:
        cases = list(batchdata["case"])
        try:
            return super()._iteration(engine, batchdata)
        except Exception as error:
            fault = find_input_error(error)
            if fault is None and not is_memory_error(error):
                raise
            size = " x ".join(map(str, batchdata["image"].shape[2:]))
            reason = str(fault) if fault is not None else _too_small(size, error)
        engine.state.batch = [
            {
                "case": case,
                **{key: batchdata[key][number] for key in ("inputs_sha256", "fingerprint") if key in batchdata},
            }
            for number, case in enumerate(cases)
        ]
        return [{CaseStatus.REFUSED: reason} for _ in cases]


def _too_small(size: str, error: BaseException) -> str:
    text = " ".join(str(error).split())[:150]
    return (
        f"{size}: the memory is too small ({text or type(error).__name__}); set memory_limit_gb to what is free, crop "
        "the images, or use a larger machine."
    )
