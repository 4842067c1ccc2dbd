"""YieldsService: coupons on the queue. Loads by id, calls one service function, returns an outcome."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from bonds.models.run import TERMINAL
from bonds.services import payments
from jobs.errors import BadPayload
from jobs.models import Job
from jobs.service import Done, Fail, JobContext, JobType, Mode, Outcome, Snooze
from yields.calculations import CalculationError
from yields.models import YieldDistribution
from yields.services import calculation, distribution, steering
from yields.services.progress import AWAITING_FINALITY

POLL = timedelta(seconds=1)
_RUN_ONLY, _RANGE = {"run"}, {"run", "first", "last"}
MONEY_FIRST = 10  # telling people about a payment never delays the next one


class YieldsService:
    """Orchestrates distributions, computes holders in ranges, pays them in batches."""

    name = "YieldsService"
    job_types = (
        JobType("yield_distribution", mode=Mode.STEPS, priority=MONEY_FIRST),
        JobType("yield_calculation", mode=Mode.DATABASE, priority=MONEY_FIRST),
        JobType("yield_payment", mode=Mode.STEPS, priority=MONEY_FIRST),
    )

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        handlers = {
            "yield_distribution": _distribute,
            "yield_calculation": _calculate,
            "yield_payment": _pay,
        }
        return handlers[job.job_type](job, context)

    def validate_payload(self, job_type: str, payload: Mapping[str, Any]) -> None:
        """An edited payload names a run that is not closed and, for its ranges, positions that the run has. BadPayload otherwise."""
        wanted = _RUN_ONLY if job_type == "yield_distribution" else _RANGE
        if payload.keys() != wanted:
            raise BadPayload(f"a payload of {job_type} has exactly: {', '.join(sorted(wanted))}")
        run = _run(payload)
        if run.status in TERMINAL:
            raise BadPayload(f"run: {run.pk} is closed")
        if wanted == _RANGE:
            _, last = _range(payload)
            holders = run.snapshot.total_holders if run.snapshot else 0
            if last > holders:
                raise BadPayload(f"last: the run has positions 1 to {holders}")

    def may_discard(self, job: Job) -> str | None:
        """Why giving this job up would leave somebody unpaid; None when it would not."""
        try:
            run = _run(job.payload)
        except BadPayload:
            return None
        open_count = payments.totals(run.pk).open_count
        if open_count:
            return f"run {run.pk} still has {open_count} payments to make, and this job makes them"
        if run.status not in TERMINAL:
            return f"run {run.pk} is not closed: without this job it never would be"
        return None


def _distribute(job: Job, context: JobContext) -> Outcome:
    return distribution.advance(_run(job.payload).pk, job=job, context=context)


def _calculate(job: Job, context: JobContext) -> Outcome:
    first, last = _range(job.payload)
    run = _run(job.payload)
    if run.snapshot_id is None:
        raise BadPayload(f"run {run.pk} has no snapshot to compute from")
    try:
        count = calculation.compute(run, first=first, last=last, account_key=context.chain.account_key)
    except CalculationError as error:  # the same input gives the same answer: trying again is no use
        return Fail(f"holders {first} to {last} cannot be computed: {error}")
    return Done(f"{count} holders computed")


def _pay(job: Job, context: JobContext) -> Outcome:
    first, last = _range(job.payload)
    run = _run(job.payload)
    progress = payments.pay_batch(run=run.pk, first=first, last=last, context=context, holds_back=steering.holds_back)
    if progress.open_count and run.cancel_requested_at:
        with context.fenced():
            if steering.go_on_cancelling(run.pk):
                return Done("the run is cancelled")
    if progress.open_count:
        return Snooze(POLL, progress.waiting_for or AWAITING_FINALITY)
    return Done(f"{progress.review_count} need review" if progress.review_count else "")


def _run(payload: Any) -> YieldDistribution:
    try:
        run_id = UUID(str(payload["run"]))
        return YieldDistribution.objects.select_related("bond", "snapshot").get(pk=run_id)
    except (KeyError, TypeError, ValueError) as error:
        raise BadPayload("the payload names no run") from error
    except YieldDistribution.DoesNotExist as error:
        raise BadPayload(f"no yield distribution {payload['run']}") from error


def _range(payload: Any) -> tuple[int, int]:
    try:
        first, last = payload["first"], payload["last"]
    except (KeyError, TypeError) as error:
        raise BadPayload("the payload names no range of positions") from error
    if type(first) is not int or type(last) is not int or not 1 <= first <= last:
        raise BadPayload(f"{first!r} to {last!r} is no range of positions")
    return first, last
