"""What a holder is owed by one coupon: day counts, holding periods, exact amounts, one rounding. Pure: no Django, no
clock, no I/O, no float.

Rules: the product's rules §4. Money and rates are `Fraction`; the interest period is half-open [period_start,
period_end) in UTC days; a token id is the day its lot starts to accrue, as days since 1970-01-01.
"""

import calendar
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

EPOCH = date(1970, 1, 1)
TOKEN_IDS = range(10_000, 60_001)  # 1997 to 2134: outside it an id is no count of days (seconds, most often)
U64_MAX = 2**64 - 1
MAX_DECIMALS = 255
MONTHS = 12
ZERO = Fraction(0)

FIXED_TYPES = frozenset({"fixed", "fixed_variable"})
VARIABLE_TYPES = frozenset({"variable", "fixed_variable"})
PROFIT_BASES = frozenset({"total", "per_token"})
ROUNDING_UNITS = frozenset({"holder", "token"})
FREQUENCIES = frozenset({1, 2, 4, 12})
NUMBERS = ("face_value", "coupon_rate", "variable_rate", "profits_before_tax")


class CalculationError(ValueError):
    """Terms or holdings that must not be computed with. `field` names the input, `code` the rule; whoever entered it
    corrects it."""

    def __init__(self, field: str, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message


def _refuse_if(condition: bool, field: str, code: str, message: str) -> None:
    if condition:
        raise CalculationError(field, code, message)


# ---- day counts ----


def token_day(token_id: int) -> date:
    """The day a lot of this token id starts to accrue. CalculationError for an id that cannot be a count of days: its
    unit is never guessed."""
    _refuse_if(
        token_id not in TOKEN_IDS,
        "token_id",
        "token_id_out_of_range",
        f"token id {token_id} is not a day between {TOKEN_IDS[0]} and {TOKEN_IDS[-1]} since 1970-01-01",
    )
    return EPOCH + timedelta(days=token_id)


def holding_days(mint_date: date, period_start: date, period_end: date) -> int:
    """UTC calendar days of the period that a lot accrues: its first day counts, the period's end does not; never
    negative."""
    return max(0, (period_end - max(mint_date, period_start)).days)


def _days_30(years: int, months: int, days: int) -> Fraction:
    return Fraction(360 * years + 30 * months + days, 360)


def _is_last_of_february(day: date) -> bool:
    return day.month == 2 and day.day == calendar.monthrange(day.year, 2)[1]


def _act_365f(start: date, end: date, terms: "Terms") -> Fraction:
    """2006 ISDA Definitions §4.16(d)."""
    return Fraction((end - start).days, 365)


def _act_360(start: date, end: date, terms: "Terms") -> Fraction:
    """2006 ISDA Definitions §4.16(e)."""
    return Fraction((end - start).days, 360)


def _act_act_isda(start: date, end: date, terms: "Terms") -> Fraction:
    """2006 ISDA Definitions §4.16(b): days in leap years over 366, all others over 365."""
    total = ZERO
    for year in range(start.year, end.year + 1):
        first, last = max(start, date(year, 1, 1)), min(end, date(year + 1, 1, 1))
        total += Fraction(max(0, (last - first).days), 366 if calendar.isleap(year) else 365)
    return total


def _act_act_icma(start: date, end: date, terms: "Terms") -> Fraction:
    """2006 ISDA Definitions §4.16(c), ICMA Rule 251: days over (frequency x days of the regular period)."""
    assert terms.payment_frequency is not None
    return Fraction((end - start).days, terms.payment_frequency * (terms.period_end - terms.period_start).days)


def _thirty_e_360(start: date, end: date, terms: "Terms") -> Fraction:
    """2006 ISDA Definitions §4.16(g)."""
    days = min(end.day, 30) - min(start.day, 30)
    return _days_30(end.year - start.year, end.month - start.month, days)


def _thirty_360_us(start: date, end: date, terms: "Terms") -> Fraction:
    """SIA's US (NASD) rule: the ends of February count as the 30th, then the 31sts do."""
    first, last = start.day, end.day
    if _is_last_of_february(start):
        last = 30 if _is_last_of_february(end) else last
        first = 30
    if last == 31 and first >= 30:
        last = 30
    return _days_30(end.year - start.year, end.month - start.month, last - min(first, 30))


DAY_COUNTS: Mapping[str, Callable[[date, date, "Terms"], Fraction]] = {
    "ACT/365F": _act_365f,
    "ACT/360": _act_360,
    "ACT/ACT-ISDA": _act_act_isda,
    "ACT/ACT-ICMA": _act_act_icma,
    "30E/360": _thirty_e_360,
    "30/360-US": _thirty_360_us,
}


def _months_later(day: date, months: int) -> date:
    year, month = divmod(day.year * MONTHS + day.month - 1 + months, MONTHS)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _is_month_end(day: date) -> bool:
    return (day + timedelta(days=1)).month != day.month


def is_regular_period(start: date, end: date, frequency: int) -> bool:
    """Is [start, end) one whole coupon period of that many a year? Month ends belong together (31 Aug to 28 Feb, 29
    Feb to 31 Aug)."""
    months = MONTHS // frequency
    if (end.year - start.year) * MONTHS + end.month - start.month != months:
        return False
    return _months_later(start, months) == end or (_is_month_end(start) and _is_month_end(end))


# ---- rounding ----


def _round_down(value: Fraction) -> int:
    return value.numerator // value.denominator


def _round_half_up(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


ROUNDING_MODES: Mapping[str, Callable[[Fraction], int]] = {
    "down": _round_down,
    "half_up": _round_half_up,
    "half_even": round,  # exact on a Fraction: a half goes to the even neighbour
}


def round_units(amount: Fraction, decimals: int, mode: str = "down") -> int:
    """Base units of a non-negative amount at that many decimals, rounded once by the named rule."""
    return ROUNDING_MODES[mode](amount * 10**decimals)


def check_u64(units: int) -> int:
    """The units, where the chain can carry them: a PLT amount is an unsigned 64-bit integer."""
    _refuse_if(
        units > U64_MAX, "amount_units", "amount_exceeds_u64", f"{units} units do not fit an unsigned 64-bit integer"
    )
    return units


def exact_units(amount: Fraction, decimals: int) -> int:
    """Base units of an amount that must need no rounding; CalculationError for one with more decimals than the token
    has."""
    units = amount * 10**decimals
    _refuse_if(units.denominator != 1, "amount", "too_many_decimals", f"{amount} has more than {decimals} decimals")
    return check_u64(units.numerator)


# ---- rules over a whole run ----


def check_snapshot(balances_raw: Iterable[int], supply_raw: int) -> None:
    """The lots of a snapshot add up to the supply, or the run stops."""
    total = sum(balances_raw)
    _refuse_if(
        total != supply_raw, "supply", "snapshot_mismatch", f"the lots add up to {total}, the supply is {supply_raw}"
    )


def check_periods_disjoint(existing: tuple[date, date], new: tuple[date, date]) -> None:
    """No day belongs to two interest periods of one bond."""
    _refuse_if(
        new[0] < existing[1] and existing[0] < new[1],
        "period_start",
        "period_overlap",
        f"{new[0]} to {new[1]} overlaps {existing[0]} to {existing[1]}: the same days would be paid twice",
    )


# ---- terms ----


@dataclass(frozen=True)
class _Factors:
    """What one whole token of a lot earns. The same for every holder of the token id."""

    mint_date: date
    holding_period_days: int
    year_fraction: Fraction
    fixed: Fraction
    variable: Fraction
    yield_per_token: Fraction


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Everything an amount depends on besides the lots. CalculationError, naming the field, for terms that must not
    be computed with.

    Rates are fractions per year (0.05 is 5 %). `profits_before_tax` is per token or in total by `profit_basis`; a
    total is divided by the whole supply at the record block. Numbers may be given as Fraction, Decimal, int or text
    and are kept as Fraction; float is a TypeError. The issue and record dates, where given, bound the token ids.
    `rounding_unit` "token" rounds what one whole token earns, then multiplies and drops what is left below a unit.
    """

    yield_type: str
    day_count: str = "ACT/365F"
    token_decimals: int
    plt_decimals: int
    payment_frequency: int | None = None
    face_value: Fraction | None = None
    coupon_rate: Fraction | None = None
    variable_rate: Fraction | None = None
    profits_before_tax: Fraction | None = None
    profit_basis: str | None = None
    total_supply_raw: int | None = None
    period_start: date
    period_end: date
    rounding_mode: str = "down"
    rounding_unit: str = "holder"
    issue_date: date | None = None
    record_date: date | None = None
    _factors: dict[int, _Factors] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in NUMBERS:
            object.__setattr__(self, name, _exact(name, getattr(self, name)))
        self._check_choices()
        self._check_period()
        if self.has_fixed_leg:
            self._check_fixed_leg()
        if self.has_variable_leg:
            self._check_variable_leg()

    @property
    def has_fixed_leg(self) -> bool:
        return self.yield_type in FIXED_TYPES

    @property
    def has_variable_leg(self) -> bool:
        return self.yield_type in VARIABLE_TYPES

    def _check_choices(self) -> None:
        for name, allowed in (
            ("yield_type", FIXED_TYPES | VARIABLE_TYPES),
            ("day_count", DAY_COUNTS.keys()),
            ("rounding_mode", ROUNDING_MODES.keys()),
            ("rounding_unit", ROUNDING_UNITS),
        ):
            value = getattr(self, name)
            _refuse_if(value not in allowed, name, "unknown_value", f"{value!r} is not one of {sorted(allowed)}")
        for name in ("token_decimals", "plt_decimals"):
            value = getattr(self, name)
            _refuse_if(not 0 <= value <= MAX_DECIMALS, name, "decimals_out_of_range", f"{value} decimals")
        _refuse_if(
            self.coupon_rate is not None and not 0 <= self.coupon_rate <= 1,
            "coupon_rate",
            "coupon_rate_out_of_range",
            f"coupon rate {self.coupon_rate} is not a fraction between 0 and 1 (0.05 is 5 %)",
        )

    def _check_period(self) -> None:
        _refuse_if(
            self.period_end <= self.period_start,
            "period_end",
            "empty_period",
            f"the period from {self.period_start} to {self.period_end} has no day",
        )

    def _check_fixed_leg(self) -> None:
        _refuse_if(self.coupon_rate is None, "coupon_rate", "missing_coupon_rate", "a fixed leg needs a coupon rate")
        _refuse_if(self.face_value is None, "face_value", "missing_face_value", "a fixed leg needs a face value")
        _refuse_if(_is_negative(self.face_value), "face_value", "negative_face_value", "the face value is negative")
        if self.day_count == "ACT/ACT-ICMA":
            self._check_regular()

    def _check_regular(self) -> None:
        """A stub needs the notional periods of its schedule, which one period alone does not tell: refused, never
        guessed."""
        frequency = self.payment_frequency
        if frequency not in FREQUENCIES:
            raise CalculationError(
                "payment_frequency", "missing_payment_frequency", "ACT/ACT-ICMA needs 1, 2, 4 or 12 payments a year"
            )
        _refuse_if(
            not is_regular_period(self.period_start, self.period_end, frequency),
            "period_end",
            "irregular_period",
            f"{self.period_start} to {self.period_end} is not a regular period of {frequency} a year",
        )

    def _check_variable_leg(self) -> None:
        profit, rate = self.profits_before_tax, self.variable_rate
        _refuse_if(profit is None, "profits_before_tax", "missing_profit", "a variable leg needs the profit")
        _refuse_if(_is_negative(profit), "profits_before_tax", "negative_profit", "a loss is entered as 0")
        _refuse_if(rate is None, "variable_rate", "missing_variable_rate", "a variable leg needs a variable rate")
        _refuse_if(
            rate is not None and not 0 <= rate <= 1,
            "variable_rate",
            "variable_rate_out_of_range",
            f"variable rate {rate} is not a fraction between 0 and 1",
        )
        _refuse_if(
            self.profit_basis not in PROFIT_BASES,
            "profit_basis",
            "missing_profit_basis",
            "is the profit a total, or per token?",
        )
        _refuse_if(
            self.profit_basis == "total" and (self.total_supply_raw or 0) <= 0,
            "total_supply_raw",
            "zero_supply",
            "a total profit cannot be divided by a supply of nothing",
        )

    @property
    def profit_per_token(self) -> Fraction:
        """Profit per whole token; a total is divided by the whole supply, excluded and held tokens included."""
        assert self.profits_before_tax is not None
        if self.profit_basis == "per_token":
            return self.profits_before_tax
        assert self.total_supply_raw is not None
        return self.profits_before_tax * 10**self.token_decimals / self.total_supply_raw

    def factors(self, token_id: int) -> _Factors:
        """What one whole token of this id earns, computed once. CalculationError for an id outside issue date to
        record date."""
        found = self._factors.get(token_id)
        if found is None:
            found = self._factors[token_id] = self._compute_factors(token_id)
        return found

    def _compute_factors(self, token_id: int) -> _Factors:
        mint_date = token_day(token_id)
        early = self.issue_date is not None and mint_date < self.issue_date
        late = self.record_date is not None and mint_date > self.record_date
        _refuse_if(
            early or late,
            "token_id",
            "token_id_out_of_range",
            f"token id {token_id} is {mint_date}, outside issue date {self.issue_date} to record date {self.record_date}",
        )
        start = max(mint_date, self.period_start)
        days = holding_days(mint_date, self.period_start, self.period_end)
        year_fraction = fixed = variable = ZERO
        if days and self.has_fixed_leg:
            assert self.face_value is not None
            assert self.coupon_rate is not None
            year_fraction = DAY_COUNTS[self.day_count](start, self.period_end, self)
            fixed = self.face_value * self.coupon_rate * year_fraction
        if days and self.has_variable_leg:
            assert self.variable_rate is not None
            period_days = (self.period_end - self.period_start).days
            variable = self.profit_per_token * self.variable_rate * days / period_days
        return _Factors(mint_date, days, year_fraction, fixed, variable, fixed + variable)


def _exact(name: str, value: Any) -> Fraction | None:
    if value is None or isinstance(value, Fraction):
        return value
    if isinstance(value, float) or not isinstance(value, int | str | Decimal):
        raise TypeError(f"{name} must be exact, not {type(value).__name__}")
    try:
        return Fraction(value)
    except (ValueError, ZeroDivisionError, OverflowError):  # not a number, 1/0, infinity
        raise CalculationError(name, "not_a_number", f"{value!r} is not a number") from None


def _is_negative(value: Fraction | None) -> bool:
    return value is not None and value < 0


# ---- a holder's amount ----


@dataclass(frozen=True)
class Lot:
    """One holder's balance of one token id, in the token's raw units."""

    token_id: int
    balance_raw: int


@dataclass(frozen=True, slots=True)
class LotResult:
    """What one lot earns, exactly. `balance` in whole tokens; `year_fraction` is 0 where there is no fixed leg."""

    token_id: int
    balance: Fraction
    mint_date: date
    holding_period_days: int
    year_fraction: Fraction
    fixed: Fraction
    variable: Fraction
    yield_per_token: Fraction
    total_yield: Fraction


@dataclass(frozen=True, slots=True)
class HolderResult:
    """What one holder is owed: the exact sum over the lots, the units it is paid in, and exact minus paid (negative
    where rounded up)."""

    exact: Fraction
    amount_units: int
    residual: Fraction
    lines: tuple[LotResult, ...]


def compute_holder(terms: Terms, lots: Sequence[Lot]) -> HolderResult:
    """The amount of one holder from all of its lots, rounded once. CalculationError for a lot or an amount that must
    not be paid on.

    Lots are taken as they come, several of one token id included; the lines keep their order. A lot minted on or
    after the period's end earns 0.
    """
    scale = 10**terms.token_decimals
    lines = tuple(_lot_result(terms, lot, scale) for lot in lots)
    exact = sum((line.total_yield for line in lines), ZERO)
    units = check_u64(_holder_units(terms, lines, exact))
    return HolderResult(exact, units, exact - Fraction(units, 10**terms.plt_decimals), lines)


def _lot_result(terms: Terms, lot: Lot, scale: int) -> LotResult:
    _refuse_if(lot.balance_raw < 0, "balance_raw", "negative_balance", f"lot {lot.token_id} holds {lot.balance_raw}")
    factors = terms.factors(lot.token_id)
    balance = Fraction(lot.balance_raw, scale)
    fixed, variable = factors.fixed * balance, factors.variable * balance
    return LotResult(
        token_id=lot.token_id,
        balance=balance,
        mint_date=factors.mint_date,
        holding_period_days=factors.holding_period_days,
        year_fraction=factors.year_fraction,
        fixed=fixed,
        variable=variable,
        yield_per_token=factors.yield_per_token,
        total_yield=fixed + variable,
    )


def _holder_units(terms: Terms, lines: tuple[LotResult, ...], exact: Fraction) -> int:
    if terms.rounding_unit == "holder":
        return round_units(exact, terms.plt_decimals, terms.rounding_mode)
    per_token = (
        round_units(line.yield_per_token, terms.plt_decimals, terms.rounding_mode) * line.balance for line in lines
    )
    return _round_down(sum(per_token, ZERO))
