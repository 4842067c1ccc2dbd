"""The database itself refuses what must never be: each rule of this room's tables is broken once."""

from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from yields.models import YieldConfig, YieldDistribution, YieldPayment
from yields.tests import factories

pytestmark = pytest.mark.django_db


@contextmanager
def refused(constraint):
    """The block fails in the database, by this constraint, and nothing of it stays."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        yield
    assert constraint in str(caught.value)


@pytest.fixture
def bond():
    return factories.bond()


VARIABLE = {
    "yield_type": "variable",
    "coupon_rate": None,
    "variable_rate": Decimal("0.1"),
    "profits_before_tax": Decimal(1000),
    "profit_basis": "total",
    "profit_currency": "EUR",
}

BROKEN_CONFIGS = [
    ("type_known", {**VARIABLE, "coupon_rate": Decimal("0.05"), "yield_type": "floating"}),
    ("day_count_known", {"day_count": "ACT/366"}),
    ("rounding_known", {"rounding": "up"}),
    ("frequency_known", {"payment_frequency": 3}),
    ("icma_has_frequency", {"day_count": "ACT/ACT-ICMA"}),
    ("period_not_empty", {"interest_period_end": factories.START}),
    ("period_not_empty", {"interest_period_end": factories.START - timedelta(days=1)}),
    ("record_before_yield", {"record_at": factories.YIELD_TIME + timedelta(seconds=1)}),
    ("coupon_rate_range", {"coupon_rate": Decimal("1.01"), "high_rate_confirmed": True}),
    ("coupon_rate_range", {"coupon_rate": Decimal("-0.01")}),
    ("high_rate_confirmed", {"coupon_rate": Decimal("0.2501")}),
    ("coupon_rate_fits_type", {"coupon_rate": None}),
    ("coupon_rate_fits_type", {**VARIABLE, "coupon_rate": Decimal("0.05")}),
    ("profit_fits_type", {"profits_before_tax": Decimal(1)}),
    ("profit_fits_type", {**VARIABLE, "profits_before_tax": None}),
    ("profit_fits_type", {**VARIABLE, "profit_basis": ""}),
    ("profit_fits_type", {**VARIABLE, "profit_currency": ""}),
    ("variable_rate_range", {**VARIABLE, "variable_rate": Decimal("1.5")}),
    ("profit_not_negative", {**VARIABLE, "profits_before_tax": Decimal(-1)}),
    ("fx_rate_has_source", {**VARIABLE, "fx_rate": Decimal("1.1")}),
    ("fx_rate_has_source", {**VARIABLE, "fx_rate": Decimal(0), "fx_source": "ECB"}),
    ("version_follows", {"version": 2}),
]


@pytest.mark.parametrize(("rule", "fields"), BROKEN_CONFIGS)
def test_a_config_that_breaks_a_rule_is_refused(bond, rule, fields):
    with refused(f"yields_yieldconfig_{rule}"):
        factories.config(bond, **fields)


def test_two_current_configs_of_a_bond_never_share_a_day(bond):
    factories.config(bond)
    with refused("yields_yieldconfig_no_overlap"):
        factories.config(bond, interest_period_start=date(2026, 6, 30), interest_period_end=date(2026, 12, 31))


def test_periods_that_touch_do_not_overlap_and_other_bonds_do_not_matter(bond):
    factories.config(bond)
    factories.config(bond, interest_period_start=factories.END, interest_period_end=date(2027, 1, 1))
    factories.config(factories.bond())
    assert YieldConfig.objects.count() == 3


def test_a_superseded_config_frees_its_period(bond):
    old = factories.config(bond, superseded_at=timezone.now())
    factories.config(bond, version=2, supersedes=old)
    assert YieldConfig.objects.filter(superseded_at__isnull=True).count() == 1


def test_a_config_has_one_successor(bond):
    old = factories.config(bond, superseded_at=timezone.now())
    factories.config(bond, version=2, supersedes=old, superseded_at=timezone.now())
    with refused("supersedes_id"):
        factories.config(bond, version=2, supersedes=old)


NOW = datetime(2026, 7, 2, 10, tzinfo=factories.YIELD_TIME.tzinfo)
BROKEN_RUNS = [
    ("status_known", {"status": "done"}),
    ("period_not_empty", {"period_end": factories.START}),
    ("completed_iff_terminal", {"completed_at": NOW}),
    ("completed_iff_terminal", {"status": "cancelled"}),
    ("attention_has_reason", {"status": "needs_attention"}),
    ("liquidity_wait_has_reason", {"status": "insufficient_liquidity"}),
    ("plan_is_whole", {"plan_hash": "cc" * 32}),
    ("plan_is_whole", {"total_recipients": 3}),
    ("completed_has_plan", {"status": "completed", "completed_at": NOW}),
]


@pytest.mark.parametrize(("rule", "fields"), BROKEN_RUNS)
def test_a_run_that_breaks_a_rule_is_refused(bond, rule, fields):
    config = factories.config(bond)
    with refused(f"yields_yielddistribution_{rule}"):
        factories.run(config, **fields)


def planned(bond):
    return {
        "plan_hash": "cc" * 32,
        "snapshot": factories.snapshot(bond),
        "total_recipients": 0,
        "total_units": 0,
        "exact_liability": "0/1",
        "rounding_residual": "0/1",
    }


@pytest.mark.parametrize("first", [{}, {"status": "completed", "completed_at": NOW}], ids=["live", "completed"])
def test_a_period_has_one_run_completed_ones_included(bond, first):
    config = factories.config(bond)
    factories.run(config, **first, **planned(bond))
    with refused("yields_yielddistribution_one_per_period"):
        factories.run(config)


def test_a_cancelled_run_frees_the_period(bond):
    config = factories.config(bond)
    factories.run(config, status="cancelled", completed_at=NOW)
    factories.run(config)
    assert YieldDistribution.objects.count() == 2


def test_runs_of_two_versions_never_share_a_day(bond):
    old = factories.config(bond, superseded_at=timezone.now())
    factories.run(old)
    new = factories.config(bond, version=2, supersedes=old)
    with refused("yields_yielddistribution_no_overlap"):
        factories.run(new, period_end=factories.END - timedelta(days=1))


BROKEN_LINES = [
    ("position_once", {"holder": "B"}),
    ("one_per_holder", {"position": 2}),
    ("amount_not_negative", {"position": 2, "holder": "B", "amount_units": -1}),
    ("tokens_positive", {"position": 2, "holder": "B", "bond_tokens_held_raw": 0}),
    ("exact_is_fraction", {"position": 2, "holder": "B", "exact_denominator": "0"}),
    ("exact_is_fraction", {"position": 2, "holder": "B", "exact_numerator": "1.5"}),
]


@pytest.mark.parametrize(("rule", "fields"), BROKEN_LINES)
def test_a_line_that_breaks_a_rule_is_refused(bond, rule, fields):
    run = factories.run(factories.config(bond))
    factories.line(run)
    with refused(f"yields_yieldpayment_{rule}"):
        factories.line(run, **fields)


def test_a_line_that_owes_nothing_has_no_payment(bond):
    run = factories.run(factories.config(bond))
    with refused("yields_yieldpayment_nothing_due_no_payment"):
        factories.line(run, amount_units=0, payment=factories.payment(bond))


def test_a_payment_belongs_to_one_line(bond):
    run = factories.run(factories.config(bond))
    payment = factories.payment(bond)
    factories.line(run, payment=payment)
    with refused("payment_id"):
        factories.line(run, position=2, holder="B", payment=payment)


def test_a_config_with_a_run_is_never_changed(bond):
    config = factories.config(bond)
    factories.run(config)
    with refused("yields_yieldconfig_frozen_by_run"):
        YieldConfig.objects.filter(pk=config.pk).update(coupon_rate=Decimal("0.06"))
    YieldConfig.objects.filter(pk=config.pk).update(superseded_at=NOW)
    config.refresh_from_db()
    assert (config.coupon_rate, config.superseded_at) == (Decimal("0.05"), NOW)


@pytest.mark.parametrize(
    "change", [{"terms": {"coupon_rate": "0.06"}}, {"terms_hash": "dd" * 32}, {"period_end": NOW.date()}]
)
def test_the_terms_of_a_run_are_frozen(bond, change):
    run = factories.run(factories.config(bond))
    with refused("yields_yielddistribution_terms_frozen"):
        YieldDistribution.objects.filter(pk=run.pk).update(**change)


def test_a_plan_is_made_once(bond):
    run = factories.run(factories.config(bond), **planned(bond))
    with refused("yields_yielddistribution_plan_frozen"):
        YieldDistribution.objects.filter(pk=run.pk).update(total_units=1)


def test_a_computed_line_gets_its_payment_once_and_nothing_else_ever_changes(bond):
    line = factories.line(factories.run(factories.config(bond)))
    lines = YieldPayment.objects.filter(pk=line.pk)
    with refused("yields_yieldpayment_frozen"):
        lines.update(amount_units=1)
    with refused("yields_yieldpayment_frozen"):
        lines.delete()
    first = factories.payment(bond)
    lines.update(payment=first)
    with refused("yields_yieldpayment_frozen"):
        lines.update(payment=factories.payment(bond, holder="other"))
    assert lines.get().payment == first


def test_what_money_refers_to_is_protected(bond):
    config = factories.config(bond)
    run = factories.run(config, snapshot=factories.snapshot(bond))
    factories.line(run)
    for row in (config, bond, run.snapshot, run, config.created_by):
        with pytest.raises(ProtectedError):
            row.delete()
