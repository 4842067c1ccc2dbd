"""What one coupon may say: its terms as a person or a program states them, and every rule that needs no other row. No writes."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from bonds.errors import Invalid
from bonds.models import Bond
from bonds.models.bond import RATE
from yields.calculations import is_regular_period
from yields.models import FREQUENCIES, HIGH_RATE, DayCount, ProfitBasis, Rounding, YieldType
from yields.services import amounts


@dataclass(frozen=True, kw_only=True)
class CouponInput:
    """One coupon as a person or a program states it. Rates are fractions per year; None and "" mean: not given.

    `face_value` and `confirm_high_rate` are only checked against, not stored as terms. `supersedes` names the version this one replaces.
    """

    bond_metadata_id: UUID
    yield_type: str
    interest_period_start: date
    interest_period_end: date
    yield_time: datetime
    coupon_rate: Decimal | None = None
    confirm_high_rate: bool = False
    variable_rate: Decimal | None = None
    profits_before_tax: Decimal | None = None
    profit_basis: str = ""
    profit_currency: str = ""
    fx_rate: Decimal | None = None
    fx_source: str = ""
    day_count: str = DayCount.ACT_365F
    record_at: datetime | None = None
    rounding: str = Rounding.DOWN
    payment_sequence: int | None = None
    payment_frequency: int | None = None
    fiscal_year_end: str = ""
    face_value: Decimal | None = None
    supersedes: UUID | None = None


def check(coupon: CouponInput, bond: Bond) -> None:
    """Every rule that needs no other row. Raises Invalid for the first field that breaks one."""
    _check_choices(coupon)
    _check_times(coupon)
    _check_life_of(bond, coupon)
    for field in ("coupon_rate", "variable_rate", "profits_before_tax", "fx_rate"):
        _check_digits(field, getattr(coupon, field))
    _check_coupon_rate(coupon)
    _check_variable_leg(coupon)
    _check_currencies(coupon, bond)
    if coupon.face_value is not None and coupon.face_value != bond.face_value:
        raise Invalid(
            f"the bond's face value is {amounts.plain(bond.face_value)} {bond.currency}",
            code="face_value_differs",
            field="face_value",
        )


def refuse_if(condition: bool, message: str, code: str, field: str) -> None:
    """Raise Invalid for the field when the condition holds."""
    if condition:
        raise Invalid(message, code=code, field=field)


def _check_choices(coupon: CouponInput) -> None:
    allowed: dict[str, tuple[Any, ...]] = {
        "yield_type": tuple(YieldType.values),
        "day_count": tuple(DayCount.values),
        "rounding": tuple(Rounding.values),
        "profit_basis": ("", *ProfitBasis.values),
        "payment_frequency": (None, *FREQUENCIES),
    }
    for field, values in allowed.items():
        words = ", ".join(str(value) for value in values if value not in ("", None))
        refuse_if(getattr(coupon, field) not in values, f"{field} is one of {words}", "unknown_value", field)
    refuse_if(
        coupon.day_count == DayCount.ACT_ACT_ICMA and coupon.payment_frequency is None,
        "ACT/ACT-ICMA needs the payment frequency",
        "missing_payment_frequency",
        "payment_frequency",
    )
    refuse_if(
        coupon.payment_sequence is not None and coupon.payment_sequence < 1,
        "payment_sequence counts from 1",
        "out_of_range",
        "payment_sequence",
    )
    refuse_if(
        bool(coupon.fiscal_year_end) and not _is_month_and_day(coupon.fiscal_year_end),
        "fiscal_year_end is a month and a day, as in 12-31",
        "invalid_month_day",
        "fiscal_year_end",
    )


def _is_month_and_day(text: str) -> bool:
    if not re.fullmatch(r"\d{2}-\d{2}", text, flags=re.ASCII):
        return False
    try:
        date.fromisoformat(f"2000-{text}")
    except ValueError:
        return False
    return True


def _check_times(coupon: CouponInput) -> None:
    refuse_if(
        coupon.interest_period_start >= coupon.interest_period_end,
        "the interest period ends after it starts; the end day itself does not count",
        "empty_period",
        "interest_period_end",
    )
    if coupon.day_count == DayCount.ACT_ACT_ICMA and coupon.payment_frequency is not None:
        refuse_if(
            not is_regular_period(coupon.interest_period_start, coupon.interest_period_end, coupon.payment_frequency),
            f"ACT/ACT-ICMA needs a whole coupon period of {coupon.payment_frequency} a year",
            "irregular_period",
            "interest_period_end",
        )
    for field, moment in (("yield_time", coupon.yield_time), ("record_at", coupon.record_at)):
        refuse_if(moment is not None and timezone.is_naive(moment), f"{field} needs a time zone", "naive_time", field)
    refuse_if(
        coupon.record_at is not None and coupon.record_at > coupon.yield_time,
        "holders are recorded at or before the yield time",
        "record_after_yield_time",
        "record_at",
    )


def _check_life_of(bond: Bond, coupon: CouponInput) -> None:
    """A coupon pays for days the bond exists, and not before they have been earned."""
    refuse_if(
        coupon.interest_period_start < bond.issue_date,
        f"{bond.name} is issued on {bond.issue_date}: no interest is earned before it",
        "before_issue_date",
        "interest_period_start",
    )
    refuse_if(
        coupon.interest_period_end > bond.maturity_date,
        f"{bond.name} matures on {bond.maturity_date}: no interest is earned after it",
        "after_maturity_date",
        "interest_period_end",
    )
    refuse_if(
        coupon.yield_time.astimezone(UTC).date() < coupon.interest_period_end,
        f"the coupon is earned when its interest period ends, on {coupon.interest_period_end}: it is not paid before",
        "paid_before_earned",
        "yield_time",
    )


def _check_digits(field: str, value: Decimal | None) -> None:
    if value is None:
        return
    refuse_if(not value.is_finite(), f"{field} is a number", "not_a_number", field)
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    refuse_if(
        places > RATE["decimal_places"],
        f"{field} has at most {RATE['decimal_places']} decimals",
        "too_many_decimals",
        field,
    )
    whole_digits = RATE["max_digits"] - RATE["decimal_places"]
    refuse_if(value.adjusted() >= whole_digits, f"{field} has at most {whole_digits} whole digits", "too_large", field)


def _check_coupon_rate(coupon: CouponInput) -> None:
    rate = coupon.coupon_rate
    if coupon.yield_type == YieldType.VARIABLE:
        refuse_if(rate is not None, "a variable coupon has no coupon rate", "unexpected_coupon_rate", "coupon_rate")
        return
    if rate is None:
        raise Invalid(
            f"a {coupon.yield_type} coupon needs a coupon rate", code="missing_coupon_rate", field="coupon_rate"
        )
    refuse_if(
        not 0 <= rate <= 1,
        "the coupon rate is a fraction per year between 0 and 1: 0.05 is 5 %",
        "coupon_rate_out_of_range",
        "coupon_rate",
    )
    refuse_if(
        rate > Decimal(HIGH_RATE) and not coupon.confirm_high_rate,
        f"{amounts.percent(rate)} a year is unusually high: confirm it with confirm_high_rate",
        "high_rate_unconfirmed",
        "confirm_high_rate",
    )


def _check_variable_leg(coupon: CouponInput) -> None:
    given: dict[str, Any] = {
        "variable_rate": coupon.variable_rate,
        "profits_before_tax": coupon.profits_before_tax,
        "profit_basis": coupon.profit_basis,
        "profit_currency": coupon.profit_currency,
    }
    if coupon.yield_type == YieldType.FIXED:
        for field, value in given.items():
            refuse_if(value not in (None, ""), f"a fixed coupon has no {field}", "unexpected_profit", field)
        return
    missing_code = {"variable_rate": "missing_variable_rate", "profits_before_tax": "missing_profit"}
    for field, value in given.items():
        code = missing_code.get(field, f"missing_{field}")
        refuse_if(value in (None, ""), f"a {coupon.yield_type} coupon needs {field}", code, field)
    refuse_if(
        coupon.variable_rate is not None and not 0 <= coupon.variable_rate <= 1,
        "the variable rate is a fraction between 0 and 1: 0.10 is 10 %",
        "variable_rate_out_of_range",
        "variable_rate",
    )
    refuse_if(
        coupon.profits_before_tax is not None and coupon.profits_before_tax < 0,
        "a loss pays nothing: enter 0",
        "negative_profit",
        "profits_before_tax",
    )


def _check_currencies(coupon: CouponInput, bond: Bond) -> None:
    """The bond's currency is the one its PLT is denominated in; a profit in another one needs a rate and where it is from."""
    if coupon.profit_currency in ("", bond.currency):
        refuse_if(
            coupon.fx_rate is not None or bool(coupon.fx_source),
            f"nothing is converted: everything is in {bond.currency}",
            "unexpected_fx_rate",
            "fx_rate",
        )
        return
    if coupon.fx_rate is None:
        raise Invalid(
            f"the profit is in {coupon.profit_currency}, the bond pays {bond.currency}: give fx_rate and fx_source",
            code="missing_fx_rate",
            field="fx_rate",
        )
    refuse_if(coupon.fx_rate <= 0, "an FX rate is above 0", "fx_rate_out_of_range", "fx_rate")
    refuse_if(not coupon.fx_source.strip(), "say where the FX rate is from", "missing_fx_source", "fx_source")
