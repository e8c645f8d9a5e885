"""An uncaught InputError under the stock runner is one line."""

import sys

import pytest

from shared_networks.errors import InputError
from shared_networks.utils.one_line_errors import find_input_error, runs_as_bundle_command, shorten_input_errors


def wrapped(error):
    """The error as MONAI raises it: wrapped twice."""
    try:
        try:
            raise error
        except type(error) as inner:
            raise RuntimeError("Failed to evaluate") from inner
    except RuntimeError as outer:
        return outer


def test_finds_the_cause():
    fault = InputError("mri: no such file")
    assert find_input_error(fault) is fault
    assert find_input_error(wrapped(fault)) is fault
    assert find_input_error(wrapped(KeyError("x"))) is None
    assert find_input_error(None) is None


def test_a_ring_of_causes_ends():
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert find_input_error(first) is None


def test_pytest_is_not_the_stock_runner():
    assert not runs_as_bundle_command()


@pytest.mark.parametrize(("fault", "lines"), [(InputError("mri: no such file"), 1), (KeyError("mri"), 5)])
def test_prints_one_line_for_input_and_a_traceback_for_the_rest(monkeypatch, capsys, fault, lines):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    shorten_input_errors()
    shorten_input_errors()
    error = wrapped(fault)
    sys.excepthook(type(error), error, error.__traceback__)
    printed = capsys.readouterr().err.splitlines()
    if lines == 1:
        assert printed == ["error: mri: no such file"]
    else:
        assert len(printed) >= lines
        assert printed[-1] == "RuntimeError: Failed to evaluate"
