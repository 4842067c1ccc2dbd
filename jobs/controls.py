"""What holds the queue back on purpose: pauses that people set, and limits on how many workers run one type or service at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.core.signals import setting_changed
from django.db import transaction
from django.db.models.functions import Now

from jobs import database
from jobs.errors import BadRegistry, Refused
from jobs.models import Pause
from jobs.service import JobType, registry

# --- limits --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limit:
    """At most so many `workers`, in all clusters together, run jobs of `types` at once."""

    name: str
    types: tuple[str, ...]
    workers: int


def limits_of(kind: JobType) -> tuple[Limit, ...]:
    """The limits a job of this type must respect; in one order for everybody, for their locks are taken in turn."""
    return _limits().get(kind.name, ())


@cache
def _limits() -> Mapping[str, tuple[Limit, ...]]:
    bounds = sorted((*_declared(), *_configured()), key=lambda limit: limit.name)
    return {name: mine for name in registry().types if (mine := tuple(b for b in bounds if name in b.types))}


def _declared() -> list[Limit]:
    kinds = [kind for kind in registry().served(()) if kind.max_running is not None]
    return [
        Limit(f"type:{kind.name}", (kind.name,), kind.max_running or 0)
        for kind in kinds
        if f"type:{kind.name}" not in settings.JOB_LIMITS
    ]


def _configured() -> list[Limit]:
    limits = []
    for name, workers in settings.JOB_LIMITS.items():
        scope, _, target = name.partition(":")
        if not isinstance(workers, int) or workers < 1:
            raise BadRegistry(f"JOB_LIMITS[{name!r}] must be at least 1: to stop a type, pause it")
        limits.append(Limit(name, _types_of(scope, target), workers))
    return limits


def _types_of(scope: str, target: str) -> tuple[str, ...]:
    """The job types a type or a service stands for; BadRegistry when there is none of that name."""
    if scope == Pause.Scope.TYPE and target in registry().types:
        return (target,)
    for service in registry().services:
        if scope == Pause.Scope.SERVICE and service.name == target:
            return tuple(kind.name for kind in service.job_types)
    raise BadRegistry(f"neither a job type nor a service: {scope}:{target}")


def _forget_limits(*, setting: str, **_: object) -> None:
    if setting in {"JOB_LIMITS", "JOB_SERVICES"}:
        _limits.cache_clear()


setting_changed.connect(_forget_limits, dispatch_uid="jobs.controls.limits")


# --- pauses --------------------------------------------------------------------------------------------------------
@transaction.atomic
def pause(*, actor: str, reason: str, job_type: str = "", service: str = "") -> Pause:
    """Let no worker claim this job type, or any type of this service, from now on; returns the pause.

    Enqueueing goes on, and what runs already ends by itself. Raises Refused when it is paused already, when no such type or service
    exists, or without an actor and a reason; nothing is written then.
    """
    scope, name = _target(job_type, service)
    reason = _stated(actor, reason)
    try:
        _types_of(scope, name)
    except BadRegistry as error:
        raise Refused(str(error)) from None
    made = database.rows(
        "INSERT INTO jobs_pause (scope, name, actor, reason) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (scope, name) WHERE resumed_at IS NULL DO NOTHING RETURNING id",
        (scope, name, actor, reason),
    )
    if not made:
        raise Refused(f"the {Pause.Scope(scope).label} {name} is paused already")
    return Pause.objects.get(pk=made[0][0])


@transaction.atomic
def resume(*, actor: str, reason: str, job_type: str = "", service: str = "") -> Pause:
    """Let workers claim again; returns the pause that ended, which stays as history. Raises Refused when nothing is paused."""
    from jobs import queue  # the queue itself asks this module for its limits

    scope, name = _target(job_type, service)
    reason = _stated(actor, reason)
    held = Pause.objects.select_for_update().filter(scope=scope, name=name, resumed_at=None).first()
    if held is None:
        raise Refused(f"the {Pause.Scope(scope).label} {name} is not paused")
    Pause.objects.filter(pk=held.pk).update(resumed_at=Now(), resumed_by=actor, resume_reason=reason)
    queue.wake_after_commit()
    held.refresh_from_db()
    return held


def paused() -> list[Pause]:
    """What is paused now, the longest first."""
    return list(Pause.objects.filter(resumed_at=None).order_by("since", "pk"))


def _target(job_type: str, service: str) -> tuple[str, str]:
    if bool(job_type) == bool(service):
        raise Refused("name either a job type or a service")
    return (Pause.Scope.TYPE.value, job_type) if job_type else (Pause.Scope.SERVICE.value, service)


def _stated(actor: str, reason: str) -> str:
    reason = reason.strip()
    if not actor or not reason:
        raise Refused("a pause needs somebody who decides it, and a reason")
    return reason
