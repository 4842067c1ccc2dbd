"""Starting a run: run and job together, or neither."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.utils import timezone

from bonds.errors import Conflict, Invalid, NotFound
from bonds.models import AuditEntry
from bonds.models.run import TRANSITIONS, RunStatus
from jobs.models import Job
from yields.models import YieldDistribution
from yields.services import frozen_terms, runs
from yields.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def bond():
    return factories.bond(excluded_addresses=["treasury"])


@pytest.fixture
def config(bond):
    return factories.config(bond)


@pytest.fixture
def actor():
    return factories.staff()


def at_yield_time():
    return factories.YIELD_TIME


def test_a_started_run_is_scheduled_with_frozen_terms_and_one_job(config, actor):
    run = runs.start(config.pk, actor=actor, clock=at_yield_time)
    job = Job.objects.get()
    assert (job.job_type, job.payload, job.unique_key) == (
        "yield_distribution",
        {"run": str(run.pk)},
        f"yield_distribution:{run.pk}",
    )
    run.refresh_from_db()
    assert (run.status, run.config, run.bond, run.triggered_by, run.job) == (
        "scheduled",
        config,
        config.bond,
        actor,
        job.pk,
    )
    assert (run.period_start, run.period_end) == (factories.START, factories.END)
    assert (run.terms["coupon_rate"], run.terms["face_value"]) == ("0.05", "1000")
    assert run.terms_hash == frozen_terms.digest(run.terms)
    assert run.terms["excluded_addresses"] == sorted(["treasury", config.bond.wallet.address])


def test_the_estimate_aggregates_the_holdings_by_token_id(config, actor):
    bond = config.bond
    factories.holding(bond, "A", 10)
    factories.holding(bond, "A", 5, factories.APR_1)
    factories.holding(bond, "B", 15, factories.APR_1)
    factories.holding(bond, "<7,0>", 5)
    factories.holding(bond, "C", 0)
    factories.holding(bond, "treasury", 1000)
    factories.holding(bond, bond.wallet.address, 1000)
    run = runs.start(config.pk, actor=actor, clock=at_yield_time)
    # 15 tokens over 181 days and 20 over 91, at 50 a year and token: 750 * 181/365 + 1000 * 91/365
    assert (run.expected_recipients, int(run.expected_units)) == (3, 621_232_876)


def test_the_estimate_of_a_variable_coupon_divides_by_the_whole_supply(bond, actor):
    config = factories.config(
        bond,
        yield_type="variable",
        coupon_rate=None,
        variable_rate=Decimal("0.1"),
        profits_before_tax=Decimal(1000),
        profit_basis="total",
        profit_currency="USD",
        fx_rate=Decimal("0.5"),
        fx_source="ECB",
    )
    factories.holding(bond, "A", 10)
    factories.holding(bond, "treasury", 90)
    run = runs.start(config.pk, actor=actor, clock=at_yield_time)
    # 1000 USD are 500 EUR, 5 a token of 100; 10 % of it for 10 tokens
    assert int(run.expected_units) == 5_000_000


def test_starting_is_in_the_runs_audit_log(config, actor):
    run = runs.start(config.pk, actor=actor, clock=at_yield_time)
    (entry,) = AuditEntry.objects.all()
    assert (entry.chain, entry.actor, entry.act) == (f"run:{run.pk}", actor.username, "run started")
    assert entry.after == {"terms_hash": run.terms_hash, "unclaimed_investors": 0}


def test_unclaimed_investments_hinder_the_start_until_a_person_says_why_not(config, actor):
    factories.invested(config.bond, "A", 10)
    factories.invested(config.bond, "A", 10, "claim")
    factories.invested(config.bond, "B", 5)
    factories.invested(config.bond, "C", 5)
    factories.invested(config.bond, "C", 3, "claim")
    refusal = refusal_of(config.pk, actor)
    assert (refusal.status, refusal.code, refusal.field) == (409, "unclaimed_presale", "unclaimed_reason")
    assert "2 investors" in refusal.message
    with pytest.raises(Invalid):
        runs.start(config.pk, actor=actor, clock=at_yield_time, unclaimed_reason="x" * 2001)
    assert not AuditEntry.objects.exists()
    runs.start(config.pk, actor=actor, clock=at_yield_time, unclaimed_reason="they are in court")
    (entry,) = AuditEntry.objects.all()
    assert (entry.reason, entry.after["unclaimed_investors"]) == ("they are in court", 2)


def test_settled_investments_hinder_nobody_and_a_reason_nobody_needed_is_not_kept(config, actor):
    factories.invested(config.bond, "A", 10)
    factories.invested(config.bond, "A", 10, "refund")
    runs.start(config.pk, actor=actor, clock=at_yield_time, unclaimed_reason="just in case")
    assert AuditEntry.objects.get().reason == ""


def refusal_of(config_id, actor, clock=at_yield_time):
    before = (YieldDistribution.objects.count(), Job.objects.count())
    with pytest.raises((Conflict, NotFound)) as refusal:
        runs.start(config_id, actor=actor, clock=clock)
    assert (YieldDistribution.objects.count(), Job.objects.count()) == before
    return refusal.value


def test_an_unknown_config_is_not_found(actor):
    refusal = refusal_of(uuid.uuid4(), actor)
    assert (refusal.status, refusal.code) == (404, "not_found")


def test_before_the_yield_time_nothing_starts(config, actor):
    refusal = refusal_of(config.pk, actor, lambda: factories.YIELD_TIME - timedelta(seconds=1))
    assert (refusal.status, refusal.code) == (409, "too_early")
    assert "2026-07-02 09:00:00 UTC" in refusal.message


@pytest.mark.parametrize("status", ["Active", "Paused", "Failed", "Matured", "Archived"])
def test_only_a_successful_bond_pays_coupons(bond, config, actor, status):
    bond.status = status
    bond.save()
    refusal = refusal_of(config.pk, actor)
    assert (refusal.status, refusal.code) == (409, "bond_not_success")


def test_a_second_trigger_names_the_first_run(config, actor):
    run = runs.start(config.pk, actor=actor, clock=at_yield_time)
    refusal = refusal_of(config.pk, actor)
    assert (refusal.status, refusal.code) == (409, "run_exists")
    assert str(run.pk) in refusal.message


def test_a_completed_run_of_another_version_stands_in_the_way(bond, config, actor):
    run = runs.start(config.pk, actor=actor, clock=at_yield_time)
    type(config).objects.filter(pk=config.pk).update(superseded_at=timezone.now())
    new = factories.config(bond, version=2, supersedes=config)
    refusal = refusal_of(new.pk, actor)
    assert refusal.code == "run_exists"
    assert str(run.pk) in refusal.message


def test_a_superseded_config_is_not_started(config, actor):
    type(config).objects.filter(pk=config.pk).update(superseded_at=timezone.now())
    assert refusal_of(config.pk, actor).code == "config_superseded"


def test_a_cancelled_run_lets_the_next_one_start(config, actor):
    first = runs.start(config.pk, actor=actor, clock=at_yield_time)
    runs.transition(first.pk, RunStatus.CANCELLED)
    assert runs.start(config.pk, actor=actor, clock=at_yield_time).pk != first.pk


def test_seconds_taken_for_days_are_refused(config, actor):
    factories.holding(config.bond, "A", 10, token_id=1_640_995_200)
    refusal = refusal_of(config.pk, actor)
    assert (refusal.code, "1640995200" in refusal.message) == ("estimate_impossible", True)


def test_of_two_triggers_at_once_the_database_lets_one_through(config, actor, monkeypatch):
    first = runs.start(config.pk, actor=actor, clock=at_yield_time)
    monkeypatch.setattr(runs, "why_not", lambda config, now: None)  # as seen before the other one committed
    refusal = refusal_of(config.pk, actor)
    assert (refusal.code, str(first.pk) in refusal.message) == ("run_exists", True)


class Undone(Exception):
    pass


def start_and_undo(config, actor):
    with transaction.atomic():
        runs.start(config.pk, actor=actor, clock=at_yield_time)
        assert Job.objects.count() == 1
        raise Undone


def test_rolling_back_leaves_neither_run_nor_job(config, actor):
    with pytest.raises(Undone):
        start_and_undo(config, actor)
    assert (YieldDistribution.objects.count(), Job.objects.count()) == (0, 0)


STATUS_FIELDS = {
    RunStatus.COMPLETED: {"completed_at": factories.YIELD_TIME},
    RunStatus.CANCELLED: {"completed_at": factories.YIELD_TIME},
    RunStatus.NEEDS_ATTENTION: {"error_message": "why"},
    RunStatus.INSUFFICIENT_LIQUIDITY: {"wait_reason": "why"},
}


@pytest.mark.parametrize("source", RunStatus)
@pytest.mark.parametrize("target", RunStatus)
def test_a_run_goes_only_where_the_table_says(bond, config, source, target):
    plan = {
        "plan_hash": "cc" * 32,
        "snapshot": factories.snapshot(bond),
        "total_recipients": 0,
        "total_units": 0,
        "exact_liability": "0/1",
        "rounding_residual": "0/1",
    }
    run = factories.run(config, status=source, **plan, **STATUS_FIELDS.get(source, {}))
    fields = {name: value for name, value in STATUS_FIELDS.get(target, {}).items() if name != "completed_at"}
    if target in TRANSITIONS[source]:
        runs.transition(run.pk, target, **fields)
        run.refresh_from_db()
        assert run.status == target
    else:
        with pytest.raises(runs.TransitionRefused):
            runs.transition(run.pk, target, **fields)
        run.refresh_from_db()
        assert run.status == source
