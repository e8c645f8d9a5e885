"""What passes as a number within bounds, and what is said of the rest."""

import pytest

from shared_networks.errors import InputError
from shared_networks.utils.number_checks import check_number, check_numbers


@pytest.mark.parametrize(
    ("value", "bounds", "expected"),
    [
        ("0.5", {}, "overlap must be a number, got '0.5'."),
        ([0.5], {}, "overlap must be a number, got [0.5]."),
        (None, {}, "overlap must be a number, got None."),
        (True, {}, "overlap must be a number, got True."),
        (float("nan"), {}, "overlap must be a number, got nan."),
        (1.5, {"whole": True}, "overlap must be a whole number, got 1.5."),
        (-1, {"least": 0, "below": 1}, "overlap must be at least 0 and below 1, got -1."),
        (1.0, {"least": 0, "below": 1}, "overlap must be at least 0 and below 1, got 1.0."),
        (101, {"least": 0, "most": 100}, "overlap must be at least 0 and at most 100, got 101."),
    ],
)
def test_refused(value, bounds, expected):
    with pytest.raises(InputError) as refusal:
        check_number("overlap", value, **bounds)
    assert str(refusal.value) == expected


def test_bounds_that_are_included_pass():
    check_number("n", 0, least=0, below=1)
    check_number("n", 100.0, least=0, most=100, whole=True)


@pytest.mark.parametrize("values", ["ab", 2, [1], [1, 2, 3], None])
def test_another_count_is_refused(values):
    with pytest.raises(InputError, match="roi must be a list of 2 numbers, got "):
        check_numbers("roi", values, 2)


def test_each_of_several_is_looked_at():
    check_numbers("roi", (1, 2), 2, least=1)
    with pytest.raises(InputError, match="roi must be at least 1, got 0"):
        check_numbers("roi", [1, 0], 2, least=1)
