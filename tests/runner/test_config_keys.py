"""Which override keys a configuration knows."""

import pytest

from shared_networks.runner.config_keys import (
    is_referred_to,
    mistaken_values,
    switches_as_text,
    unknown_keys,
    whole_as_integers,
)

FILES = {
    "epochs": 2,
    "learning_rate": 0.1,
    "weights": {"edge": 1.0},
    "total": "$sum(@weights.values())",
    "train": {
        "trainer": {"_target_": "SupervisedTrainer", "max_epochs": "@epochs"},
        "list": [{"_target_": "Flipd", "keys": "image"}],
        "free": {"_target_": "builtins.dict", "a": 1},
        "open": {"_target_": "monai.bundle.ConfigWorkflow", "config_file": "x.json"},
    },
}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("epoch", "unknown key 'epoch' (did you mean 'epochs'?)"),
        ("t2", "unknown key 't2' (known here: epochs, learning_rate, total)"),
        ("train#trainer#max_epoch", "unknown key 'train#trainer#max_epoch' (did you mean 'train#trainer#max_epochs'?)"),
        ("train::trainr", "unknown key 'train::trainr' (did you mean 'train#trainer'?)"),
        ("train#list#0#key", "unknown key 'train#list#0#key' (did you mean 'train#list#0#keys'?)"),
    ],
)
def test_unknown(key, expected):
    assert unknown_keys([key], FILES, FILES) == [expected]


@pytest.mark.parametrize(
    "key",
    [
        "epochs",
        "train#trainer#max_epochs",
        "train#trainer#amp",  # not in the file, but an argument of the trainer
        "train#trainer#_disabled_",
        "train#list#0#spatial_axis",
        "train#free#b",  # a constructor that does not say what it takes
        "train#open#b",  # **override
        "weights#detail",  # @weights is used as a whole
        "_meta_#version",
    ],
)
def test_known(key):
    assert unknown_keys([key], FILES, FILES) == []


def test_new_key_that_another_override_uses_is_known():
    overrides = {"rate": 0.2, "learning_rate": "@rate"}
    assert unknown_keys(overrides, FILES, FILES | overrides) == []
    assert unknown_keys(["rate"], FILES, FILES) != []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@data", True),
        ("$len(@data) + 1", True),
        ("@data#0", True),
        ("$@data::first", True),
        ("@database", False),
        ("see @data", False),  # not an expression, so MONAI leaves the text alone
        ("data", False),
    ],
)
def test_is_referred_to(text, expected):
    assert is_referred_to("data", {"a": [{"b": text}]}) is expected


@pytest.mark.parametrize("text", ["no", "yes", "1", ""])
def test_text_for_a_switch_or_a_number_is_a_mistake(text):
    files = {"train": {"amp": False, "epochs": 3, "rate": 0.1}}
    assert mistaken_values({"train#amp": text}, files) == [f"train#amp must be True or False, got '{text}'"]
    for key in ("train#epochs", "train#rate"):
        assert mistaken_values({key: text}, files) == [f"{key} must be a number, got '{text}'"]
        assert mistaken_values({key: 5}, files) == mistaken_values({key: "$5"}, files) == []
    assert switches_as_text({"train#amp": text}, files) == {}


SETTINGS = {
    "overlap": 0.25,
    "size": [160, 192, 16],
    "names": ["t1", "flair"],
    "ratios": [1.0, 1.0, 1.0, 2.0],
    "subjects": [],
    "count": 3,
    "batch_size": 4,
    "max_epochs": 2,
    "limit": None,
    "shift": -1.5,
    "amp": False,
    "split": {"CT": ["33"]},
    "net": {"_target_": "Flipd", "keys": ["image"], "a_min": 0.0},
}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("overlap", [1], "overlap must be a number, got [1]"),
        ("overlap", {"a": 1}, "overlap must be a number, got {'a': 1}"),
        ("overlap", True, "overlap must be a number, got True"),
        ("overlap", float("nan"), "overlap must be a number, got nan"),
        ("overlap", -0.1, "overlap must be at least 0, got -0.1"),
        ("count", 2.5, "count must be a whole number, got 2.5"),
        ("count", -1, "count must be at least 0, got -1"),
        ("batch_size", 0, "batch_size must be at least 1, got 0"),
        ("max_epochs", -1, "max_epochs must be at least 1, got -1"),
        ("size", 9.5, "size must be a list such as [160, 192, 16], got 9.5"),
        ("size", "96", "size must be a list such as [160, 192, 16], got '96'"),
        ("size", [96, "x", 2], "size must be a list such as [160, 192, 16], got [96, 'x', 2]"),
        ("size", [96, 96], "size must be a list of 3 numbers such as [160, 192, 16], got [96, 96]"),
        ("names", [1, 2], "names must be a list such as ['t1', 'flair'], got [1, 2]"),
        ("names", "t1", "names must be a list such as ['t1', 'flair'], got 't1'"),
        ("subjects", "p1", "subjects must be a list such as ['a', 'b'], got 'p1'"),
        ("amp", [True], "amp must be True or False, got [True]"),
        ("amp", 2, "amp must be True or False, got 2"),
        ("split", "CT", "split must be a dictionary, got 'CT'"),
    ],
)
def test_value_of_another_kind_is_a_mistake(key, value, expected):
    assert mistaken_values({key: value}, SETTINGS) == [expected]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("overlap", 0),
        ("overlap", None),
        ("count", 4.0),
        ("shift", -9),
        ("count", 0),
        ("batch_size", 1),
        ("net#batch_size", 0),  # of a component, which says what it takes
        ("size", 96),
        ("size", (1, 2, 3)),
        ("size", ["@count", 2, "$1 + 1"]),
        ("ratios", [1, 2]),
        ("ratios", []),
        ("names", []),
        ("subjects", [7]),
        ("limit", "2"),  # nothing says what it is
        ("amp", 1),
        ("split", {}),
        ("net", None),
        ("net#keys", "image"),  # a component may take several forms
        ("net#a_min", -1000.0),
        ("other", "x"),
    ],
)
def test_value_of_the_same_kind_passes(key, value):
    assert mistaken_values({key: value}, SETTINGS) == []


@pytest.mark.parametrize(
    ("default", "value", "expected"),
    [
        ("$16 if str(@device).startswith('cuda') else 4", "abc", "must be a number, got 'abc'"),
        ("$16 if str(@device).startswith('cuda') else 4", 2.5, "must be a whole number, got 2.5"),
        ("$min(8, os.cpu_count() or 1) if @amp else 0", -1, "must be at least 0, got -1"),
        ("$str(@device).startswith('cuda')", "maybe", "must be True or False, got 'maybe'"),
        ("$idist.get_rank() == 0", 2, "must be True or False, got 2"),
        ("$4 if @classes == 5 else None", "WML", "must be a number, got 'WML'"),
        ("$4 if @classes == 5 else None", None, ""),
        ("$16 if @amp else 4", 8, ""),
        ("$str(@device).startswith('cuda')", "FALSE", ""),
        ("$os.path.join(@bundle_root, 'eval')", 3, ""),
        ("$@network_def.to(@device)", "x", ""),
        ("$[1, 2] if @amp else None", "x", "must be a list such as [1, 2], got 'x'"),
        ("$[1, 2, 4] if @amp else None", [1, 2], "must be a list of 3 numbers such as [1, 2, 4], got [1, 2]"),
        ("$@intensity if @amp else None", "x", "must be a list such as [0.2, 0.85], got 'x'"),
        ("$@intensity if @amp else None", [1, 1], ""),
        ("$@intensity#0 if @amp else None", "x", ""),
        ("$[*range(@classes)]", "x", ""),
        ("$[side + 2 for side in @sizes]", "x", "must be a list such as [96, 64], got 'x'"),
        ("$[side + 2 for side in @sizes]", [], "must be a list of 2 numbers such as [96, 64], got []"),
        ("$[part for part in @names]", "x", ""),
        ("$0.1 * @rate", "x", "must be a number, got 'x'"),
        ("$@count + (@rate is not None)", 2.5, "must be a whole number, got 2.5"),
        ("$-(-len(@names) // @count)", "x", "must be a number, got 'x'"),
        ("$@names + ['b']", "x", ""),
        ("$'a' if @amp else 'b'", 3, ""),
        ("$no python", "x", ""),
    ],
)
def test_an_expression_says_what_kind_it_yields(default, value, expected):
    files = {"key": default, "intensity": [0.2, 0.85], "sizes": [96, 64], "names": ["a"], "rate": 0.5, "count": 3}
    assert mistaken_values({"key": value}, files) == ([f"key {expected}"] if expected else [])


def test_whole_numbers_are_integers_where_the_files_have_some():
    files = {"epochs": 3, "rate": 0.5, "size": [8, 8], "amp": True, "workers": "$min(8, @epochs)", "part": {"a": 1}}
    given = {"epochs": 1e2, "rate": 2.0, "size": [4.0, 4], "amp": 1.0, "workers": 2.0, "part#a": 5.0, "other": 1.0}
    assert whole_as_integers(given, files | {"workers": "$8 if @amp else 4"}) == {
        "epochs": 100,
        "size#0": 4,
        "workers": 2,
        "part#a": 5,
    }
    assert all(type(value) is int for value in whole_as_integers(given, files).values())
    assert whole_as_integers({"epochs": 2.5, "size": [1.5, 2]}, files) == {}


@pytest.mark.parametrize("text", ["false", "true", "False", "TRUE"])
def test_switch_in_other_letters_is_what_it_says(text):
    files = {"train": {"amp": False}, "name": "x"}
    given = {"train#amp": text, "name": "no"}
    assert switches_as_text(given, files) == {"train#amp": text.lower() == "true"}
    assert mistaken_values(given, files) == []


def test_switch_that_is_an_expression_in_the_file():
    files = {"amp": "$torch.cuda.is_available()", "name": "x"}
    assert switches_as_text({"amp": "false", "name": "False"}, files) == {"amp": False}
    files = {"amp": "$str(@device).startswith('cuda')"}
    assert switches_as_text({"amp": "FALSE"}, files) == {"amp": False}


@pytest.mark.parametrize("value", [True, False, 0, "$@device.type == 'cuda'", "@other", "%other"])
def test_good_value_for_a_switch(value):
    assert mistaken_values({"resume": value}, {"resume": True}) == []


def test_reference_to_the_whole_counts_for_the_part():
    assert is_referred_to("data#first", {"a": "@data"})
    assert not is_referred_to("data#first", {"a": "@data#second"})
