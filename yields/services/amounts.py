"""How exact amounts are written down. Text only: nothing here rounds, except where the name says how many places are shown."""

from decimal import Decimal
from fractions import Fraction

SHOWN_PLACES = 18


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: 0.050000 becomes 0.05. Exact at any length."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(rate: Decimal) -> str:
    """A fraction as people say it: 0.0375 becomes 3.75 %. Exact at any length."""
    sign, digits, exponent = rate.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("a rate is a finite number")
    return f"{plain(Decimal((sign, digits, exponent + 2)))} %"


def units_text(units: int, decimals: int) -> str:
    """Base units as a decimal of the token: 1234567 with 6 decimals becomes 1.234567."""
    if decimals == 0:
        return str(units)
    whole, part = divmod(units, 10**decimals)
    return f"{whole}.{part:0{decimals}d}"


def exact_text(value: Fraction) -> str:
    """n/d in lowest terms."""
    return f"{value.numerator}/{value.denominator}"


def shown_decimal(value: Fraction, places: int = SHOWN_PLACES) -> str:
    """A fraction that is not negative as a decimal, cut after `places` places; for the eye, never computed with."""
    return plain(Decimal(units_text(value.numerator * 10**places // value.denominator, places)))


def plain_units(units: int, decimals: int) -> str:
    """Base units as a decimal without trailing zeros: 1500000 with 6 decimals becomes 1.5."""
    return plain(Decimal(units_text(units, decimals)))


def exact_and_shown(value: Fraction) -> dict[str, str]:
    """Both forms of one figure, as they are stored in a breakdown."""
    return {"exact": exact_text(value), "decimal": shown_decimal(value)}
