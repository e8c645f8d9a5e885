"""Kinds of values by the annotations of the components that take them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from monai.bundle import ConfigParser

from shared_networks.runner.argument_kinds import mistaken_arguments
from shared_networks.runner.config_keys import mistaken_values

if TYPE_CHECKING:
    from decimal import Decimal

ROOT = Path(__file__).parents[2]


class Part:
    def __init__(
        self,
        rate: float | None = None,
        way: Literal["up", "down"] = "up",
        name: str = "",
        sides: Sequence[int] | int = 1,
        bounds: tuple[float, float] = (0, 1),
        table: Mapping[str, float] | None = None,
        on: bool = False,
        free: Any = None,
        partly: Sequence[float] | ConfigParser = (),
        bare=None,
    ) -> None:
        pass


class Unsure:
    def __init__(self, rate: "Decimal") -> None:
        pass


def said(argument, value, target="Part"):
    component = {"_target_": f"{__name__}.{target}", argument: "@key"}
    return mistaken_arguments({"key": value}, {"key": value, "a": [{"part": component}]})


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("rate", "abc", "a number, or None, got 'abc'"),
        ("rate", [1], "a number, or None, got [1]"),
        ("rate", True, "a number, or None, got True"),
        ("way", "left", "'up' or 'down', got 'left'"),
        ("name", 3, "a text, got 3"),
        ("sides", "x", "a list of whole numbers or a whole number, got 'x'"),
        ("sides", [1, 2.5], "a list of whole numbers or a whole number, got [1, 2.5]"),
        ("bounds", [1, 2, 3], "a list of 2 numbers, got [1, 2, 3]"),
        ("bounds", ["a", 2], "a list of 2 numbers, got ['a', 2]"),
        ("table", [1], "a dictionary, or None, got [1]"),
        ("on", "maybe", "True or False, got 'maybe'"),
    ],
)
def test_another_kind_is_named(argument, value, expected):
    assert said(argument, value) == [f"key must be {expected}"]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *[("rate", value) for value in (None, 3, 2.5, "$1 / 3", "@other")],
        *[("sides", value) for value in (3, 3.0, [1, 2], [1, "@b"], [])],
        *[("on", value) for value in (True, False, 1, "true", "False")],
        ("way", "down"),
        ("name", "abc"),
        ("bounds", (0.5, 1)),
        ("table", {"a": 1}),
        *[(argument, "abc") for argument in ("free", "partly", "bare", "no_argument")],
    ],
)
def test_what_an_annotation_means_or_leaves_open_passes(argument, value):
    assert said(argument, value) == []


def test_what_cannot_be_asked_passes():
    assert said("rate", "abc", "Unsure") == []
    for target in ("math.sqrt", "no.such.thing", "builtins.dict"):
        assert mistaken_arguments({"key": "abc"}, {"key": "abc", "a": {"_target_": target, "x": "@key"}}) == []


def test_values_that_are_handed_on_and_arguments_by_their_id():
    part = {"_target_": f"{__name__}.Part", "rate": "@second", "way": "up"}
    merged = {"first": "abc", "second": "@first", "a": {"b": [part]}}
    assert mistaken_arguments({"first": "abc"}, merged) == ["first must be a number, or None, got 'abc'"]
    assert mistaken_arguments({"a#b#0#way": "on"}, merged) == ["a#b#0#way must be 'up' or 'down', got 'on'"]
    assert mistaken_arguments({"a::b::0::rate": 2, "a": 3, "c#d": 1}, merged) == []


WRONG = {
    "rmr_fusion:train": [
        ("class_weights", "abc", "a list of numbers, or None, got 'abc'"),
        ("class_weights", 3, "a list of numbers, or None, got 3"),
        ("allowed_labels", 3, "a list of whole numbers or a dictionary or a text, or None, got 3"),
        ("lesion_threshold", "abc", "a number, got 'abc'"),
        ("head_classes", "abc", "a number, got 'abc'"),
        ("images_to_volume", "x", "a list such as [0.2, 0.85], got 'x'"),
    ],
    "rmr_fusion:train+paper": [
        ("lesion_threshold", "abc", "a number, or None, got 'abc'"),
        ("auxiliary_of", "abc", "a whole number, or None, got 'abc'"),
        ("ignore_label", [1], "a whole number, or None, got [1]"),
    ],
    "rmr_fusion:train+evaluate": [
        ("missing_channel", 7, "0 or 1, got 7"),
        ("missing_channel", "t1", "0 or 1, got 't1'"),
    ],
    "rmr_fusion:train+tune_encoders": [("encoder_learning_rate", "abc", "a number, got 'abc'")],
    "rmr_fusion:inference": [("memory_limit_gb", "lots", "a number, or None, got 'lots'")],
    "gesenet:train": [
        ("crop_size", "abc", "a list such as [128, 128], got 'abc'"),
        ("crop_size", [], "a list of 2 numbers such as [128, 128], got []"),
        ("mask_upsampling", "cubic", "'transposed' or 'bilinear', got 'cubic'"),
    ],
    "gesenet:inference": [("mask_upsampling", "x", "'transposed' or 'bilinear', got 'x'")],
    "gesenet:train+paper": [("mid_grey", "abc", "a number, or None, got 'abc'")],
}


@pytest.mark.parametrize("run", WRONG)
def test_keys_of_the_bundles(run):
    """Those that are null or an expression in the files, which say nothing of their kind."""
    bundle, names = run.split(":")
    files = ConfigParser.load_config_files([ROOT / f"{bundle}_bundle/configs/{name}.json" for name in names.split("+")])
    for key, value, expected in WRONG[run]:
        found = mistaken_values({key: value}, files) or mistaken_arguments({key: value}, files | {key: value})
        assert found == [f"{key} must be {expected}"]
    plain = {key: value for key, value in files.items() if not isinstance(value, dict)}
    assert mistaken_arguments(plain, files) == []  # the defaults are of their kinds


def test_a_key_that_two_components_take_may_be_of_either_kind():
    """``noise_std`` is a range in a training, and a number in the evaluation that lies over it."""
    parts = [{"_target_": f"{__name__}.Part", "bounds": "@key"}, {"_target_": f"{__name__}.Part", "rate": "@key"}]
    for value in (0.1, [0.0, 0.1]):
        assert mistaken_arguments({"key": value}, {"key": value, "a": parts}) == []
    (fault,) = mistaken_arguments({"key": "abc"}, {"key": "abc", "a": parts})
    assert fault.startswith("key must be a list of 2 numbers, got")
