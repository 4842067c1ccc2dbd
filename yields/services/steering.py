"""A person's hand on a run: stop it, let it go on, cancel it. Each act has a reason, and an entry in the run's audit log."""

from collections.abc import Mapping
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from bonds.errors import Conflict, Invalid, NotFound
from bonds.models import IN_FLIGHT, Payment, PaymentStatus
from bonds.models.run import TERMINAL, RunStatus
from bonds.services import audit
from bonds.services.transitions import move
from yields.models import YieldDistribution
from yields.services import runs

REASON_AT_MOST = 2000
_UNSIGNED = (PaymentStatus.PLANNED, PaymentStatus.READY, PaymentStatus.HELD)


def pause(run_id: UUID, *, actor: AbstractBaseUser, reason: str) -> YieldDistribution:
    """Sign nothing more for this run until it is resumed; what is signed already finishes, and is written down.

    Once this returns no payment of the run is signed: whoever is signing holds the run's row, and is waited for. Raises NotFound,
    Invalid (reason) and TransitionRefused; nothing is changed then.
    """
    return _move(run_id, RunStatus.PAUSED, RunStatus.EXECUTING, act="run paused", actor=actor, reason=reason)


def resume(run_id: UUID, *, actor: AbstractBaseUser, reason: str) -> YieldDistribution:
    """Let a paused run go on where it stood. Raises as pause() does."""
    return _move(run_id, RunStatus.EXECUTING, RunStatus.PAUSED, act="run resumed", actor=actor, reason=reason)


def cancel(run_id: UUID, *, actor: AbstractBaseUser, reason: str) -> YieldDistribution:
    """Sign nothing more for this run and cancel every payment that is not signed; what is signed finishes first, then the run is cancelled.

    At once where nothing is signed. A later run for the period pays those whom this one did not. Raises NotFound, Invalid (reason),
    TransitionRefused (it has ended, or is being cancelled) and Conflict while payments need review: nobody knows what became of them.
    """
    reason = _stated(reason)
    with transaction.atomic():
        run = _locked(run_id)
        if run.status in TERMINAL or run.cancel_requested_at:
            raise runs.TransitionRefused(f"run {run_id} has ended, or is being cancelled")
        doubtful = Payment.objects.filter(run=run_id, status=PaymentStatus.NEEDS_REVIEW).count()
        if doubtful:
            raise Conflict(
                f"{doubtful} payments need review first: nobody knows what became of them", code="needs_review"
            )
        before = run.status
        YieldDistribution.objects.filter(pk=run_id).update(cancel_requested_at=timezone.now())
        cancelled = _cancel_unsigned(run_id)
        _record(run_id, "run cancelled", actor, reason, before, after={"cancelled_payments": cancelled})
        _close_if_nothing_is_signed(run_id)
    return YieldDistribution.objects.get(pk=run_id)


def go_on_cancelling(run_id: UUID) -> bool:
    """Cancel what came back unsigned, and close the run once nothing of it is signed any more; whether it is closed. In the caller's
    transaction; only for a run whose cancelling was asked for."""
    _locked(run_id)
    _cancel_unsigned(run_id)
    return _close_if_nothing_is_signed(run_id)


def holds_back(run_id: UUID) -> str:
    """Why nothing of this run may be signed now, or "". Asked inside the transaction that signs, and true until it ends."""
    run = _locked(run_id)
    if run.cancel_requested_at:
        return "the run is being cancelled"
    return "" if run.status == RunStatus.EXECUTING else f"the run is {RunStatus(run.status).label.lower()}"


def _locked(run_id: UUID) -> YieldDistribution:
    run = YieldDistribution.objects.select_for_update(no_key=True, of=("self",)).filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"no yield distribution {run_id}", field="distribution_job_id")
    return run


def _cancel_unsigned(run_id: UUID) -> int:
    return move(
        Payment.objects.filter(run=run_id), source=_UNSIGNED, to=PaymentStatus.CANCELLED, hold_reason="", held_at=None
    )


def _close_if_nothing_is_signed(run_id: UUID) -> bool:
    if Payment.objects.filter(run=run_id, status__in=IN_FLIGHT).exists():
        return False
    runs.transition(run_id, RunStatus.CANCELLED, error_message="")
    return True


def _move(
    run_id: UUID, to: RunStatus, source: RunStatus, *, act: str, actor: AbstractBaseUser, reason: str
) -> YieldDistribution:
    reason = _stated(reason)
    with transaction.atomic():
        if _locked(run_id).cancel_requested_at:
            raise runs.TransitionRefused(f"run {run_id} is being cancelled")
        runs.transition(run_id, to, only_from=(source,))
        _record(run_id, act, actor, reason, source, after={"status": to})
    return YieldDistribution.objects.get(pk=run_id)


def _stated(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > REASON_AT_MOST:
        raise Invalid(f"a reason of 1 to {REASON_AT_MOST} characters is needed", field="reason")
    return reason


def _record(
    run_id: UUID, act: str, actor: AbstractBaseUser, reason: str, before: str, *, after: Mapping[str, object]
) -> None:
    audit.record(
        chain=audit.of_run(run_id),
        actor=actor.get_username(),
        act=act,
        subject=f"yield distribution {run_id}",
        reason=reason,
        before={"status": before},
        after=after,
    )
