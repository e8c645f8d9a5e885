"""The pretended GPU and small brains."""

import pytest

from tests.gpu.pretended_cuda import pretended_cuda


@pytest.fixture
def gpu():
    """The pretended device, there for the length of a test."""
    with pretended_cuda() as device:
        yield device


@pytest.fixture(scope="session")
def brains(write_rmr_case, tmp_path_factory):
    """Two cases to train with and one to validate, which is large enough for VIF."""
    folder = tmp_path_factory.mktemp("brains")
    for number in (0, 1):
        write_rmr_case(folder / "training" / f"s{number}", number)
    write_rmr_case(folder / "validation" / "s2", 2, shape=(44, 46, 10))
    return folder
