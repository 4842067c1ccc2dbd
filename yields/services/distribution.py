"""One distribution from snapshot to close, step by step. Each step is derived from rows, so that any of them may die and run again.

Never signs or sends: payments are bonds'. Every write of these steps is fenced by the lease of the orchestrating job.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max, Min

from bonds.chain.gateway import ChainRefused, ChainUnavailable
from bonds.models import Payment, PaymentStatus, Snapshot
from bonds.models.run import TERMINAL, RunStatus
from bonds.services import locks, payments, snapshots
from jobs import queue
from jobs.models import Job
from jobs.service import Done, Fail, JobContext, Outcome, Snooze, WaitForChildren
from jobs.states import Status
from yields.calculations import EPOCH
from yields.models import YieldDistribution
from yields.services import amounts, calculation, plan, runs, steering

log = logging.getLogger(__name__)

CALCULATION_CHUNK = 500  # holders per job
STILL_TO_PAY = (PaymentStatus.READY, PaymentStatus.SIGNED, PaymentStatus.SUBMITTED)
STARTABLE = (RunStatus.SCHEDULED, RunStatus.NEEDS_ATTENTION)
LOOK_AGAIN = timedelta(seconds=1)
WAIT_FOR_SNAPSHOT = timedelta(seconds=2)
WAIT_FOR_CHAIN = timedelta(seconds=5)
WAIT_FOR_MONEY = timedelta(seconds=15)
WAIT_WHILE_PAUSED = timedelta(seconds=15)


class RunBlocked(Exception):
    """The run cannot go on as things are; str() says why. A person looks, corrects the cause and retries the job."""


def advance(run_id: UUID, *, job: Job, context: JobContext) -> Outcome:
    """Take the run as far as it goes now. Called again after every wait, and after every crash, until the run is closed."""
    run = YieldDistribution.objects.select_related("bond__wallet", "config", "snapshot").get(pk=run_id)
    if run.status in TERMINAL:
        return Done(f"the run is {run.status}")
    if run.cancel_requested_at:
        with context.fenced():
            closed = steering.go_on_cancelling(run.pk)
        return Done("the run is cancelled") if closed else Snooze(LOOK_AGAIN, "what is signed finishes first")
    if run.status == RunStatus.PAUSED:
        return Snooze(WAIT_WHILE_PAUSED, "the run is paused")
    try:
        if run.status in STARTABLE:
            with context.fenced():
                runs.transition(run.pk, RunStatus.EXECUTING, only_from=STARTABLE)
        return _next_step(run, job, context)
    except runs.TransitionRefused as error:  # somebody paused or cancelled it under our hands: look again
        return Snooze(LOOK_AGAIN, str(error))
    except (RunBlocked, snapshots.SnapshotImpossible, payments.PaymentsOverlap) as error:
        with context.fenced():
            runs.transition(run.pk, RunStatus.NEEDS_ATTENTION, error_message=str(error))
        log.error("run needs attention", extra={"run": str(run.pk), "reason": str(error)})
        return Fail(str(error))


def _next_step(run: YieldDistribution, job: Job, context: JobContext) -> Outcome:
    if run.snapshot is None:
        waiting = _take_snapshot(run, context)
        if waiting is not None:
            return waiting
    if not run.plan_hash:
        all_ended = _all_ended(job, "yield_calculation")  # asked first: a job and its lines commit together
        if not calculation.is_complete(run, account_key=context.chain.account_key):
            if all_ended:
                raise RunBlocked("the computed lines do not match the holders of the snapshot")
            return _calculate(run, job, context)
        with context.fenced():
            plan.make(run)
    if Payment.objects.filter(run=run.pk, status=PaymentStatus.PLANNED).exists():
        waiting = _open_payments(run, context)
        if waiting is not None:
            return waiting
    if payments.totals(run.pk).open_count:
        return _pay(run, job, context)
    return _close(run, context)


# --- snapshot --------------------------------------------------------------------------------------------------------


def _take_snapshot(run: YieldDistribution, context: JobContext) -> Outcome | None:
    record_at = datetime.fromisoformat(run.terms["record_at"])
    try:
        snapshot = snapshots.take(bond=run.bond, record_at=record_at, context=context)
    except snapshots.NotYet as error:
        _note_wait(run, str(error), context)
        return Snooze(WAIT_FOR_SNAPSHOT, str(error))
    _check_lots(run, snapshot)
    with context.fenced():
        YieldDistribution.objects.filter(pk=run.pk, snapshot__isnull=True).update(snapshot=snapshot, wait_reason="")
    run.snapshot = snapshot
    return None


def _check_lots(run: YieldDistribution, snapshot: Snapshot) -> None:
    """A token id is the day its lot starts to accrue: between the bond's issue and the record day, else the unit was mistaken."""
    if snapshot.total_holders == 0:
        raise RunBlocked(f"nobody holds {run.bond.name} at block {snapshot.block_height}")
    first = (date.fromisoformat(run.terms["issue_date"]) - EPOCH).days
    last = (snapshot.record_at.astimezone(UTC).date() - EPOCH).days
    found = snapshot.lots.aggregate(low=Min("token_id"), high=Max("token_id"))
    if found["low"] < first or found["high"] > last:
        raise RunBlocked(
            f"token ids {found['low']} to {found['high']} are not all days between the issue date ({first}) "
            f"and the record day ({last})"
        )


# --- calculation -----------------------------------------------------------------------------------------------------


def _calculate(run: YieldDistribution, job: Job, context: JobContext) -> Outcome:
    if run.snapshot is None:
        raise AssertionError("holders are computed from a snapshot")
    positions = range(1, run.snapshot.total_holders + 1)
    chunk = getattr(settings, "YIELD_CALCULATION_CHUNK", CALCULATION_CHUNK)
    keyed = {f"{run.pk}:{first}": (first, last) for first, last in ranges_of(positions, chunk)}
    return _hand_out("yield_calculation", run, keyed, job, context)


# --- liquidity gate --------------------------------------------------------------------------------------------------


def _open_payments(run: YieldDistribution, context: JobContext) -> Outcome | None:
    """Never before the payment date, by the chain's own time; then all or nothing: payments become ready only when the wallet holds
    enough for every one of them, held ones included, on top of what other runs have reserved."""
    try:
        now_on_chain = context.chain.head().time
        if now_on_chain < datetime.fromisoformat(run.terms["yield_time"]):
            reason = f"the chain's time is {now_on_chain:%Y-%m-%d %H:%M:%S} UTC, the payment date is {run.terms['yield_time']}"
            _note_wait(run, reason, context)
            return Snooze(WAIT_FOR_CHAIN, reason)
        missing = payments.open_run(
            bond=run.bond, run=run.pk, context=context, on_open=lambda: _resume_when_funded(run)
        )
    except locks.LaneBusy as error:
        _note_wait(run, str(error), context)
        return Snooze(WAIT_FOR_CHAIN, str(error))
    except ChainUnavailable as error:
        reason = f"the chain cannot be reached: {error}"
        _note_wait(run, reason, context)
        return Snooze(WAIT_FOR_CHAIN, reason)
    except ChainRefused as error:
        raise RunBlocked(f"the chain does not tell the wallet's balance: {error}") from error
    if missing:
        amount = amounts.units_text(missing, run.bond.plt_decimals)
        reason = f"{amount} {run.bond.plt_token_id} are missing in wallet {run.bond.wallet.name}"
        with context.fenced():
            _become_illiquid(run, reason)
        return Snooze(WAIT_FOR_MONEY, reason)
    return None


def _become_illiquid(run: YieldDistribution, reason: str) -> None:
    waiting = YieldDistribution.objects.filter(pk=run.pk, status=RunStatus.INSUFFICIENT_LIQUIDITY)
    if not waiting.update(wait_reason=reason):
        runs.transition(run.pk, RunStatus.INSUFFICIENT_LIQUIDITY, wait_reason=reason)


def _resume_when_funded(run: YieldDistribution) -> None:
    """Out of the wait state; a run that was paused or cancelled meanwhile refuses, and nothing becomes ready."""
    executing = YieldDistribution.objects.filter(pk=run.pk, status=RunStatus.EXECUTING)
    if not executing.update(wait_reason=""):
        runs.transition(run.pk, RunStatus.EXECUTING, only_from=(RunStatus.INSUFFICIENT_LIQUIDITY,))


# --- payment ---------------------------------------------------------------------------------------------------------


def _pay(run: YieldDistribution, job: Job, context: JobContext) -> Outcome:
    """One job per batch of payments, as long as it has open ones. Cut over all payments, so that the batches are the same each time.

    A batch whose job has ended and that has open payments again (a payment was retried or released) gets its next job.
    """
    rows = Payment.objects.filter(run=run.pk).order_by("position").values_list("position", "status")
    open_positions = {position for position, status in rows if status in STILL_TO_PAY}
    ended = Counter(
        Job.objects.filter(parent=job, job_type="yield_payment", status=Status.COMPLETED).values_list(
            "payload__first", flat=True
        )
    )
    batches = ranges_of([position for position, _ in rows], settings.PAYMENT_BATCH_SIZE)
    keyed = {
        f"{run.pk}:{first}:{ended[first]}": (first, last)
        for first, last in batches
        if any(position in open_positions for position in range(first, last + 1))
    }
    return _hand_out("yield_payment", run, keyed, job, context)


def _hand_out(
    job_type: str, run: YieldDistribution, keyed: Mapping[str, tuple[int, int]], job: Job, context: JobContext
) -> Outcome:
    """Give each range its job, once per key, and sleep until the last of them has completed."""
    jobs = [({"run": str(run.pk), "first": first, "last": last}, key) for key, (first, last) in keyed.items()]
    with context.fenced():
        queue.enqueue_many(job_type, jobs, parent=job)
    return WaitForChildren(f"waiting for {job_type}")


def _all_ended(job: Job, job_type: str) -> bool:
    """True when this orchestrator has handed out jobs of the type and every one has completed."""
    statuses = set(Job.objects.filter(parent=job, job_type=job_type).values_list("status", flat=True))
    return statuses == {Status.COMPLETED}


def ranges_of(positions: Sequence[int], size: int) -> list[tuple[int, int]]:
    """(first, last) of every `size` positions in order."""
    return [(positions[at], positions[min(at + size, len(positions)) - 1]) for at in range(0, len(positions), size)]


# --- close -----------------------------------------------------------------------------------------------------------


def _close(run: YieldDistribution, context: JobContext) -> Outcome:
    """Nothing is open any more: reconcile the plan with what became of it, and say how the run ended."""
    with context.fenced():
        totals = payments.totals(run.pk)
        planned = YieldDistribution.objects.values_list("total_units", flat=True).get(pk=run.pk)
        if totals.total_units != planned:
            raise RunBlocked(f"planned were {planned} units, the payments sum to {totals.total_units}")
        if totals.review_count:
            reason = f"{totals.review_count} payments need review"
            runs.transition(run.pk, RunStatus.NEEDS_ATTENTION, error_message=reason)
            return Done(reason)
        runs.transition(run.pk, RunStatus.COMPLETED)
    log.info(
        "run completed", extra={"run": str(run.pk), "paid_units": totals.paid_units, "held_units": totals.held_units}
    )
    return Done(f"{totals.paid_count} paid, {totals.held_count} held")


def _note_wait(run: YieldDistribution, reason: str, context: JobContext) -> None:
    with context.fenced():
        YieldDistribution.objects.filter(pk=run.pk).update(wait_reason=reason)
