"""How exact amounts are written down."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yields.services import amounts


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.050000", "0.05"), ("1000", "1000"), ("1E+3", "1000"), ("0.00", "0"), ("1." + "1" * 37, "1." + "1" * 37)],
)
def test_plain_decimals_lose_nothing_but_zeros(value, text):
    assert amounts.plain(Decimal(value)) == text


@pytest.mark.parametrize(("rate", "text"), [("0.05", "5 %"), ("0.0375", "3.75 %"), ("1", "100 %"), ("0", "0 %")])
def test_a_rate_is_shown_in_percent(rate, text):
    assert amounts.percent(Decimal(rate)) == text


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [(1_234_567, 6, "1.234567"), (1, 6, "0.000001"), (0, 2, "0.00"), (7, 0, "7"), (10**30, 6, f"{10**24}.000000")],
)
def test_units_are_shown_with_all_their_decimals(units, decimals, text):
    assert amounts.units_text(units, decimals) == text


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=77))
def test_units_and_their_text_are_the_same_number(units, decimals):
    assert Fraction(amounts.units_text(units, decimals)) == Fraction(units, 10**decimals)
    assert Fraction(amounts.plain_units(units, decimals)) == Fraction(units, 10**decimals)


def test_a_fraction_is_kept_exactly_and_shown_cut():
    assert amounts.exact_and_shown(Fraction(2, 3)) == {"exact": "2/3", "decimal": "0.666666666666666666"}
