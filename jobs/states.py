"""The status machine of a job, as data, and the one guarded UPDATE every transition is made of. Nothing else writes `status`."""

from dataclasses import dataclass

from django.db import models


class Status(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    RETRYING = "retrying"


class Resolution(models.TextChoices):
    """What a person decided about a failed job; recorded beside it, never by deleting the row."""

    NONE = "", "none"
    RETRIED = "retried"
    DISCARDED = "discarded"
    CANCELLED = "cancelled"


LIVE = (Status.PENDING, Status.RETRYING)
TERMINAL = (Status.COMPLETED, Status.FAILED)
OPEN_RESOLUTIONS = (Resolution.NONE, Resolution.RETRIED)


@dataclass(frozen=True)
class Transition:
    """`fenced`: carried out by the worker that holds the lease, and only with its token."""

    name: str
    sources: tuple[Status, ...]
    target: Status
    fenced: bool


TRANSITIONS = (
    Transition("claim", LIVE, Status.PROCESSING, fenced=False),
    Transition("complete", (Status.PROCESSING,), Status.COMPLETED, fenced=True),
    Transition("snooze", (Status.PROCESSING,), Status.PENDING, fenced=True),
    Transition("wait_for_children", (Status.PROCESSING,), Status.PENDING, fenced=True),
    Transition("release", (Status.PROCESSING,), Status.PENDING, fenced=True),
    Transition("retry", (Status.PROCESSING,), Status.RETRYING, fenced=True),
    Transition("interrupt", (Status.PROCESSING,), Status.RETRYING, fenced=True),
    Transition("fail", (Status.PROCESSING,), Status.FAILED, fenced=True),
    Transition("rescue", (Status.PROCESSING,), Status.RETRYING, fenced=False),
    Transition("give_up", (Status.PROCESSING,), Status.FAILED, fenced=False),
    Transition("reject", LIVE, Status.FAILED, fenced=False),
    Transition("cancel", LIVE, Status.FAILED, fenced=False),
    Transition("reopen", (Status.FAILED,), Status.PENDING, fenced=False),
)
_BY_NAME = {transition.name: transition for transition in TRANSITIONS}


def quoted(statuses: tuple[Status, ...]) -> str:
    """The statuses as an SQL list; values of our own enum, so nothing to escape."""
    return ", ".join(f"'{status.value}'" for status in statuses)


def assignments(name: str, **changes: str) -> str:
    """The SET list of a transition: its target, what the target implies (terminal time, lease), and the caller's own `changes`.

    Keeps the rules that are also CHECKs in the table: finished_at is set exactly in terminal states, a lease exactly in processing,
    a wait reason only in pending.
    """
    transition = _BY_NAME[name]
    implied = {"status": f"'{transition.target.value}'"}
    if transition.target in TERMINAL:
        implied["finished_at"] = "clock_timestamp()"
    elif Status.FAILED in transition.sources:
        implied["finished_at"] = "NULL"
    if Status.PROCESSING in transition.sources:
        implied |= {"lease_token": "NULL", "lease_expires_at": "NULL"}
    if transition.target is not Status.PENDING and Status.PENDING in transition.sources:
        implied["wait_reason"] = "''"
    return ", ".join(f"{column} = {value}" for column, value in (implied | changes).items())


def guard(name: str, *, lease: str = "%(token)s") -> str:
    """The WHERE of a transition on row `q`: only from its sources and, when fenced, only with the token of the lease."""
    transition = _BY_NAME[name]
    fence = f" AND q.lease_token = {lease}" if transition.fenced else ""
    return f"q.status IN ({quoted(transition.sources)}){fence}"


def guard_all(name: str, *, ids: str = "%(ids)s", leases: str = "%(leases)s") -> str:
    """guard() for the rows `ids`, each held by one of `leases`: no two leases share a token, so whose is whose needs no pairing.

    Without a join, and with the status behind a function that hides it from the partial indexes, the primary key is the only way in,
    whatever the planner believes about the number of rows being processed.
    """
    transition = _BY_NAME[name]
    fence = f" AND q.lease_token = ANY({leases}::uuid[])" if transition.fenced else ""
    return f"q.id = ANY({ids}::bigint[]) AND coalesce(q.status) IN ({quoted(transition.sources)}){fence}"


def guarded_update(name: str, *, returning: str = "q.id", **changes: str) -> str:
    """One transition of one row `%(id)s`: an UPDATE that changes nothing unless the guard holds."""
    return f"UPDATE job_queue q SET {assignments(name, **changes)} WHERE q.id = %(id)s AND {guard(name)} RETURNING {returning}"
