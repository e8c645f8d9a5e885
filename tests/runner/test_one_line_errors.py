"""An uncaught InputError under the stock runner is one line."""

import logging
import re
import sys
import tempfile
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from monai.bundle import ConfigParser
from monai.transforms import Compose, Lambda

from shared_networks.errors import InputError
from shared_networks.runner.one_line_errors import (
    _print_one_line,
    find_input_error,
    reason_of,
    runs_as_bundle_command,
    shorten_errors,
)


@pytest.fixture(autouse=True)
def own_log_records():
    """What a program does to its log records is undone after a test."""
    before = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(before)


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


@pytest.mark.parametrize(("name", "reason"), [("a.json", "Expecting .* line 1 column 2"), ("b.json", "No such file")])
def test_a_config_file_that_cannot_be_read_is_named(tmp_path, name, reason):
    (tmp_path / "a.json").write_text("{bad")
    error = raised(lambda: ConfigParser({"a": f"%{tmp_path / name}::b"}).parse())
    assert re.fullmatch(rf".*{name}: not a readable config file \(.*{reason}.*\); correct it.", reason_of(error))


def test_a_ring_of_causes_ends():
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert find_input_error(first) is None


def test_pytest_is_not_the_stock_runner():
    assert not runs_as_bundle_command()


def raised(make):
    """The error that a function raises."""
    with pytest.raises(BaseException) as caught:
        make()
    return caught.value


def expression(text):
    return raised(lambda: ConfigParser({"device": "x", "a": text}).get_parsed_content("a"))


def test_what_a_component_says_of_its_arguments_needs_no_traceback(capsys):
    """Its message names the argument; an error that it did not foresee keeps its kind and traceback."""
    component = {"_target_": "shared_networks.losses.MutualReinforcingLoss", "intensity": [0]}
    error = raised(lambda: ConfigParser({"a": component}).get_parsed_content("a"))
    expected = (
        "intensity must be two weights of at least 0, of T1 and FLAIR, got [0]. "
        "(in component 'shared_networks.losses.MutualReinforcingLoss')"
    )
    assert reason_of(error) == expected
    _print_one_line(type(error), error, error.__traceback__)
    assert capsys.readouterr().err == f"error: {expected}\n"
    component["intensity"] = 3
    error = raised(lambda: ConfigParser({"a": component}).get_parsed_content("a"))
    assert reason_of(error).startswith("TypeError: object of type 'int' has no len()")
    _print_one_line(type(error), error, error.__traceback__)
    assert "\nthe traceback is in " in capsys.readouterr().err
    unraised = RuntimeError("Failed to instantiate component 'a'")
    unraised.__cause__ = ValueError("b")
    assert reason_of(unraised) == "ValueError: b (in component 'a')"


@pytest.mark.parametrize(
    ("line", "kind"), [("raise ValueError(\n        'bad')", ""), ("return int('bad'.upper())", "ValueError: ")]
)
def test_only_what_a_component_raises_itself_is_its_word(tmp_path, line, kind):
    source = tmp_path / "made.py"
    source.write_text(f"def make():\n    {line}\n")
    specification = spec_from_file_location("shared_networks.made", source)
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    error = raised(lambda: ConfigParser({"a": {"_target_": module.make}}).get_parsed_content("a"))
    assert reason_of(error).startswith(f"{kind}{'invalid literal' if kind else 'bad'}")


def test_reason_of_an_error_inside_a_config():
    assert reason_of(expression("$1 / 0 if @device else 0")) == (
        "ZeroDivisionError: division by zero (in $1 / 0 if @device else 0)"
    )
    assert reason_of(expression({"_target_": "fractions.Fraction", "numerator": "b"})) == (
        "ValueError: Invalid literal for Fraction: 'b' (in component 'fractions.Fraction')"
    )
    assert reason_of(expression({"_target_": "builtins.dict", "x": "$[][1]"})) == (
        "IndexError: list index out of range (in $[][1])"
    )
    assert reason_of(raised(lambda: Compose([Lambda(lambda x: x["b"])])({}))).startswith("KeyError: 'b' (in <monai")


def test_reason_of_other_errors_is_their_own_line():
    inner = KeyError("k")
    outer = ValueError("two\nlines " + 400 * "x")
    outer.__cause__ = inner
    assert reason_of(outer).startswith("ValueError: two lines xxx") and len(reason_of(outer)) < 330
    assert reason_of(MemoryError()) == "MemoryError"
    assert reason_of(KeyboardInterrupt()) == "interrupted"
    text = "Caught InputError in worker 0.\nOriginal Traceback (most recent call last):\n x.InputError: a.nii: bad"
    assert reason_of(InputError(text)) == "a.nii: bad"


@pytest.mark.parametrize("fault", [InputError("mri: no such file"), KeyError("mri"), KeyboardInterrupt()])
def test_prints_one_line_and_says_where_the_traceback_is(monkeypatch, capsys, tmp_path, fault):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shorten_errors()
    shorten_errors()
    error = fault if isinstance(fault, KeyboardInterrupt) else wrapped(fault)
    sys.excepthook(type(error), error, error.__traceback__)
    first, *rest = capsys.readouterr().err.splitlines()
    expected = {InputError: "mri: no such file", KeyError: "KeyError: 'mri'", KeyboardInterrupt: "interrupted"}
    assert first.startswith(f"error: {expected[type(fault)]}")
    files = list(tmp_path.iterdir())
    assert rest == [f"the traceback is in {file}" for file in files]
    assert len(files) == isinstance(fault, KeyError)
    assert all("Failed to evaluate" in file.read_text() for file in files)


def test_a_traceback_that_cannot_be_kept_is_shown(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
    shorten_errors()
    error = wrapped(KeyError("mri"))
    sys.excepthook(type(error), error, error.__traceback__)
    assert capsys.readouterr().err.splitlines()[-1] == "RuntimeError: Failed to evaluate"


def test_a_logged_error_is_one_line_too(monkeypatch, capsys):
    """MONAI's handlers log the traceback of what ends a training."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    logger = logging.getLogger("test_a_logged_error")
    handler = logging.StreamHandler(sys.stdout)
    logger.addHandler(handler)
    shorten_errors()
    try:
        raise wrapped(InputError("t1: bad"))
    except RuntimeError as error:
        logger.exception(f"Exception: {error}")
    logger.error("%s stays", "this")
    logger.removeHandler(handler)
    assert capsys.readouterr().out == "t1: bad\nthis stays\n"
