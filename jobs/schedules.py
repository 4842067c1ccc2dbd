"""Recurring jobs: schedules declared in code and kept by Django-Q2, and ticks, which the workers enqueue themselves.

A due time is enqueued once, however many clusters and workers run: the row is locked while it is advanced, in the transaction that
enqueues, and the job's unique key is made of the name and the due time.
"""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone
from django_q.models import Schedule as QSchedule

from jobs import database, models, queue
from jobs.broker import DECLARED, ENQUEUE
from jobs.errors import BadRegistry, JobsError
from jobs.service import Schedule, Tick, registry
from jobs.states import TERMINAL, quoted

log = logging.getLogger(__name__)

_Declared = TypeVar("_Declared", Schedule, Tick)
_SYNC_LOCK = "jobs.schedules.sync"


# --- what is declared ----------------------------------------------------------------------------------------------
def declared_schedules() -> dict[str, Schedule]:
    """By name; BadRegistry for a name used twice, an unknown type, or a schedule that does not say when."""
    found = [schedule for service in registry().services for schedule in getattr(service, "schedules", ())]
    for name, fields in settings.JOB_SCHEDULES.items():
        values: dict[str, Any] = {"name": name, **fields}
        try:
            found.append(Schedule(**values))
        except TypeError as error:
            raise BadRegistry(f"JOB_SCHEDULES[{name!r}]: {error}") from None
    named = _named(found)
    for name, schedule in named.items():
        if sum(rhythm is not None for rhythm in _rhythms(schedule).values()) != 1 or schedule.minutes == 0:
            raise BadRegistry(f"schedule {name!r} must say exactly one of {', '.join(_rhythms(schedule))}")
    return named


def declared_ticks() -> dict[str, Tick]:
    """By name; BadRegistry for a name used twice, an unknown type, or a period under a second."""
    named = _named([tick for service in registry().services for tick in getattr(service, "ticks", ())])
    for name, tick in named.items():
        if tick.seconds < 1:
            raise BadRegistry(f"tick {name!r} must have a period of at least a second")
    return named


def _named(found: Iterable[_Declared]) -> dict[str, _Declared]:
    named: dict[str, _Declared] = {}
    for item in found:
        name = item.name or item.job_type
        if name in named:
            raise BadRegistry(f"{type(item).__name__.lower()} {name!r} is declared twice")
        if item.job_type not in registry().types:
            raise BadRegistry(f"{type(item).__name__.lower()} {name!r} is of the unknown job type {item.job_type!r}")
        named[name] = item
    return named


def _rhythms(schedule: Schedule) -> dict[str, int | time | None]:
    return {rhythm: getattr(schedule, rhythm) for rhythm in ("minutes", "hourly", "daily", "weekly", "monthly")}


# --- keeping the tables in line ------------------------------------------------------------------------------------
def after_migrate(**_: object) -> None:
    """Receiver of post_migrate: a deployment brings its schedules along. Not before all tables are there."""
    tables = {QSchedule._meta.db_table, models.Tick._meta.db_table}
    if tables <= set(connection.introspection.table_names()):
        sync()


@transaction.atomic
def sync() -> tuple[int, int]:
    """Write what is declared, remove what no code declares any more; returns how many schedules and ticks there are then.

    What has not changed keeps its next due time. Schedules that people made are left alone. Raises BadRegistry; nothing is written then.
    """
    schedules, ticks = declared_schedules(), declared_ticks()
    database.rows("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (_SYNC_LOCK,))
    _sync_schedules(schedules)
    _sync_ticks(ticks)
    return len(schedules), len(ticks)


_TYPES = {
    "minutes": QSchedule.MINUTES,
    "hourly": QSchedule.HOURLY,
    "daily": QSchedule.DAILY,
    "weekly": QSchedule.WEEKLY,
    "monthly": QSchedule.MONTHLY,
}


def _sync_schedules(declared: dict[str, Schedule]) -> None:
    kept = {row.name: row for row in QSchedule.objects.filter(kwargs__contains=DECLARED)}
    for name in kept.keys() - declared.keys():
        kept[name].delete()
    for name, schedule in declared.items():
        (rhythm,) = [rhythm for rhythm, value in _rhythms(schedule).items() if value is not None]
        row = kept.get(name) or QSchedule(name=name)
        if row.pk is None or not _is_due_as_declared(row, schedule, _TYPES[rhythm]):
            row.next_run = _first_at(schedule, timezone.now())
        row.func, row.args = ENQUEUE, repr((schedule.job_type, dict(schedule.payload)))
        row.kwargs = repr({"q_options": {"group": DECLARED + name}})
        row.schedule_type, row.minutes, row.repeats = _TYPES[rhythm], schedule.minutes, -1
        row.save()


def _is_due_as_declared(row: QSchedule, schedule: Schedule, kind: str) -> bool:
    if (row.schedule_type, row.minutes) != (kind, schedule.minutes):
        return False
    due = row.next_run.astimezone(UTC)
    if schedule.hourly is not None:
        return bool(due.minute == schedule.hourly.minute)
    at = schedule.daily or schedule.weekly or schedule.monthly
    return at is None or (due.hour, due.minute) == (at.hour, at.minute)


def _first_at(schedule: Schedule, now: datetime) -> datetime:
    """The first due time after `now`."""
    if schedule.minutes is not None:
        return now + timedelta(minutes=schedule.minutes)
    if schedule.hourly is not None:
        at = now.replace(minute=schedule.hourly.minute, second=0, microsecond=0)
        return at if at > now else at + timedelta(hours=1)
    of_day = schedule.daily or schedule.weekly or schedule.monthly
    assert of_day is not None
    at = now.astimezone(UTC).replace(hour=of_day.hour, minute=of_day.minute, second=0, microsecond=0)
    while at <= now or (schedule.weekly and at.weekday() != 0) or (schedule.monthly and at.day != 1):
        at += timedelta(days=1)
    return at


_TICK = """
INSERT INTO jobs_tick (name, job_type, payload, period_seconds) VALUES (%(name)s, %(job_type)s, %(payload)s::jsonb, %(seconds)s)
ON CONFLICT (name) DO UPDATE SET job_type = excluded.job_type, payload = excluded.payload, period_seconds = excluded.period_seconds,
  next_at = CASE WHEN jobs_tick.period_seconds = excluded.period_seconds THEN jobs_tick.next_at ELSE statement_timestamp() END
"""


def _sync_ticks(declared: dict[str, Tick]) -> None:
    models.Tick.objects.exclude(name__in=declared).delete()
    for name, tick in declared.items():
        payload = queue.as_json(tick.payload)
        database.run(_TICK, {"name": name, "job_type": tick.job_type, "payload": payload, "seconds": tick.seconds})


# --- ticks ---------------------------------------------------------------------------------------------------------
_DUE = "SELECT name FROM jobs_tick WHERE next_at <= statement_timestamp() AND job_type = ANY(%s) ORDER BY name"
# The due time is the last one that has come; those before it were missed. Counted from the old one: no drift, whoever is late.
_LOCK_DUE = f"""
SELECT tick.job_type, tick.payload, due.at,
       EXISTS (SELECT FROM job_queue q WHERE q.id = tick.last_job_id AND q.status NOT IN ({quoted(TERMINAL)})) AS is_running
FROM jobs_tick tick
CROSS JOIN LATERAL (
  SELECT tick.next_at + make_interval(secs => tick.period_seconds
         * floor(extract(epoch FROM statement_timestamp() - tick.next_at) / tick.period_seconds)::float8) AS at
) due
WHERE tick.name = %s AND tick.next_at <= statement_timestamp() FOR NO KEY UPDATE OF tick SKIP LOCKED
"""
_ADVANCE = """
UPDATE jobs_tick SET next_at = %(at)s + make_interval(secs => period_seconds), last_job_id = coalesce(%(job)s, last_job_id),
  last_error = %(error)s
WHERE name = %(name)s
"""


def enqueue_ticks() -> int:
    """Enqueue the ticks that are due, each in a transaction of its own; returns how many jobs were enqueued.

    Called every second by every worker. A tick of a type this worker's release does not know is left to those that do.
    """
    due = database.rows(_DUE, (sorted(registry().types),))
    return sum(_enqueue_tick(name) for (name,) in due)


def _enqueue_tick(name: str) -> bool:
    with transaction.atomic():
        locked = database.rows(_LOCK_DUE, (name,))
        if not locked:
            return False
        job_type, payload, at, is_running = locked[0]
        job_id, error = None, ""
        if not is_running:
            try:
                with transaction.atomic():
                    key = f"tick:{name}:{at.astimezone(UTC).isoformat()}"
                    job_id = queue.enqueue(job_type, json.loads(payload), unique_key=key).pk
            except (JobsError, DataError, IntegrityError) as refused:
                error = str(refused)
                log.warning("a tick enqueued nothing", extra={"tick": name, "error": error})
        database.run(_ADVANCE, {"name": name, "at": at, "job": job_id, "error": error})
    return job_id is not None
