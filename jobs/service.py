"""What a service of the product is to the queue: its job types, its handler, and the outcomes a handler may give. Knows no domain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from jobs.errors import BadPayload, BadRegistry, UnknownJobType

if TYPE_CHECKING:
    from jobs.models import Job


__all__ = [
    "BadPayload",
    "BatchService",
    "Done",
    "Fail",
    "JobContext",
    "JobService",
    "JobType",
    "JobsProcessingService",
    "LeaseLost",
    "Mode",
    "Outcome",
    "Retry",
    "Schedule",
    "Snooze",
    "Tick",
    "WaitForChildren",
    "registry",
]


class Mode(StrEnum):
    DATABASE = "database"  # fence, effects and completion commit in one transaction
    STEPS = "steps"  # record, act, record: the lease token is checked in each of the handler's own transactions


@dataclass(frozen=True)
class JobType:
    """How the queue treats one type.

    `quick`: several may be claimed at once by one worker, `package` rows at most (None: settings.JOB_PACKAGE_SIZE); any other type is
    claimed row by row. A quick type of mode DATABASE is completed by its fence, the first statement of its transaction: its handler
    sees its own row as completed already, and one that ends otherwise than Done is rolled back and done again.
    `batch`: the service also handles a package at once, by process_jobs(); only quick types of mode DATABASE.
    `max_retries` None: the setting. `priority`: that of a job enqueued without one. `max_running`: workers that may run this type at
    once, in all clusters; None: any number (see also settings.JOB_LIMITS).
    """

    name: str
    mode: Mode = Mode.DATABASE
    quick: bool = False
    max_retries: int | None = None
    time_limit_seconds: float = 300.0
    priority: int = 0
    package: int | None = None
    batch: bool = False
    max_running: int | None = None


@dataclass(frozen=True)
class Schedule:
    """A job enqueued by the calendar, through Django-Q2, which looks every half minute or minute: declared in a service's `schedules`.

    Exactly one of `minutes` (every so many), `hourly`, `daily`, `weekly` or `monthly` (the first due time of day, UTC; the weekly one on
    Mondays, the monthly one on the first). `name` identifies it across releases; empty: the type's name.
    """

    job_type: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    minutes: int | None = None
    hourly: time | None = None
    daily: time | None = None
    weekly: time | None = None
    monthly: time | None = None


@dataclass(frozen=True)
class Tick:
    """A job enqueued every so many `seconds`, by the workers themselves: declared in a service's `ticks`.

    A due time is passed over while the previous one's job still lives, so a tick never runs twice at once; times missed while no worker
    ran are not made up for. `name` identifies it across releases; empty: the type's name.
    """

    job_type: str
    seconds: int
    payload: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Done:
    """The work is finished."""

    note: str = ""


@dataclass(frozen=True)
class Snooze:
    """Waiting is not failing: run again after `delay` (or when woken by the last child); costs no attempt."""

    delay: timedelta
    reason: str


@dataclass(frozen=True)
class WaitForChildren:
    """Sleep until the last child job has completed; holds no worker; costs no attempt."""

    reason: str = "waiting for children"


@dataclass(frozen=True)
class Retry:
    """A failure that may pass: counts an attempt, backs off exponentially with jitter, or waits `after` where given."""

    reason: str
    after: timedelta | None = None


@dataclass(frozen=True)
class Fail:
    """Terminal: straight to the dead letters."""

    reason: str


Outcome = Done | Snooze | WaitForChildren | Retry | Fail


class LeaseLost(Exception):
    """The job has moved on without this worker; whatever it was about to write is rolled back. Handlers never catch it."""


@dataclass(frozen=True)
class JobContext:
    """What a handler is given: the outside world, built by the wiring from settings, and the fence of its own job.

    `chain` is a bonds.chain.gateway.ChainGateway, `mailer` a django.core.mail backend factory; both opaque to jobs/.
    """

    chain: Any = None
    mailer: Any = None
    clock: Callable[[], datetime] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    fence: "Callable[[], AbstractContextManager[None]] | None" = None

    def fenced(self) -> AbstractContextManager[None]:
        """A durable transaction that first checks this job's lease token (LeaseLost when it is stale). Only for Mode.STEPS."""
        if self.fence is None:
            raise RuntimeError("fenced() belongs to a running job of mode STEPS")
        return self.fence()

    def now(self) -> datetime:
        from django.utils import timezone

        return self.clock() if self.clock else timezone.now()


class JobService(Protocol):
    """A service plugged into the queue by its dotted path in settings.JOB_SERVICES.

    It may also have `schedules: tuple[Schedule, ...]` and `ticks: tuple[Tick, ...]`, and with batch types process_jobs() (BatchService).
    """

    name: str
    job_types: tuple[JobType, ...]

    def process_job(self, job: "Job", context: JobContext) -> Outcome:
        """Do one job. Raise anything unexpected: the attempt is recorded with its traceback and retried."""
        ...


class BatchService(JobService, Protocol):
    """A service with job types declared `batch`: it handles a package of one type at once, and each job alone as well."""

    def process_jobs(self, jobs: "Sequence[Job]", context: JobContext) -> Sequence[Outcome] | None:
        """Do all of `jobs`, of one type, in the one transaction this is called in; None: all are Done.

        Raise, and everything is rolled back and every job goes through process_job() alone, so that only the culprit fails. A member
        whose outcome is not Done goes through process_job() too, and the others are done again together without it.
        """
        ...


class JobsProcessingService:
    """The registry: every service of the product, and which job type is whose."""

    def __init__(self, services: Iterable[JobService]) -> None:
        self.services: tuple[JobService, ...] = tuple(services)
        self._owners: dict[str, tuple[JobService, JobType]] = {}
        for service in self.services:
            for job_type in service.job_types:
                if job_type.name in self._owners:
                    owner = self._owners[job_type.name][0].name
                    raise BadRegistry(f"job type {job_type.name!r} belongs to {owner} and to {service.name}")
                _check_batch(service, job_type)
                self._owners[job_type.name] = (service, job_type)

    @property
    def types(self) -> frozenset[str]:
        """The names of all job types known."""
        return frozenset(self._owners)

    def service_of(self, job_type: str) -> JobService:
        """The service that handles this type; UnknownJobType when none does."""
        return self._owner(job_type)[0]

    def type_of(self, job_type: str) -> JobType:
        """What the owning service declared of this type; UnknownJobType when none did."""
        return self._owner(job_type)[1]

    def served(self, names: Iterable[str]) -> tuple[JobType, ...]:
        """The types of the named services (all services when no name is given); BadRegistry for a name that is none of ours."""
        wanted = frozenset(names)
        if unknown := wanted - {service.name for service in self.services}:
            raise BadRegistry(f"JOB_WORKER_SERVICES names no service of JOB_SERVICES: {', '.join(sorted(unknown))}")
        return tuple(kind for service, kind in self._owners.values() if not wanted or service.name in wanted)

    def process_job(self, job: "Job", context: JobContext) -> Outcome:
        """Hand a job to its service and return the outcome; whatever the handler raises passes through."""
        return self.service_of(job.job_type).process_job(job, context)

    def process_jobs(self, jobs: "Sequence[Job]", context: JobContext) -> Sequence[Outcome]:
        """Hand a package of one batch type to its service; returns one outcome a job, in their order."""
        service = cast(BatchService, self.service_of(jobs[0].job_type))
        outcomes = service.process_jobs(jobs, context)
        if outcomes is None:
            return [_DONE] * len(jobs)
        if len(outcomes) != len(jobs):
            raise TypeError(f"process_jobs() of {service.name} returned {len(outcomes)} outcomes for {len(jobs)} jobs")
        return outcomes

    def _owner(self, job_type: str) -> tuple[JobService, JobType]:
        try:
            return self._owners[job_type]
        except KeyError:
            raise UnknownJobType(f"no service of JOB_SERVICES knows the job type {job_type!r}") from None


_DONE = Done()


def _check_batch(service: JobService, kind: JobType) -> None:
    if not kind.batch:
        return
    if not kind.quick or kind.mode is not Mode.DATABASE:
        raise BadRegistry(f"job type {kind.name!r} is declared batch: it must be quick and of mode DATABASE")
    if not callable(getattr(service, "process_jobs", None)):
        raise BadRegistry(f"job type {kind.name!r} is declared batch, but {service.name} has no process_jobs()")


@cache
def registry() -> JobsProcessingService:
    """The registry of settings.JOB_SERVICES, built once per process; BadRegistry when a path does not lead to a service."""
    return JobsProcessingService(_load(path) for path in settings.JOB_SERVICES)


def _load(path: str) -> JobService:
    try:
        service: JobService = import_string(path)()
    except ImportError as error:
        raise BadRegistry(f"JOB_SERVICES: {path} cannot be imported: {error}") from error
    return service


def _forget_registry(*, setting: str, **_: object) -> None:
    if setting == "JOB_SERVICES":
        registry.cache_clear()


setting_changed.connect(_forget_registry, dispatch_uid="jobs.service.registry")
