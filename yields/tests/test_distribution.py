"""One distribution on the real queue, from snapshot to close. The chain is read through a double; paying has its own tests."""

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from bonds.chain.gateway import ChainUnavailable, Head
from bonds.models import ListenerCursor, LotChange, Payment, PaymentStatus, Snapshot
from bonds.models.run import RunStatus
from jobs import queue
from jobs.errors import BadPayload
from jobs.models import Job
from jobs.service import Done, Fail, Snooze, WaitForChildren
from yields.calculations import EPOCH
from yields.models import YieldDistribution, YieldPayment
from yields.services import calculation, distribution, plan, progress, runs, steering
from yields.tests import factories
from yields.tests.worker import turn, turns, wake

pytestmark = pytest.mark.django_db

RECORD_BLOCK = Head(20, "ee" * 32, datetime(2026, 7, 1, 23, 59, 55, tzinfo=UTC))
HEAD = Head(25, "ff" * 32, datetime(2026, 7, 2, 9, tzinfo=UTC))
A, B, C, CONTRACT, TREASURY = "A", "B", "C", "<7,0>", "treasury"


class Reader:
    """What the orchestrator reads of the chain."""

    def __init__(self, balance_units=10**15, head=HEAD):
        self.balance_units = balance_units
        self.final = head
        self.unreachable = False

    def head(self):
        if self.unreachable:
            raise ChainUnavailable("connection refused")
        return self.final

    def last_block_at(self, moment):
        return RECORD_BLOCK

    def token_balance_units(self, account, token_id):
        if self.unreachable:
            raise ChainUnavailable("connection refused")
        return self.balance_units

    def token(self, token_id):
        raise ChainUnavailable("nothing is paid here")

    def lot_balances(self, contract, lots, block_hash):
        """The contract says what its events say; what happens when it does not is shown where snapshots are tested."""
        balances = Counter()
        for change in LotChange.objects.filter(block_height__lte=RECORD_BLOCK.height):
            balances[change.recipient, int(change.token_id)] += int(change.amount_raw)
            balances[change.sender, int(change.token_id)] -= int(change.amount_raw)
        return {lot: balances[lot] for lot in lots}

    def account_key(self, address):
        return address.removeprefix("alias-of-")


@pytest.fixture
def chain():
    return Reader()


@pytest.fixture
def bond():
    bond = factories.bond(excluded_addresses=[f"alias-of-{TREASURY}"])
    ListenerCursor.objects.create(bond=bond, height=25, block_hash="ff" * 32, block_time=HEAD.time)
    return bond


@pytest.fixture
def holders(bond):
    """Two accounts, one contract, one lot that has not begun to accrue, the excluded treasury, the wallet itself."""
    factories.mint(bond, A, 10)
    factories.mint(bond, A, 1, factories.APR_1)
    factories.mint(bond, B, 20, factories.APR_1)
    factories.mint(bond, C, 3, (factories.END - EPOCH).days)
    factories.mint(bond, CONTRACT, 5)
    factories.mint(bond, TREASURY, 1000)
    factories.mint(bond, bond.wallet.address, 1000)


@pytest.fixture
def run(bond, holders):
    config = factories.config(bond)
    return runs.start(config.pk, actor=config.created_by, clock=lambda: factories.YIELD_TIME)


# 50 a year and token: A has 10 for 181 days and 1 for 91, B 20 for 91, the contract 5 for 181
EXACT = {
    A: Fraction(500 * 181 + 50 * 91, 365),
    B: Fraction(1000 * 91, 365),
    C: Fraction(0),
    CONTRACT: Fraction(250 * 181, 365),
}
UNITS = {A: 260_410_958, B: 249_315_068, C: 0, CONTRACT: 123_972_602}


def outcomes(done):
    return [(job_type, type(outcome)) for job_type, outcome in done]


def state(run):
    run.refresh_from_db()
    return run.status


def pay(run, *, holder=None, status=PaymentStatus.PAID):
    """What bonds' payments would have made of the ready payments of a run."""
    ready = Payment.objects.filter(run=run.pk, status=PaymentStatus.READY)
    ready = ready.filter(holder=holder) if holder else ready
    if not ready.exists():
        return 0
    if status == PaymentStatus.PAID:
        proof = factories.transaction(run.bond.wallet, run=run.pk, sequence_number=ChainNumber.next())
        return ready.update(status=status, paid_at=HEAD.time, paid_by=proof)
    return ready.update(status=status, review_reason="rejected by the chain")


class ChainNumber:
    last = 0

    @classmethod
    def next(cls):
        cls.last += 1
        return cls.last


def test_the_first_turn_takes_the_snapshot_and_hands_out_the_calculation(run, chain):
    job_type, outcome = turn(chain)
    assert (job_type, type(outcome), state(run)) == ("yield_distribution", WaitForChildren, "executing")
    assert run.started_at is not None
    assert (run.snapshot.block_height, run.snapshot.total_holders) == (20, 6)
    child = Job.objects.get(job_type="yield_calculation")
    assert (child.payload, child.parent_id) == ({"run": str(run.pk), "first": 1, "last": 6}, run.job)
    assert not Payment.objects.exists()


def test_every_holder_gets_a_line_with_its_breakdown_but_excluded_ones(run, chain):
    turn(chain), turn(chain)
    lines = {line.holder: line for line in YieldPayment.objects.all()}
    assert {holder: plan.exact(line) for holder, line in lines.items()} == EXACT
    assert {holder: int(line.amount_units) for holder, line in lines.items()} == UNITS
    assert int(lines[A].bond_tokens_held_raw) == 11
    first, second = lines[A].calculation_details["lots"]
    assert first == {
        "token_id": "20454",
        "balance": "10",
        "balance_raw": "10",
        "mint_date": "2026-01-01",
        "holding_period_days": 181,
        "year_fraction": "181/365",
        "fixed": "18100/73",
        "variable": "0/1",
        "yield_per_token": {"exact": "1810/73", "decimal": "24.794520547945205479"},
        "total_yield": {"exact": "18100/73", "decimal": "247.945205479452054794"},
    }
    assert (second["token_id"], second["mint_date"], second["holding_period_days"]) == ("20544", "2026-04-01", 91)
    assert lines[A].calculation_details["exact"] == "19010/73"
    assert lines[A].calculation_details["residual"] == "33/36500000"


def test_a_later_run_pays_only_those_whom_a_cancelled_one_did_not(run, chain):
    turns(chain)
    first = Payment.objects.get(run=run.pk, holder=A)
    assert pay(run, holder=A) == 1
    steering.cancel(run.pk, actor=run.triggered_by, reason="the rest later")
    assert state(run) == "cancelled"
    wake("yield_payment"), wake("yield_distribution"), turns(chain)
    again = runs.start(run.config_id, actor=run.triggered_by, clock=lambda: factories.YIELD_TIME)
    turns(chain)
    again.refresh_from_db()
    assert {p.holder: int(p.amount_units) for p in Payment.objects.filter(run=again.pk)} == {
        B: UNITS[B],
        CONTRACT: UNITS[CONTRACT],
    }
    assert (again.total_recipients, int(again.total_units)) == (2, UNITS[B] + UNITS[CONTRACT])
    assert again.plan_hash != run.plan_hash
    lines = {line.holder: progress.payment_status(line) for line in progress.lines_of_run(again.pk)}
    assert lines == {A: "paid_before", B: "ready", C: "nothing_due", CONTRACT: "held"}
    pay(again)
    wake("yield_payment"), wake("yield_distribution"), turns(chain)
    assert state(again) == "completed"
    paid = Payment.objects.filter(status="paid").order_by("holder").values_list("holder", "amount_units")
    assert [(holder, int(units)) for holder, units in paid] == [(A, UNITS[A]), (B, UNITS[B])]
    assert Payment.objects.get(pk=first.pk).status == "paid"


def test_a_run_cancelled_while_payments_are_out_closes_when_they_are_final(run, chain):
    turns(chain)
    Payment.objects.filter(run=run.pk, holder=A).update(status="submitted")
    steering.cancel(run.pk, actor=run.triggered_by, reason="stop")
    assert state(run) == "executing"
    wake("yield_distribution"), turns(chain)
    assert state(run) == "executing"
    proof = factories.transaction(run.bond.wallet, run=run.pk, sequence_number=ChainNumber.next())
    Payment.objects.filter(run=run.pk, holder=A).update(status="paid", paid_at=HEAD.time, paid_by=proof)
    wake("yield_payment"), wake("yield_distribution"), turns(chain)
    wake("yield_distribution"), turns(chain)
    assert state(run) == "cancelled"
    assert set(Payment.objects.values_list("holder", "status")) == {
        (A, "paid"),
        (B, "cancelled"),
        (CONTRACT, "cancelled"),
    }


def test_what_is_computed_and_not_planned_yet_is_not_called_done(run, chain):
    turn(chain), turn(chain)
    lines = {line.holder: line for line in YieldPayment.objects.all()}
    assert not Payment.objects.exists()
    assert {holder: progress.payment_status(line) for holder, line in lines.items()} == {
        A: "computed", B: "computed", C: "nothing_due", CONTRACT: "computed",
    }  # fmt: skip
    assert {holder: progress.shown_payment_status(line) for holder, line in lines.items()} == {
        A: "scheduled", B: "scheduled", C: "completed", CONTRACT: "scheduled",
    }  # fmt: skip


def test_the_plan_owes_what_was_computed_and_its_hash_covers_every_line(run, chain):
    turn(chain), turn(chain), turn(chain)
    assert state(run) == "executing"
    payments = {p.holder: p for p in Payment.objects.filter(run=run.pk)}
    assert {holder: int(p.amount_units) for holder, p in payments.items()} == {
        holder: units for holder, units in UNITS.items() if units
    }
    assert {holder: (p.status, p.hold_reason) for holder, p in payments.items()} == {
        A: ("ready", ""),
        B: ("ready", ""),
        CONTRACT: ("held", "contract_held"),
    }
    for line in YieldPayment.objects.select_related("payment"):
        assert line.payment == payments.get(line.holder)
    assert (run.total_recipients, int(run.total_units)) == (3, 633_698_628)
    assert run.exact_liability == f"{sum(EXACT.values()).numerator}/{sum(EXACT.values()).denominator}"
    residual = sum(EXACT.values()) - Fraction(633_698_628, 10**6)
    assert run.rounding_residual == f"{residual.numerator}/{residual.denominator}"
    lines = [
        "1 <7,0> 9050/73 123972602 contract_held",
        "2 A 19010/73 260410958 -",
        "3 B 18200/73 249315068 -",
        "4 C 0/1 0 -",
    ]
    covered = "\n".join([f"terms {run.terms_hash}", f"block {RECORD_BLOCK.block_hash}", *lines]) + "\n"
    assert run.plan_hash == hashlib.sha256(covered.encode()).hexdigest()


def test_paying_is_handed_out_in_batches_and_the_last_one_closes_the_run(run, chain, settings):
    settings.PAYMENT_BATCH_SIZE = 2
    for _ in range(3):
        turn(chain)
    batches = Job.objects.filter(job_type="yield_payment").order_by("pk")
    # positions 1 (held), 2, 3: the held one is in the first batch, and needs no job of its own
    assert [job.payload for job in batches] == [
        {"run": str(run.pk), "first": 1, "last": 2},
        {"run": str(run.pk), "first": 3, "last": 3},
    ]
    assert pay(run) == 2
    done = turns(chain)
    assert outcomes(done) == [("yield_payment", Done), ("yield_payment", Done), ("yield_distribution", Done)]
    assert done[-1][1].note == "2 paid, 1 held"
    assert state(run) == "completed"
    assert run.completed_at is not None
    assert (run.error_message, run.wait_reason) == ("", "")
    figures = progress.Progress(run)
    assert (figures.paid_amount, figures.held_amount, figures.total_amount) == (
        "509.726026",
        "123.972602",
        "633.698628",
    )
    assert (figures.nothing_due_count, figures.shown_status) == (1, "completed")


def test_an_unreachable_chain_is_waited_for_and_said(run, chain):
    chain.unreachable = True
    _, outcome = turn(chain)
    assert isinstance(outcome, Snooze)
    assert state(run) == "executing"
    assert run.wait_reason == "the chain cannot be reached: connection refused"
    assert not Snapshot.objects.exists()
    chain.unreachable = False
    wake("yield_distribution")
    turn(chain)
    assert (state(run), run.wait_reason, run.snapshot is None) == ("executing", "", False)


def test_a_chain_that_has_not_reached_the_record_time_is_waited_for(run, chain):
    chain.final = Head(10, "dd" * 32, factories.RECORD_AT - timedelta(hours=1))
    _, outcome = turn(chain)
    assert isinstance(outcome, Snooze)
    assert "is not after the record time" in outcome.reason
    assert run.snapshot is None


def test_nothing_is_opened_before_the_payment_date_by_the_chains_own_time(run, chain):
    chain.final = Head(25, "ff" * 32, factories.YIELD_TIME - timedelta(seconds=1))
    _, outcome = turns(chain)[-1]
    assert isinstance(outcome, Snooze)
    assert "the payment date is" in run_wait(run)
    assert set(Payment.objects.values_list("status", flat=True)) == {"planned", "held"}
    chain.final = HEAD
    wake("yield_distribution")
    turn(chain)
    assert Payment.objects.filter(status="ready").exists()


def run_wait(run):
    run.refresh_from_db()
    return run.wait_reason


def test_an_excluded_account_gets_no_line_under_any_alias_of_its_address(bond, chain):
    bond.excluded_addresses = [TREASURY]
    bond.save()
    for holder in (A, f"alias-of-{TREASURY}", f"alias-of-{bond.wallet.address}"):
        factories.mint(bond, holder, 10)
    config = factories.config(bond)
    runs.start(config.pk, actor=config.created_by, clock=lambda: factories.YIELD_TIME)
    turns(chain)
    assert list(YieldPayment.objects.values_list("holder", flat=True)) == [A]


def test_too_little_money_stops_the_whole_run_until_it_is_there(run, chain):
    chain.balance_units = 633_698_627
    done = turns(chain)
    assert isinstance(done[-1][1], Snooze)
    assert state(run) == "insufficient_liquidity"
    assert run.wait_reason == f"0.000001 EURD are missing in wallet {run.bond.wallet.name}"
    assert set(Payment.objects.values_list("status", flat=True)) == {"planned", "held"}
    assert not Job.objects.filter(job_type="yield_payment").exists()
    wake("yield_distribution")
    turn(chain)
    assert state(run) == "insufficient_liquidity"
    chain.balance_units += 1
    wake("yield_distribution")
    turn(chain)
    assert (state(run), run.wait_reason) == ("executing", "")
    assert Payment.objects.filter(status="ready").count() == 2


def test_a_snapshot_that_contradicts_itself_needs_a_person(run, chain):
    factories.mint(run.bond, "D", 1)
    LotChange.objects.create(
        bond=run.bond, kind="burn", token_id=factories.JAN_1, amount_raw=99, sender="D", block_height=6,
        block_time=RECORD_BLOCK.time, transaction_hash="cc" * 32, event_index=0,
    )  # fmt: skip
    _, outcome = turn(chain)
    assert isinstance(outcome, Fail)
    assert state(run) == "needs_attention"
    assert run.error_message == outcome.reason
    assert "D would hold -98" in run.error_message
    assert not YieldPayment.objects.exists()


def test_token_ids_that_are_no_days_of_the_bond_need_a_person(run, chain):
    factories.mint(run.bond, "D", 1, token_id=factories.JAN_1 - 1)
    _, outcome = turn(chain)
    assert isinstance(outcome, Fail)
    assert state(run) == "needs_attention"
    assert "not all days between the issue date (20454) and the record day (20635)" in run.error_message
    assert run.snapshot is None


def test_a_bond_nobody_holds_needs_a_person(bond, chain):
    config = factories.config(bond)
    run = runs.start(config.pk, actor=config.created_by, clock=lambda: factories.YIELD_TIME)
    turn(chain)
    assert state(run) == "needs_attention"
    assert run.error_message.startswith("nobody holds")


def test_an_amount_that_no_transfer_can_carry_stops_the_run_before_anything_is_planned(run, chain):
    factories.mint(run.bond, "D", 10**20)
    turn(chain)
    _, outcome = turn(chain)
    assert isinstance(outcome, Fail)
    assert "do not fit an unsigned 64-bit integer" in outcome.reason
    assert turn(chain) is None
    figures = progress.Progress(YieldDistribution.objects.get(pk=run.pk))
    assert (figures.shown_status, figures.error_message) == ("failed", outcome.reason)
    assert not YieldPayment.objects.exists()
    assert not Payment.objects.exists()


def test_a_holder_who_is_already_owed_this_period_stops_the_plan(run, chain):
    earlier = factories.payment(run.bond, holder=A, period_start=factories.START, period_end=factories.END)
    done = turns(chain)
    assert isinstance(done[-1][1], Fail)
    assert state(run) == "needs_attention"
    assert run.plan_hash == ""
    assert list(Payment.objects.all()) == [earlier]


def test_a_payment_that_needs_review_leaves_the_run_to_a_person(run, chain):
    for _ in range(3):
        turn(chain)
    pay(run, holder=A, status=PaymentStatus.NEEDS_REVIEW)
    pay(run, holder=B)
    turns(chain)
    assert (state(run), run.error_message, run.completed_at) == ("needs_attention", "1 payments need review", None)
    assert run.shown_status == "failed"


def test_a_run_is_resumed_by_retrying_its_job(run, chain):
    turn(chain)
    runs.transition(run.pk, RunStatus.NEEDS_ATTENTION, error_message="a person stopped it")
    turns(chain)  # the calculation ends and wakes the orchestrator, which takes the run up again
    assert (state(run), run.error_message) == ("executing", "")


def test_a_paused_run_makes_no_payment_ready(run, chain):
    turn(chain), turn(chain)
    runs.transition(run.pk, RunStatus.PAUSED)
    _, outcome = turn(chain)
    assert isinstance(outcome, Snooze)
    assert state(run) == "paused"
    assert not Payment.objects.exists()


def test_a_run_paused_while_its_money_is_counted_makes_no_payment_ready(run, chain, monkeypatch):
    turn(chain), turn(chain)

    def pause_meanwhile(*args):
        runs.transition(run.pk, RunStatus.PAUSED)
        return 10**15

    monkeypatch.setattr(chain, "token_balance_units", pause_meanwhile)
    _, outcome = turn(chain)
    assert isinstance(outcome, Snooze)
    assert state(run) == "paused"
    assert set(Payment.objects.values_list("status", flat=True)) == {"planned", "held"}


def test_a_closed_run_is_left_alone(run, chain):
    runs.transition(run.pk, RunStatus.CANCELLED)
    _, outcome = turn(chain)
    assert outcome == Done("the run is cancelled")
    assert not Snapshot.objects.exists()


STEPS = [
    (distribution.snapshots, "take"),
    (distribution.queue, "enqueue_many"),
    (distribution.plan, "make"),
    (distribution.payments, "open_run"),
    (distribution.payments, "make_ready"),
    (distribution.payments, "totals"),
]


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_worker_killed_around_any_step_changes_nothing_in_the_end(run, chain, monkeypatch, module, name, after):
    real = getattr(module, name)
    kills = [1]

    def dying(*args, **kwargs):
        result = real(*args, **kwargs) if after else None
        if kills:
            kills.pop()
            raise Killed
        return real(*args, **kwargs) if not after else result

    monkeypatch.setattr(module, name, dying)
    for _ in range(20):
        try:
            if turn(chain) is None and pay(run):
                wake("yield_payment")
        except Killed:
            Job.objects.filter(status="processing").update(
                status="retrying", lease_token=None, lease_expires_at=None, worker_id=None
            )
        if state(run) == "completed":
            break
    assert not kills
    assert state(run) == "completed"
    assert {p.holder: int(p.amount_units) for p in Payment.objects.all()} == {h: u for h, u in UNITS.items() if u}
    assert YieldPayment.objects.count() == 4
    assert Snapshot.objects.count() == 1
    assert Job.objects.filter(job_type="yield_calculation").count() == 1


def test_a_calculation_that_runs_twice_computes_once(run, chain):
    turn(chain), turn(chain)
    run.refresh_from_db()
    assert calculation.compute(run, first=1, last=6, account_key=chain.account_key) == 0
    assert YieldPayment.objects.count() == 4


def test_a_holder_without_a_line_stops_the_run_before_anything_is_planned(run, chain, monkeypatch):
    turn(chain)
    monkeypatch.setattr(calculation, "compute", lambda *args, **kwargs: 0)
    done = turns(chain)
    assert outcomes(done) == [("yield_calculation", Done), ("yield_distribution", Fail)]
    assert state(run) == "needs_attention"
    assert run.error_message == "the computed lines do not match the holders of the snapshot"
    assert not Payment.objects.exists()


def test_a_batch_that_has_payments_again_gets_its_next_job(run, chain):
    """A payment released or retried while the run is still open: the ended job of its batch is not the end of it."""
    for _ in range(3):
        turn(chain)
    first = Job.objects.get(job_type="yield_payment")
    pay(run)
    assert turn(chain)[0] == "yield_payment"
    held = Payment.objects.get(run=run.pk, status="held")
    Payment.objects.filter(pk=held.pk).update(status="ready", hold_reason="", held_at=None)
    assert isinstance(turn(chain)[1], WaitForChildren)
    second = Job.objects.filter(job_type="yield_payment").exclude(pk=first.pk).get()
    assert second.payload == first.payload


def test_a_run_says_what_its_payments_wait_for(run, chain):
    turns(chain)  # the double answers a payment that the chain cannot be reached
    figures = progress.Progress(YieldDistribution.objects.get(pk=run.pk))
    assert figures.wait_reason == "the chain cannot be reached: nothing is paid here"
    assert (figures.shown_status, figures.totals.counts) == ("processing", {"ready": 2, "held": 1})


@pytest.mark.parametrize(
    "payload",
    [{}, {"run": "no id"}, {"run": "00000000-0000-0000-0000-000000000001"}],
    ids=["no run", "malformed", "unknown"],
)
@pytest.mark.parametrize("job_type", ["yield_distribution", "yield_calculation", "yield_payment"])
def test_a_payload_that_names_no_run_is_refused(chain, job_type, payload):
    queue.enqueue(job_type, {"first": 1, "last": 2, **payload})
    with pytest.raises(BadPayload):
        turn(chain)


@pytest.mark.parametrize("bounds", [{}, {"first": 0, "last": 5}, {"first": 3, "last": 2}, {"first": "1", "last": 2}])
def test_a_payload_that_names_no_range_is_refused(run, chain, bounds):
    turn(chain)
    Job.objects.filter(job_type="yield_calculation").delete()
    queue.enqueue("yield_calculation", {"run": str(run.pk), **bounds})
    with pytest.raises(BadPayload):
        turn(chain)
