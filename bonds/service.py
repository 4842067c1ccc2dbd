"""BondsService: what one finalised investment record means, and claims and refunds on chain."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from bonds.models import ClaimBatch, ClaimEntry, ClaimKind, ClaimStatus, InvestmentRecord
from bonds.services import claims, investments
from jobs.errors import BadPayload
from jobs.models import Job
from jobs.service import Done, Fail, JobContext, JobType, Mode, Outcome, Snooze

POLL = timedelta(seconds=1)


class BondsService:
    """Derives investors from investment records; settles investments on chain, in batches."""

    name = "BondsService"
    job_types = (
        JobType(investments.INVESTMENT_JOB, mode=Mode.DATABASE, quick=True),
        *(JobType(claims.JOB_TYPES[kind], mode=Mode.STEPS) for kind in ClaimKind),
    )

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        if job.job_type == investments.INVESTMENT_JOB:
            return _derive(job.payload, context)
        return _settle(job.payload, context)

    def may_discard(self, job: Job) -> str | None:
        """Why giving this job up would leave somebody's investment unsettled; None when it would not."""
        if job.job_type == investments.INVESTMENT_JOB:
            return None
        try:
            batch, first, last = _range(job.payload)
        except BadPayload:
            return None
        open_rows = ClaimEntry.objects.filter(batch=batch, position__range=(first, last)).exclude(
            status__in=(ClaimStatus.DONE, ClaimStatus.REFUSED)
        )
        left = open_rows.count()
        return f"batch {batch} still has {left} investments to settle, and this job settles them" if left else None


def _settle(payload: Mapping[str, Any], context: JobContext) -> Outcome:
    batch, first, last = _range(payload)
    progress = claims.advance(batch=batch, first=first, last=last, context=context)
    if progress.open_count:
        return Snooze(POLL, progress.waiting_for or "waiting for finality")
    return Done(f"{progress.refused_count} refused by the chain" if progress.refused_count else "")


def _range(payload: Mapping[str, Any]) -> tuple[UUID, int, int]:
    try:
        batch = UUID(str(payload["batch"]))
        first, last = payload["first"], payload["last"]
    except (KeyError, ValueError) as error:
        raise BadPayload("the payload names no batch and range of positions") from error
    if type(first) is not int or type(last) is not int or not 1 <= first <= last:
        raise BadPayload(f"{first!r} to {last!r} is no range of positions")
    if not ClaimBatch.objects.filter(pk=batch).exists():
        raise BadPayload(f"no claim batch {batch}")
    return batch, first, last


def _derive(payload: Any, context: JobContext) -> Outcome:
    record_id = payload.get("record")
    if type(record_id) is not int:
        raise BadPayload("the payload names no investment record")
    try:
        investor = investments.derive(record_id, account_key=context.chain.account_key)
    except InvestmentRecord.DoesNotExist:
        raise BadPayload(f"no investment record {record_id}") from None
    except ValueError as error:
        return Fail(f"the investor of record {record_id} is no address: {error}")
    return Done("" if investor.user_id else "no user is known for the investor's address")
