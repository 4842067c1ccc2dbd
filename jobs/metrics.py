"""One computation of the queue's figures; console, API and /metrics show the same numbers, whichever web process answers.

SQL alone, nothing cached. Every query goes by an index and reads a bounded number of rows, however many are completed or wait:
columns are compared with statement_timestamp(), for clock_timestamp() is volatile and would keep an index from being used.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from jobs import database
from jobs.models import Job
from jobs.service import registry
from jobs.states import LIVE, OPEN_RESOLUTIONS, Status, quoted

# Below this many rows counting is quicker than explaining an estimate.
_EXACT_BELOW = 50_000
# Rows of one type that are counted; beyond it the type is named in `capped_types`.
COUNTED_AT_MOST = 20_000
# What the percentiles rest on: the last completions, so many at most, and none older.
SAMPLE_ROWS = 10_000
WINDOW_SECONDS = 900

_LIVE = f"status IN ({quoted(LIVE)})"
_DEAD = f"status = 'failed' AND resolution IN ({', '.join(repr(r.value) for r in OPEN_RESOLUTIONS)})"

# A loose index scan over (type, priority): one probe of jobs_job_due for each pair there is, not one visit for each row.
_LANES = f"""
WITH RECURSIVE lane(job_type, priority) AS (
  (SELECT job_type, priority FROM job_queue WHERE {_LIVE} ORDER BY job_type, priority DESC LIMIT 1)
  UNION ALL
  SELECT following.* FROM lane CROSS JOIN LATERAL (
    (SELECT q.job_type, q.priority FROM job_queue q WHERE q.{_LIVE} AND q.job_type = lane.job_type AND q.priority < lane.priority
     ORDER BY q.job_type, q.priority DESC LIMIT 1)
    UNION ALL
    (SELECT q.job_type, q.priority FROM job_queue q WHERE q.{_LIVE} AND q.job_type > lane.job_type
     ORDER BY q.job_type, q.priority DESC LIMIT 1)
    LIMIT 1
  ) following
)
"""
# Within a lane the first row is the longest due; within a type so many rows are counted.
_OLDEST_DUE = f"""
{_LANES}
SELECT lane.job_type, extract(epoch FROM clock_timestamp() - min(head.run_at)) FROM lane CROSS JOIN LATERAL (
  SELECT q.run_at FROM job_queue q
  WHERE q.{_LIVE} AND q.job_type = lane.job_type AND q.priority = lane.priority AND q.run_at <= statement_timestamp()
  ORDER BY q.run_at, q.id LIMIT 1
) head GROUP BY lane.job_type
"""
_WAITING = f"""
{_LANES}
SELECT kind.job_type, few.status, count(*), count(*) FILTER (WHERE few.run_at <= statement_timestamp())
FROM (SELECT DISTINCT job_type FROM lane) kind CROSS JOIN LATERAL (
  SELECT q.status, q.run_at FROM job_queue q WHERE q.{_LIVE} AND q.job_type = kind.job_type
  ORDER BY q.priority DESC, q.run_at, q.id LIMIT %s
) few GROUP BY 1, 2
"""
_RUNNING = "SELECT job_type, count(*) FROM job_queue WHERE status = 'processing' GROUP BY 1"
# jobs_job_dead answers alone.
_DEAD_LETTERS = f"""
SELECT job_type, count(*), extract(epoch FROM clock_timestamp() - min(finished_at)) FROM job_queue WHERE {_DEAD} GROUP BY 1
"""
_WORKERS = "SELECT count(*) FROM jobs_worker WHERE heartbeat_at > statement_timestamp() - make_interval(secs => %s)"
_OUTCOMES = """
SELECT outcome, count(*) FROM jobs_attempt WHERE outcome IN ('stale', 'rescued', 'interrupted') GROUP BY 1
"""
_RECENT = """
SELECT count(*) FROM job_queue WHERE status = 'completed' AND finished_at > statement_timestamp() - interval '1 minute'
"""


@dataclass(frozen=True)
class QueueFigures:
    """`by_status`: unresolved jobs; completed is an estimate beyond 50,000 rows. Ages in seconds, 0 when there is nothing.

    `by_type`: type -> status -> count, completed left out. `capped_types`: types of which more wait than the 20,000 counted; `due` and
    `by_type` are at least so many then, and pending is an estimate. `stale_results`, `rescues`, `interruptions`: attempts kept in the
    history.
    """

    by_status: dict[str, int]
    by_type: dict[str, dict[str, int]]
    capped_types: list[str]
    is_completed_estimated: bool
    due: int
    oldest_due_seconds: float
    dead_letters: int
    oldest_dead_letter_seconds: float
    workers_alive: int
    completed_last_minute: int
    stale_results: int
    rescues: int
    interruptions: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def figures() -> QueueFigures:
    """The queue as it is now."""
    waiting = database.rows(_WAITING, (COUNTED_AT_MOST + 1,))
    dead = database.rows(_DEAD_LETTERS)
    open_jobs = [(kind, status, count) for kind, status, count, _ in waiting]
    open_jobs += [(kind, Status.PROCESSING.value, count) for kind, count in database.rows(_RUNNING)]
    open_jobs += [(kind, Status.FAILED.value, count) for kind, count, _ in dead]
    by_status = dict.fromkeys(Status.values, 0)
    by_type: dict[str, dict[str, int]] = {}
    for job_type, status, count in open_jobs:
        by_status[status] += count
        by_type.setdefault(job_type, {})[status] = count
    capped = _capped(by_type)
    if capped:
        estimate = estimated_rows("jobs_job_due") or 0
        by_status[Status.PENDING] = max(by_status[Status.PENDING], estimate - by_status[Status.RETRYING])
    by_status[Status.COMPLETED], is_estimated = _completed()
    outcomes: dict[str, int] = dict(database.rows(_OUTCOMES))
    return QueueFigures(
        by_status=by_status,
        by_type=by_type,
        capped_types=capped,
        is_completed_estimated=is_estimated,
        due=sum(due for _, _, _, due in waiting),
        oldest_due_seconds=_oldest(seconds for _, seconds in database.rows(_OLDEST_DUE)),
        dead_letters=by_status[Status.FAILED],
        oldest_dead_letter_seconds=_oldest(seconds for _, _, seconds in dead),
        workers_alive=workers_alive(),
        completed_last_minute=database.rows(_RECENT)[0][0],
        stale_results=outcomes.get("stale", 0),
        rescues=outcomes.get("rescued", 0),
        interruptions=outcomes.get("interrupted", 0),
    )


def _capped(by_type: dict[str, dict[str, int]]) -> list[str]:
    waiting = {kind: sum(counts.get(status.value, 0) for status in LIVE) for kind, counts in by_type.items()}
    return sorted(kind for kind, count in waiting.items() if count > COUNTED_AT_MOST)


def _oldest(ages: Any) -> float:
    return max((float(seconds) for seconds in ages), default=0.0)


def workers_alive() -> int:
    """Workers whose heartbeat is younger than the lease."""
    return int(database.rows(_WORKERS, (settings.JOB_LEASE_SECONDS,))[0][0])


def estimated_rows(table: str = Job._meta.db_table) -> int | None:
    """How many rows the table has by PostgreSQL's own statistics; None while that is too few, or unknown, to estimate."""
    estimate = int(database.rows("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", (table,))[0][0])
    return estimate if estimate >= _EXACT_BELOW else None


def _completed() -> tuple[int, bool]:
    if (estimate := estimated_rows("jobs_job_completed")) is not None:
        return estimate, True
    # The table may have grown since it was last analysed: count, but never far.
    counted = "SELECT count(*) FROM (SELECT FROM job_queue WHERE status = 'completed' LIMIT %s) few"
    return int(database.rows(counted, (10 * _EXACT_BELOW,))[0][0]), False


# --- times and health, by type and by service ------------------------------------------------------------------------
# Wait: from when the job might have begun to when its last attempt did. Processing: that attempt.
_SAMPLED = """
WITH sample AS MATERIALIZED (
  SELECT job_type, service, finished_at, greatest(extract(epoch FROM started_at - run_at), 0) AS wait,
         greatest(extract(epoch FROM finished_at - started_at), 0) AS processing
  FROM job_queue
  WHERE status = 'completed' AND finished_at > statement_timestamp() - make_interval(secs => %(window)s)
  ORDER BY finished_at DESC LIMIT %(rows)s
), reached AS (
  SELECT greatest(extract(epoch FROM statement_timestamp() - min(finished_at)), 1) AS seconds FROM sample
)
SELECT job_type, service, count(*), count(*) / (SELECT seconds FROM reached),
       extract(epoch FROM clock_timestamp() - max(finished_at)),
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY wait),
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY processing)
FROM sample GROUP BY GROUPING SETS ((job_type, service), (service)) ORDER BY 1 NULLS LAST, 2
"""
_FAILURES = """
SELECT q.job_type, q.service, count(*) FROM (
  SELECT job_id FROM jobs_attempt
  WHERE outcome = 'failed' AND ended_at > statement_timestamp() - make_interval(secs => %(window)s)
  ORDER BY ended_at DESC LIMIT %(rows)s
) failed JOIN job_queue q ON q.id = failed.job_id GROUP BY 1, 2
"""


@dataclass(frozen=True)
class Percentiles:
    """Seconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Timings:
    """Of one type, or with an empty `job_type` of a whole service: what completed within the window.

    `completed`: how many of the sample; `per_second`: over the time the sample reaches back. None: nothing completed. `error_rate`:
    failed attempts among those that ended, 0 to 1. `last_success_seconds`: ago; None: longer than the window, or never.
    """

    job_type: str
    service: str
    completed: int
    per_second: float
    failed_attempts: int
    error_rate: float
    last_success_seconds: float | None
    wait: Percentiles | None
    processing: Percentiles | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def timings() -> list[Timings]:
    """Waiting and processing times of the last quarter of an hour, at most its last 10,000 completions: types by name, then services."""
    params = {"window": WINDOW_SECONDS, "rows": SAMPLE_ROWS}
    sampled: dict[tuple[str, str], database.Row] = {
        (row[0] or "", row[1]): row for row in database.rows(_SAMPLED, params)
    }
    failed: dict[tuple[str, str], int] = {}
    for job_type, service, count in database.rows(_FAILURES, params):
        failed[job_type, service] = count
        failed["", service] = failed.get(("", service), 0) + count
    keys = sorted(sampled.keys() | failed.keys(), key=lambda key: (key[0] == "", key))
    return [_timing(key, sampled.get(key), failed.get(key, 0)) for key in keys]


def _timing(key: tuple[str, str], row: database.Row | None, failed: int) -> Timings:
    _, _, completed, per_second, last, wait, processing = row or (None, None, 0, 0, None, None, None)
    return Timings(
        job_type=key[0],
        service=key[1],
        completed=completed,
        per_second=round(float(per_second), 3),
        failed_attempts=failed,
        error_rate=round(failed / (failed + completed), 4),
        last_success_seconds=None if last is None else float(last),
        wait=Percentiles(*wait) if wait else None,
        processing=Percentiles(*processing) if processing else None,
    )


_ALIVE_BY_SERVICE = """
SELECT unnest(services), count(*) FROM jobs_worker
WHERE heartbeat_at > statement_timestamp() - make_interval(secs => %s) GROUP BY 1
"""


def services() -> list[dict[str, Any]]:
    """Each service with its health and its types with what is open of each, for the API, the console and /metrics."""
    counts = figures().by_type
    measured = {(timing.job_type, timing.service): timing for timing in timings()}
    workers: dict[str, int] = dict(database.rows(_ALIVE_BY_SERVICE, (settings.JOB_LEASE_SECONDS,)))
    return [
        {
            "name": service.name,
            "workers_alive": workers.get(service.name, 0),
            **_health(measured.get(("", service.name))),
            "job_types": [
                {
                    "name": kind.name,
                    "open": counts.get(kind.name, {}),
                    **_health(measured.get((kind.name, service.name))),
                }
                for kind in service.job_types
            ],
        }
        for service in registry().services
    ]


def _health(timing: Timings | None) -> dict[str, Any]:
    known = timing.as_dict() if timing else {}
    empty = {"completed": 0, "per_second": 0.0, "failed_attempts": 0, "error_rate": 0.0}
    absent = {"last_success_seconds": None, "wait": None, "processing": None}
    return {name: known.get(name, value) for name, value in (empty | absent).items()}


# --- machines --------------------------------------------------------------------------------------------------------
_TABLES = ("job_queue", "jobs_attempt", "jobs_worker", "jobs_decision", "jobs_operation_member")
_TABLE_HEALTH = """
SELECT relname, n_live_tup, n_dead_tup, pg_total_relation_size(relid), greatest(last_autovacuum, last_vacuum)
FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = ANY(%s) ORDER BY array_position(%s, relname::text)
"""
_CONNECTIONS = """
SELECT coalesce(state, 'other'), count(*) FROM pg_stat_activity WHERE datname = current_database() GROUP BY 1 ORDER BY 1
"""
# Whatever is older keeps dead rows of the queue from being cleaned away.
_OLDEST_TRANSACTION = """
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_PROCESSES = """
SELECT name, host, pid, rss_bytes, cardinality(job_ids), extract(epoch FROM clock_timestamp() - heartbeat_at),
       heartbeat_at > statement_timestamp() - make_interval(secs => %s)
FROM jobs_worker ORDER BY name, id LIMIT 500
"""


@dataclass(frozen=True)
class TableHealth:
    """Rows by PostgreSQL's statistics; `size_bytes` with indexes; `vacuumed_at`: None when never."""

    name: str
    live_rows: int
    dead_rows: int
    size_bytes: int
    vacuumed_at: datetime | None


@dataclass(frozen=True)
class Process:
    """A worker process at its last heartbeat; `jobs`: claimed and not ended."""

    name: str
    host: str
    pid: int
    rss_bytes: int
    jobs: int
    heartbeat_seconds: float
    is_alive: bool


@dataclass(frozen=True)
class Machines:
    """What the queue runs on. `connections`: of this database, by state."""

    tables: list[TableHealth]
    connections: dict[str, int]
    oldest_transaction_seconds: float
    processes: list[Process]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def machines() -> Machines:
    """The health of the queue's tables, its database's connections, and the memory of each worker."""
    return Machines(
        tables=[TableHealth(*row) for row in database.rows(_TABLE_HEALTH, (list(_TABLES), list(_TABLES)))],
        connections=dict(database.rows(_CONNECTIONS)),
        oldest_transaction_seconds=float(database.rows(_OLDEST_TRANSACTION)[0][0]),
        processes=[
            Process(name, host, pid, rss_bytes, jobs, float(seconds), is_alive)
            for name, host, pid, rss_bytes, jobs, seconds, is_alive in database.rows(
                _PROCESSES, (settings.JOB_LEASE_SECONDS,)
            )
        ],
    )
