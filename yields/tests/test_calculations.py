"""Coupon amounts against the worked cases, an independent integer-only re-derivation, and the rules that refuse."""

import json
import time
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yields import calculations
from yields.calculations import CalculationError, HolderResult, Lot, Terms, compute_holder

GOLDEN = json.loads((Path(__file__).parent / "golden" / "yields.json").read_text())
OPTIONAL = ("face_value", "coupon_rate", "variable_rate", "profits_before_tax")


def by_id(cases):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case["id"])


def golden_terms(inputs: dict, **changes: object) -> Terms:
    supply = inputs.get("total_supply_raw")
    return Terms(
        yield_type=inputs["yield_type"],
        day_count=inputs["day_count"],
        token_decimals=inputs["token_decimals"],
        plt_decimals=inputs["plt_decimals"],
        payment_frequency=inputs["payment_frequency"],
        profit_basis=inputs.get("profit_basis"),
        total_supply_raw=None if supply is None else int(supply),
        period_start=date.fromisoformat(inputs["period_start"]),
        period_end=date.fromisoformat(inputs["period_end"]),
        **{name: inputs.get(name) for name in OPTIONAL},
        **changes,
    )


def golden_lots(inputs: dict) -> list[Lot]:
    return [Lot(holding["token_id"], int(holding["balance_raw"])) for holding in inputs["holdings"]]


def units_of(amount: str, decimals: int) -> int:
    return (
        int(Decimal(amount).scaleb(decimals).to_integral_exact()) if len(amount) < 28 else int(amount.replace(".", ""))
    )


def fixed_terms(**changes: object) -> Terms:
    defaults = {
        "yield_type": "fixed",
        "token_decimals": 0,
        "plt_decimals": 6,
        "face_value": Fraction(1000),
        "coupon_rate": Fraction(5, 100),
        "period_start": date(2023, 1, 1),
        "period_end": date(2024, 1, 1),
    }
    return Terms(**(defaults | changes))


def variable_terms(**changes: object) -> Terms:
    defaults = {
        "yield_type": "variable",
        "face_value": None,
        "coupon_rate": None,
        "variable_rate": Fraction(1, 10),
        "profits_before_tax": Fraction(250_000),
        "profit_basis": "total",
        "total_supply_raw": 10_000,
    }
    return fixed_terms(**(defaults | changes))


def token_id(day: date) -> int:
    return (day - date(1970, 1, 1)).days


# ---- the worked cases ----

FITTING = [case for case in GOLDEN["yield_cases"] if case["expected"]["fits_plt_u64"]]
TOO_BIG = [case for case in GOLDEN["yield_cases"] if not case["expected"]["fits_plt_u64"]]


@by_id(FITTING)
def test_a_worked_case_is_paid_to_the_unit(case):
    expected, inputs = case["expected"], case["inputs"]
    result = compute_holder(golden_terms(inputs), golden_lots(inputs))
    assert result.exact == Fraction(expected["exact"])
    assert result.amount_units == int(expected["units_down"])
    assert result.amount_units == units_of(expected["amount_down"], inputs["plt_decimals"])
    assert result.residual == Fraction(expected["residual_down"])
    assert [
        (line.token_id, line.mint_date.isoformat(), line.holding_period_days, line.balance, line.total_yield)
        for line in result.lines
    ] == [
        (
            line["token_id"],
            line["accrual_start"],
            line["holding_days"],
            Fraction(line["balance"]),
            Fraction(line["amount"]),
        )
        for line in expected["lines"]
    ]


@by_id(FITTING)
def test_a_worked_case_breaks_down_lot_by_lot(case):
    result = compute_holder(golden_terms(case["inputs"]), golden_lots(case["inputs"]))
    for line, expected in zip(result.lines, case["expected"]["lines"], strict=True):
        assert line.year_fraction == Fraction(expected.get("year_fraction", 0))
        assert line.fixed == Fraction(expected.get("fixed", 0))
        assert line.variable == Fraction(expected.get("variable", 0))
        assert line.total_yield == line.yield_per_token * line.balance == line.fixed + line.variable


@by_id(FITTING)
@pytest.mark.parametrize("mode", ["down", "half_up", "half_even"])
def test_a_worked_case_is_rounded_by_each_mode(case, mode):
    result = compute_holder(golden_terms(case["inputs"], rounding_mode=mode), golden_lots(case["inputs"]))
    decimals = case["inputs"]["plt_decimals"]
    assert result.amount_units == units_of(case["expected"][f"amount_{mode}"], decimals)
    assert result.residual == result.exact - Fraction(result.amount_units, 10**decimals)


@by_id(FITTING)
def test_a_worked_case_is_rounded_per_token_where_the_terms_say_so(case):
    terms = golden_terms(case["inputs"], rounding_mode="half_up", rounding_unit="token")
    result = compute_holder(terms, golden_lots(case["inputs"]))
    expected = case["expected"]["per_token_half_up_then_multiply"]
    assert result.amount_units == units_of(expected, case["inputs"]["plt_decimals"])


@by_id(TOO_BIG)
def test_an_amount_the_chain_cannot_carry_is_refused_though_it_is_exact(case):
    expected, inputs = case["expected"], case["inputs"]
    terms, lots = golden_terms(inputs), golden_lots(inputs)
    with pytest.raises(CalculationError, match=f"{expected['units_down']} units") as refused:
        compute_holder(terms, lots)
    assert (refused.value.field, refused.value.code) == ("amount_units", "amount_exceeds_u64")
    exact = sum(terms.factors(lot.token_id).yield_per_token * lot.balance_raw for lot in lots)
    exact /= 10 ** inputs["token_decimals"]
    assert exact == Fraction(expected["exact"])
    for mode in ("down", "half_up", "half_even"):
        expected_units = int(expected[f"amount_{mode}"].replace(".", ""))
        assert calculations.round_units(exact, inputs["plt_decimals"], mode) == expected_units


@by_id(GOLDEN["run_cases"])
def test_a_worked_run_adds_up(case):
    terms, decimals = golden_terms(case["inputs"]), case["inputs"]["plt_decimals"]
    results: dict[str, HolderResult] = {}
    for holder in case["holders"]:
        results[holder["address"]] = result = compute_holder(terms, golden_lots(holder))
        assert result.exact == Fraction(holder["exact"])
        assert result.amount_units == units_of(holder["amount"], decimals)
        assert (result.amount_units == 0) == (holder["disposition"] == "nothing_due")

    def units(*dispositions: str) -> int:
        return sum(
            results[holder["address"]].amount_units
            for holder in case["holders"]
            if holder["disposition"].startswith(dispositions)
        )

    expected = case["expected"]
    assert sum(result.exact for result in results.values()) == Fraction(expected["liability_exact"])
    assert units("payable") == int(expected["payable_units"])
    assert Fraction(units("payable"), 10**decimals) == Fraction(expected["payable_now"])
    assert units("held") == int(expected["held_units"])
    assert units("payable", "held") == int(expected["required_liquidity_units"])
    assert sum(result.residual for result in results.values()) == Fraction(expected["rounding_residual"])


@by_id(GOLDEN["maturity_cases"])
def test_the_same_exact_arithmetic_and_rounding_give_the_worked_maturity_amounts(case):
    inputs, expected = case["inputs"], case["expected"]
    tokens = Fraction(sum(map(int, inputs["balances_raw"])), 10 ** inputs["token_decimals"])
    exact = Fraction(inputs["face_value_per_token"]) * tokens
    units = calculations.round_units(exact, inputs["plt_decimals"])
    assert exact == Fraction(expected["exact"])
    assert units == int(expected["units"]) == int(expected["amount"].replace(".", ""))
    if units > calculations.U64_MAX:
        with pytest.raises(CalculationError, match="do not fit"):
            calculations.check_u64(units)
    else:
        assert calculations.check_u64(units) == units


@pytest.mark.parametrize("case", GOLDEN["holding_period_cases"], ids=lambda case: str(case["token_id"]))
def test_a_lot_accrues_from_its_day_within_the_half_open_period(case):
    day = calculations.token_day(case["token_id"])
    start, end = date.fromisoformat(case["period_start"]), date.fromisoformat(case["period_end"])
    assert day.isoformat() == case["accrual_start"]
    assert calculations.holding_days(day, start, end) == case["holding_days"]


# ---- refusals ----

REFUSED_BY = {
    "X01": lambda i: fixed_terms(coupon_rate=i["coupon_rate"]),
    "X02": lambda i: fixed_terms(coupon_rate=i["coupon_rate"]),
    "X03": lambda i: fixed_terms(**{name: date.fromisoformat(value) for name, value in i.items()}),
    "X04": lambda i: compute_holder(fixed_terms(), [Lot(i["token_id"], 1)]),
    "X05": lambda i: compute_holder(fixed_terms(), [Lot(19144, int(i["balance_raw"]))]),
    "X06": lambda i: variable_terms(**i),
    "X07": lambda i: variable_terms(**i),
    "X08": lambda i: calculations.check_snapshot([int(i["sum_balances"])], int(i["supply"])),
    "X09": lambda i: calculations.check_periods_disjoint(
        tuple(map(date.fromisoformat, i["existing"])), tuple(map(date.fromisoformat, i["new"]))
    ),
    "X10": lambda i: calculations.exact_units(Fraction(i["amount"]), i["plt_decimals"]),
    "X11": lambda i: variable_terms(profit_basis=i["profit_basis"], total_supply_raw=int(i["total_supply_raw"])),
    "X12": lambda i: calculations.check_u64(int(i["amount_units"])),
}
FIELD_OF = {
    "X01": "coupon_rate",
    "X02": "coupon_rate",
    "X03": "period_end",
    "X04": "token_id",
    "X05": "balance_raw",
    "X06": "profits_before_tax",
    "X07": "profits_before_tax",
    "X08": "supply",
    "X09": "period_start",
    "X10": "amount",
    "X11": "total_supply_raw",
    "X12": "amount_units",
}


@by_id(GOLDEN["refusal_cases"])
def test_a_worked_refusal_names_its_field_and_code(case):
    with pytest.raises(CalculationError) as refused:
        REFUSED_BY[case["id"]](case["inputs"])
    assert (refused.value.code, refused.value.field) == (case["error"], FIELD_OF[case["id"]])
    assert refused.value.message == str(refused.value) != ""


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"yield_type": "floating"}, "yield_type", "unknown_value"),
        ({"day_count": "ACT/366"}, "day_count", "unknown_value"),
        ({"rounding_mode": "up"}, "rounding_mode", "unknown_value"),
        ({"rounding_unit": "lot"}, "rounding_unit", "unknown_value"),
        ({"token_decimals": -1}, "token_decimals", "decimals_out_of_range"),
        ({"plt_decimals": 256}, "plt_decimals", "decimals_out_of_range"),
        ({"coupon_rate": None}, "coupon_rate", "missing_coupon_rate"),
        ({"coupon_rate": "five"}, "coupon_rate", "not_a_number"),
        ({"coupon_rate": Decimal("NaN")}, "coupon_rate", "not_a_number"),
        ({"coupon_rate": Decimal("Infinity")}, "coupon_rate", "not_a_number"),
        ({"coupon_rate": "1/0"}, "coupon_rate", "not_a_number"),
        ({"face_value": None}, "face_value", "missing_face_value"),
        ({"face_value": -1}, "face_value", "negative_face_value"),
        ({"period_end": date(2022, 12, 31)}, "period_end", "empty_period"),
        ({"day_count": "ACT/ACT-ICMA"}, "payment_frequency", "missing_payment_frequency"),
        ({"day_count": "ACT/ACT-ICMA", "payment_frequency": 3}, "payment_frequency", "missing_payment_frequency"),
        ({"day_count": "ACT/ACT-ICMA", "payment_frequency": 2}, "period_end", "irregular_period"),
    ],
)
def test_fixed_terms_that_must_not_be_computed_with_are_refused(changes, field, code):
    with pytest.raises(CalculationError) as refused:
        fixed_terms(**changes)
    assert (refused.value.field, refused.value.code) == (field, code)


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"variable_rate": None}, "variable_rate", "missing_variable_rate"),
        ({"variable_rate": Fraction(101, 100)}, "variable_rate", "variable_rate_out_of_range"),
        ({"variable_rate": Fraction(-1, 100)}, "variable_rate", "variable_rate_out_of_range"),
        ({"profit_basis": None}, "profit_basis", "missing_profit_basis"),
        ({"profit_basis": ""}, "profit_basis", "missing_profit_basis"),
        ({"total_supply_raw": None}, "total_supply_raw", "zero_supply"),
        ({"yield_type": "fixed_variable"}, "coupon_rate", "missing_coupon_rate"),
    ],
)
def test_variable_terms_that_must_not_be_computed_with_are_refused(changes, field, code):
    with pytest.raises(CalculationError) as refused:
        variable_terms(**changes)
    assert (refused.value.field, refused.value.code) == (field, code)


def test_binary_floats_never_enter():
    with pytest.raises(TypeError, match="coupon_rate must be exact"):
        fixed_terms(coupon_rate=0.05)


@pytest.mark.parametrize("day", [date(2021, 12, 31), date(2023, 6, 2)])
def test_a_lot_outside_issue_date_to_record_date_stops_the_run(day):
    terms = fixed_terms(issue_date=date(2022, 1, 1), record_date=date(2023, 6, 1))
    with pytest.raises(CalculationError) as refused:
        compute_holder(terms, [Lot(token_id(day), 1)])
    assert (refused.value.field, refused.value.code) == ("token_id", "token_id_out_of_range")


@pytest.mark.parametrize("day", [date(2022, 1, 1), date(2023, 6, 1)])
def test_a_lot_on_issue_date_or_record_date_counts(day):
    terms = fixed_terms(issue_date=date(2022, 1, 1), record_date=date(2023, 6, 1))
    assert compute_holder(terms, [Lot(token_id(day), 1)]).lines[0].mint_date == day


@pytest.mark.parametrize(("accepted", "refused"), [(10_000, 9_999), (60_000, 60_001)])
def test_a_token_id_is_a_day_from_10000_to_60000(accepted, refused):
    assert calculations.token_day(accepted) == date(1970, 1, 1) + timedelta(days=accepted)
    with pytest.raises(CalculationError, match="is not a day"):
        calculations.token_day(refused)


def test_a_holder_without_lots_is_owed_nothing():
    assert compute_holder(fixed_terms(), []) == HolderResult(Fraction(0), 0, Fraction(0), ())


def test_the_largest_amount_the_chain_can_carry_is_paid_and_one_unit_more_is_not():
    terms = fixed_terms(plt_decimals=0, face_value=1, coupon_rate=1)
    assert compute_holder(terms, [Lot(19144, 2**64 - 1)]).amount_units == 2**64 - 1
    with pytest.raises(CalculationError, match="do not fit"):
        compute_holder(terms, [Lot(19144, 2**64)])


# ---- day counts ----


@pytest.mark.parametrize(
    ("day_count", "amount"),
    [
        ("ACT/365F", "501.369863"),
        ("ACT/ACT-ISDA", "500"),
        ("ACT/ACT-ICMA", "500"),
        ("ACT/360", "508.333333"),
        ("30E/360", "500"),
        ("30/360-US", "500"),
    ],
)
def test_ten_tokens_over_the_leap_year_2024_cost_what_each_day_count_says(day_count, amount):
    terms = fixed_terms(
        day_count=day_count, payment_frequency=1, period_start=date(2024, 1, 1), period_end=date(2025, 1, 1)
    )
    assert compute_holder(terms, [Lot(18993, 10)]).amount_units == units_of(amount, 6)


@pytest.mark.parametrize(
    ("day_count", "amount"),
    [
        ("ACT/365F", "547.089041"),
        ("ACT/ACT-ISDA", "545.594262"),
        ("ACT/360", "554.6875"),
        ("30E/360", "546.875"),
        ("30/360-US", "546.875"),
    ],
)
def test_a_stub_from_31_january_to_31_august_costs_what_each_day_count_says(day_count, amount):
    terms = fixed_terms(
        day_count=day_count,
        coupon_rate="0.0375",
        period_start=date(2024, 1, 31),
        period_end=date(2024, 8, 31),
    )
    assert compute_holder(terms, [Lot(18993, 25)]).amount_units == units_of(amount, 6)


@pytest.mark.parametrize(
    ("day_count", "start", "end", "days"),
    [
        ("30/360-US", date(2024, 2, 29), date(2024, 8, 31), 180),
        ("30/360-US", date(2023, 2, 28), date(2024, 2, 29), 360),  # both ends of February
        ("30/360-US", date(2024, 2, 28), date(2024, 8, 31), 183),  # not the end in a leap year
        ("30/360-US", date(2024, 1, 30), date(2024, 3, 31), 60),
        ("30/360-US", date(2024, 1, 29), date(2024, 3, 31), 62),
        ("30E/360", date(2024, 2, 29), date(2024, 8, 31), 181),
        ("30E/360", date(2024, 1, 29), date(2024, 3, 31), 61),
    ],
)
def test_thirty_day_months_end_where_their_rule_says(day_count, start, end, days):
    terms = fixed_terms(day_count=day_count, period_start=start, period_end=end)
    assert compute_holder(terms, [Lot(token_id(start), 1)]).lines[0].year_fraction == Fraction(days, 360)


@pytest.mark.parametrize(
    ("start", "end", "frequency", "is_regular"),
    [
        (date(2024, 1, 1), date(2025, 1, 1), 1, True),
        (date(2024, 1, 1), date(2024, 7, 1), 2, True),
        (date(2024, 1, 1), date(2024, 7, 1), 1, False),
        (date(2024, 1, 1), date(2024, 7, 2), 2, False),
        (date(2023, 8, 31), date(2024, 2, 29), 2, True),
        (date(2024, 2, 29), date(2024, 8, 31), 2, True),
        (date(2024, 2, 28), date(2024, 8, 31), 2, False),
        (date(2024, 11, 30), date(2024, 12, 31), 12, True),
        (date(2024, 1, 31), date(2024, 8, 31), 2, False),
    ],
)
def test_icma_knows_a_regular_period_from_a_stub(start, end, frequency, is_regular):
    assert calculations.is_regular_period(start, end, frequency) is is_regular


days = st.dates(date(2010, 1, 1), date(2060, 12, 31))
periods = st.tuples(days, st.integers(1, 800)).map(lambda pair: (pair[0], pair[0] + timedelta(days=pair[1])))
lot_lists = st.lists(st.builds(Lot, st.integers(14_000, 33_000), st.integers(0, 10**12)), max_size=5)


@given(periods, st.integers(14_000, 33_000))
def test_isda_counts_every_day_in_its_own_year(period, lot_day):
    """Witness: one day at a time."""
    terms = fixed_terms(day_count="ACT/ACT-ISDA", period_start=period[0], period_end=period[1])
    line = compute_holder(terms, [Lot(lot_day, 1)]).lines[0]
    start = max(period[0], date(1970, 1, 1) + timedelta(days=lot_day))
    accrued = [start + timedelta(days=offset) for offset in range(max(0, (period[1] - start).days))]
    leap = sum(1 for day in accrued if day.year % 4 == 0)  # no century falls between 2010 and 2063
    assert line.year_fraction == Fraction(leap, 366) + Fraction(len(accrued) - leap, 365)


# ---- properties ----


@given(
    periods,
    lot_lists,
    st.integers(0, 8),
    st.integers(0, 9),
    st.integers(0, 10_000),
    st.sampled_from(["ACT/365F", "ACT/360"]),
)
def test_integers_alone_give_the_same_units(period, lots, token_decimals, plt_decimals, rate, day_count):
    """Witness: one division of integers, no fractions. Face 1000, rate in hundredths of a percent."""
    terms = fixed_terms(
        day_count=day_count,
        token_decimals=token_decimals,
        plt_decimals=plt_decimals,
        coupon_rate=Fraction(rate, 10_000),
        period_start=period[0],
        period_end=period[1],
    )
    token_days = sum(
        lot.balance_raw * max(0, (period[1] - max(period[0], date(1970, 1, 1) + timedelta(days=lot.token_id))).days)
        for lot in lots
    )
    numerator = 1000 * rate * token_days * 10**plt_decimals
    denominator = 10_000 * (365 if day_count == "ACT/365F" else 360) * 10**token_decimals
    if numerator // denominator > 2**64 - 1:
        with pytest.raises(CalculationError, match="do not fit"):
            compute_holder(terms, lots)
        return
    result = compute_holder(terms, lots)
    assert result.amount_units == numerator // denominator
    assert result.exact == Fraction(numerator, denominator) / 10**plt_decimals


@given(periods, lot_lists, st.randoms())
def test_the_order_of_the_lots_changes_nothing(period, lots, random):
    terms = variable_terms(total_supply_raw=10**13, period_start=period[0], period_end=period[1])
    shuffled = list(lots)
    random.shuffle(shuffled)
    one, two = compute_holder(terms, lots), compute_holder(terms, shuffled)
    assert (one.exact, one.amount_units, one.residual) == (two.exact, two.amount_units, two.residual)


@given(periods, st.lists(lot_lists, min_size=1, max_size=6), st.integers(0, 6))
def test_a_variable_pool_never_pays_more_than_it_holds(period, holders, decimals):
    supply = sum(lot.balance_raw for lots in holders for lot in lots) or 1
    terms = variable_terms(
        total_supply_raw=supply, variable_rate=1, plt_decimals=decimals, period_start=period[0], period_end=period[1]
    )
    results = [compute_holder(terms, lots) for lots in holders]
    assert sum(result.amount_units for result in results) <= 250_000 * 10**decimals
    assert sum((result.exact for result in results), Fraction(0)) <= 250_000
    assert all(0 <= result.residual < Fraction(1, 10**decimals) for result in results)


@given(periods, lot_lists)
def test_both_legs_together_are_the_sum_of_each_alone(period, lots):
    both = variable_terms(
        yield_type="fixed_variable",
        face_value=1,  # the largest lots for the longest period still fit an unsigned 64-bit integer
        coupon_rate="0.05",
        total_supply_raw=10**14,
        period_start=period[0],
        period_end=period[1],
    )
    whole, fixed, variable = (
        compute_holder(replace(both, yield_type=kind), lots).exact for kind in ("fixed_variable", "fixed", "variable")
    )
    assert whole == fixed + variable


def test_what_was_computed_for_one_terms_is_not_used_for_another():
    terms = fixed_terms()
    first = compute_holder(terms, [Lot(19144, 10)]).amount_units
    assert compute_holder(replace(terms, coupon_rate="0.10"), [Lot(19144, 10)]).amount_units == 2 * first


def test_a_hundred_thousand_holders_of_three_lots_take_seconds():
    terms = variable_terms(yield_type="fixed_variable", face_value=1000, coupon_rate="0.0375", token_decimals=6)
    holders = [[Lot(19_000 + (n * k) % 900, 1_234_567 * n + k) for k in (1, 2, 3)] for n in range(1, 10_001)]
    began = time.process_time()
    for lots in holders:
        compute_holder(terms, lots)
    assert (time.process_time() - began) * 10 < 20
