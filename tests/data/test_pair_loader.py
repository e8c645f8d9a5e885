"""Bad cases are logged, the rest comes in batches."""

import pytest
from monai.transforms import Compose

from shared_networks.data import CaseLog, FusionDataset, PairLoader
from shared_networks.errors import InputError
from shared_networks.transforms import LoadFusionPaird


@pytest.fixture
def dataset(write_picture, write_volume, noise):
    """Sizes A A B bad A volume volume refused."""
    data = []
    for number, shape in enumerate([(6, 8), (6, 8), (7, 8), None, (6, 8), (5, 6, 7), (5, 6, 7)]):
        write, ending = (write_volume, "nii.gz") if shape and len(shape) == 3 else (write_picture, "png")
        paths = [write(f"{number}{side}.{ending}", noise(shape or (4, 4), side)) for side in range(2)]
        if shape is None:
            paths[1].write_bytes(b"broken")
        data.append({"case": str(number), "modality": "", "image": [str(path) for path in paths]})
    data.append({"case": "7", "modality": "", "image": ["a", ""], "refused": "no partner"})
    return FusionDataset(data, Compose([LoadFusionPaird()]))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_hold_one_size_and_volumes_come_alone(dataset, num_workers):
    log = CaseLog()
    batches = list(PairLoader(dataset, log, batch_size=4, num_workers=num_workers))
    assert [list(batch["case"]) for batch in batches] == [["0", "1"], ["2"], ["4"], ["5"], ["6"]]
    assert [tuple(batch["image"].shape) for batch in batches] == [
        (2, 2, 6, 8),
        (1, 2, 7, 8),
        (1, 2, 6, 8),
        (1, 2, 5, 6, 7),
        (1, 2, 5, 6, 7),
    ]
    assert batches[0]["chroma"].shape == (2, 2, 6, 8)
    assert [(entry["case"], entry["status"]) for entry in log.entries] == [("3", "refused"), ("7", "refused")]
    assert log.entries[1]["reason"] == "no partner" and "31.png: cannot be read" in log.entries[0]["reason"]
    assert log.exit_code() == 2


def test_a_defect_is_raised(dataset):
    def defect(data):
        raise KeyError("a defect of the program")

    with pytest.raises(RuntimeError):
        FusionDataset([{"case": "1"}], Compose([defect]))[0]


def test_a_wrapped_refusal_is_found():
    def refuse(data):
        raise InputError("a reason")

    inner = Compose([refuse])
    assert FusionDataset([{"case": "1"}], Compose([inner]))[0] == {"case": "1", "refused": "a reason"}


def test_log_counts_and_writes_one_line_a_case(caplog):
    log = CaseLog()
    log.add({"case": "a"})
    log.add({"case": "b", "warning": "dark"})
    assert log.exit_code() == 0
    log.add({"case": "c", "warning": "dark", "refused": "two\nlines"})
    assert [log.count(status) for status in ("ok", "warned", "refused")] == [1, 1, 1]
    assert log.exit_code() == 2
    assert [record.getMessage() for record in caplog.records] == ["b warned: dark", "c refused: two lines"]
