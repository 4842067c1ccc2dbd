"""A person's hand on a run that is paying: stop it, let it go on. Each act has a reason, and an entry in the run's audit log."""

from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from bonds.errors import Invalid, NotFound
from bonds.models.run import RunStatus
from bonds.services import audit
from yields.models import YieldDistribution
from yields.services import runs

REASON_AT_MOST = 2000


def pause(run_id: UUID, *, actor: AbstractBaseUser, reason: str) -> YieldDistribution:
    """Sign nothing more for this run until it is resumed; what is signed already finishes, and is written down.

    Once this returns no payment of the run is signed: whoever is signing holds the run's row, and is waited for. Raises NotFound,
    Invalid (reason) and TransitionRefused; nothing is changed then.
    """
    return _move(run_id, RunStatus.PAUSED, RunStatus.EXECUTING, act="run paused", actor=actor, reason=reason)


def resume(run_id: UUID, *, actor: AbstractBaseUser, reason: str) -> YieldDistribution:
    """Let a paused run go on where it stood. Raises as pause() does."""
    return _move(run_id, RunStatus.EXECUTING, RunStatus.PAUSED, act="run resumed", actor=actor, reason=reason)


def holds_back(run_id: UUID) -> str:
    """Why nothing of this run may be signed now, or "". Asked inside the transaction that signs, and true until it ends."""
    status = YieldDistribution.objects.select_for_update(no_key=True).values_list("status", flat=True).get(pk=run_id)
    return "" if status == RunStatus.EXECUTING else f"the run is {RunStatus(status).label.lower()}"


def _move(
    run_id: UUID, to: RunStatus, source: RunStatus, *, act: str, actor: AbstractBaseUser, reason: str
) -> YieldDistribution:
    reason = reason.strip()
    if not reason or len(reason) > REASON_AT_MOST:
        raise Invalid(f"a reason of 1 to {REASON_AT_MOST} characters is needed", field="reason")
    with transaction.atomic():
        if not YieldDistribution.objects.filter(pk=run_id).exists():
            raise NotFound(f"no yield distribution {run_id}", field="distribution_job_id")
        runs.transition(run_id, to, only_from=(source,))
        audit.record(
            chain=audit.of_run(run_id),
            actor=actor.get_username(),
            act=act,
            subject=f"yield distribution {run_id}",
            reason=reason,
            before={"status": source},
            after={"status": to},
        )
    return YieldDistribution.objects.get(pk=run_id)
