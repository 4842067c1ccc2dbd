"""The database itself refuses what must never be: each rule of this room's tables is broken once."""

import uuid
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from bonds.tests import factories
from maturity.models import MaturityPayment, MaturityRun

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


def run_of(bond, **fields):
    values = {
        "bond": bond,
        "plt_token_id": bond.plt_token_id,
        "face_value_per_token": bond.face_value,
        "terms": {},
        "terms_hash": "aa" * 32,
        "triggered_by": User.objects.create(username=uuid.uuid4().hex),
        **fields,
    }
    return MaturityRun.objects.create(**values)


def line_of(run, **fields):
    values = {
        "run": run,
        "position": 1,
        "holder": "A",
        "bond_tokens_held_raw": 1,
        "amount_units": 1,
        "calculation_details": {},
        **fields,
    }
    return MaturityPayment.objects.create(**values)


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("status_known", {"status": "done"}),
        ("face_value_positive", {"face_value_per_token": 0}),
        ("completed_iff_terminal", {"status": "completed"}),
        ("completed_iff_terminal", {"completed_at": factories.NOW}),
        ("attention_has_reason", {"status": "needs_attention"}),
    ],
)
def test_a_run_that_breaks_a_rule_is_refused(bond, rule, fields):
    with refused(f"maturity_maturityrun_{rule}"):
        run_of(bond, **fields)


def test_a_bond_is_redeemed_once_completed_runs_included(bond):
    run_of(bond, status="completed", completed_at=factories.NOW)
    with refused("maturity_maturityrun_one_per_bond"):
        run_of(bond)


def test_a_cancelled_redemption_lets_the_next_one_start(bond):
    run_of(bond, status="cancelled", completed_at=factories.NOW)
    run_of(bond)
    assert MaturityRun.objects.count() == 2


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("position_once", {"holder": "B"}),
        ("one_per_holder", {"position": 2}),
        ("burn_known", {"position": 2, "holder": "B", "burn_status": "gone"}),
        ("amount_not_negative", {"position": 2, "holder": "B", "amount_units": -1}),
        ("tokens_positive", {"position": 2, "holder": "B", "bond_tokens_held_raw": 0}),
        ("burned_has_time", {"position": 2, "holder": "B", "burn_status": "burned"}),
        ("burned_has_time", {"position": 2, "holder": "B", "burned_at": factories.NOW}),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused(bond, rule, fields):
    run = run_of(bond)
    line_of(run)
    with refused(f"maturity_maturitypayment_{rule}"):
        line_of(run, **fields)


def test_a_payment_follows_only_from_a_final_burn(bond):
    run = run_of(bond)
    payment = factories.payment(bond, kind="maturity")
    with refused("maturity_maturitypayment_paid_after_burn"):
        line_of(run, payment=payment)
    assert line_of(run, payment=payment, burn_status="burned", burned_at=factories.NOW).payment == payment


def test_what_money_refers_to_is_protected(bond):
    run = run_of(bond)
    line_of(run)
    for row in (run, bond, run.triggered_by):
        with pytest.raises(ProtectedError):
            row.delete()
