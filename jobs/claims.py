"""The claim: which due jobs a worker takes next, fairly among the types, within limits and pauses. One statement; no row goes out twice."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.base import ModelState

from jobs import database
from jobs.controls import limits_of
from jobs.models import Job
from jobs.service import JobType, registry
from jobs.states import LIVE, assignments, quoted


@dataclass(frozen=True)
class Claimant:
    """Who claims: the worker's row, and the name people see."""

    worker_id: UUID
    name: str


# So often a claim looks at the types' turns alone: a flood of urgent jobs slows the others down, and does not stop them.
_EVEN_HANDED_EVERY = 8
# How long a worker that found a type at its limit does not ask again.
_FULL_SECONDS = 0.1


class Turns:
    """What a worker remembers between its claims: when each type had its turn, and which types were at their limit."""

    def __init__(self) -> None:
        self._claims = 0
        self._turns: dict[str, int] = {}
        self._full_until: dict[str, float] = {}

    @property
    def heeds_priority(self) -> bool:
        return self._claims % _EVEN_HANDED_EVERY != _EVEN_HANDED_EVERY - 1

    def of(self, job_type: str) -> int:
        """The number of the claim that last took this type; 0 for none. The smaller, the longer it has waited."""
        return self._turns.get(job_type, 0)

    def took(self, job_type: str) -> None:
        self._claims += 1
        self._turns[job_type] = self._claims

    def found_full(self, job_type: str) -> None:
        self._full_until[job_type] = time.monotonic() + _FULL_SECONDS

    def is_full(self, job_type: str) -> bool:
        return bool(self._full_until) and time.monotonic() < self._full_until.get(job_type, 0.0)


_TO_PROCESSING = assignments(
    "claim",
    attempts="q.attempts + 1",
    processed_by="%(name)s",
    worker_id="%(worker)s",
    lease_token="gen_random_uuid()",  # noqa: S106 - SQL
    lease_expires_at="clock_timestamp() + make_interval(secs => %(lease)s)",
    started_at="clock_timestamp()",
)
# What a worker's Job carries; anything else is loaded when a handler asks for it.
_CLAIMED_FIELDS = (
    "id",
    "job_type",
    "service",
    "payload",
    "status",
    "priority",
    "attempts",
    "max_retries",
    "rescue_count",
    "children_open",
    "parent_id",
    "unique_key",
    "processed_by",
    "lease_token",
    "started_at",
)
# The head of each served type is looked at (one index probe a type). The most urgent head decides the type, among equals the type this
# worker has served least recently, and a package of that type is taken. So a slow type's rows are never hoarded, other types' rows are
# never read, and a worker of some services is as fast. A row whose worker was lost before is claimed alone: should it kill again, no
# neighbour suffers. Of a type with a limit nothing is taken here: its count needs a lock first.
_CLAIM = f"""
WITH pick AS MATERIALIZED (
  SELECT served.job_type, served.is_limited, head.rescue_count > 0 AS alone,
         CASE WHEN head.rescue_count > 0 THEN 1 ELSE served.size END AS size
  FROM unnest(%(types)s::text[], %(services)s::text[], %(sizes)s::int[], %(turns)s::bigint[], %(limited)s::bool[])
    AS served(job_type, service, size, turn, is_limited)
  CROSS JOIN LATERAL (
    SELECT q.priority, q.run_at, q.id, q.rescue_count FROM job_queue q
    WHERE q.job_type = served.job_type AND q.status IN ({quoted(LIVE)}) AND q.run_at <= statement_timestamp()
    ORDER BY q.priority DESC, q.run_at, q.id LIMIT 1
  ) head
  WHERE served.job_type <> ALL (ARRAY(SELECT name FROM jobs_pause WHERE scope = 'type' AND resumed_at IS NULL))
    AND served.service <> ALL (ARRAY(SELECT name FROM jobs_pause WHERE scope = 'service' AND resumed_at IS NULL))
  ORDER BY CASE WHEN %(heed)s THEN head.priority END DESC, served.turn, head.run_at, head.id LIMIT 1
), due AS MATERIALIZED (
  SELECT q.id FROM job_queue q
  WHERE q.job_type = (SELECT job_type FROM pick WHERE NOT is_limited)
    AND q.status IN ({quoted(LIVE)}) AND q.run_at <= statement_timestamp()
    AND (q.rescue_count = 0 OR (SELECT alone FROM pick))
  ORDER BY q.priority DESC, q.run_at, q.id LIMIT (SELECT size FROM pick)
  FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
  UPDATE job_queue q SET {_TO_PROCESSING}
  WHERE q.id = ANY(ARRAY(SELECT id FROM due)) -- as an array: always the primary key, whatever the planner makes of the LIMIT
  RETURNING q.run_at, {", ".join(f"q.{name}" for name in _CLAIMED_FIELDS)}
)
SELECT pick.job_type, pick.is_limited, {", ".join(f"claimed.{name}" for name in _CLAIMED_FIELDS)}
FROM pick LEFT JOIN claimed ON true ORDER BY claimed.priority DESC, claimed.run_at, claimed.id
"""
_PICKED = 2  # the pick's own columns come first
_CONTENTION_TRIES = 5


def claim(
    claimant: Claimant, *, types: Sequence[JobType], limit: int | None = None, turns: Turns | None = None
) -> list[Job]:
    """Take the most urgent due jobs of one of `types`: a package of a quick type, one of any other. Empty: nothing is due.

    Counts the attempt and takes a lease with a fresh token per job, in one statement of its own. Never hands one row out twice, nor a
    row of a paused type or service, nor more than JobType.max_running and settings.JOB_LIMITS allow. `limit`: rows at most, whatever
    the type's package. `turns`: the worker's memory, for fairness among types; without one the longest due goes first.
    """
    turns = turns or Turns()
    kinds = {kind.name: kind for kind in types if not turns.is_full(kind.name)}
    tries = 0
    while kinds and tries < _CONTENTION_TRIES:
        found = database.rows(_CLAIM, _params(claimant, list(kinds.values()), limit, turns))
        if not found:
            return []
        job_type, is_limited = found[0][:_PICKED]
        if is_limited:
            if jobs := _claim_limited(claimant, kinds[job_type], limit, turns):
                return jobs
            turns.found_full(job_type)
            del kinds[job_type]
        elif found[0][_PICKED] is not None:
            return _taken(found, turns)
        else:
            # The heads seen were taken by others meanwhile: look again rather than sleep beside due work.
            tries += 1
    return []


def _params(claimant: Claimant, kinds: Sequence[JobType], limit: int | None, turns: Turns) -> dict[str, object]:
    package = settings.JOB_PACKAGE_SIZE
    sizes = [(kind.package or package) if kind.quick else 1 for kind in kinds]
    service_of = registry().service_of
    return {
        "types": [kind.name for kind in kinds],
        "services": [service_of(kind.name).name for kind in kinds],
        "sizes": sizes if limit is None else [min(size, limit) for size in sizes],
        "turns": [turns.of(kind.name) for kind in kinds],
        "limited": [bool(limits_of(kind)) for kind in kinds],
        "heed": turns.heeds_priority,
        "name": claimant.name,
        "worker": claimant.worker_id,
        "lease": settings.JOB_LEASE_SECONDS,
    }


# Workers, not rows: a worker runs one job at a time, however many it has claimed. Its own leftovers count for nothing.
_RUNNING = """
SELECT count(DISTINCT q.worker_id) FROM job_queue q
WHERE q.status = 'processing' AND q.job_type = ANY(%s) AND q.worker_id <> %s
"""


def _claim_limited(claimant: Claimant, kind: JobType, limit: int | None, turns: Turns) -> list[Job]:
    """Claim of a type with limits, one claimant at a time: each counts, by a statement of its own, what those before it took."""
    with transaction.atomic():
        for bound in limits_of(kind):
            database.rows("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"jobs.limit:{bound.name}",))
            running = database.rows(_RUNNING, (list(bound.types), claimant.worker_id))[0][0]
            if running >= bound.workers:
                return []
        found = database.rows(_CLAIM, _params(claimant, [kind], limit, turns) | {"limited": [False]})
        return _taken(found, turns) if found and found[0][_PICKED] is not None else []


def _taken(found: Sequence[database.Row], turns: Turns) -> list[Job]:
    turns.took(found[0][0])
    return [_claimed(row) for row in found]


def _claimed(row: database.Row) -> Job:
    """The job as Job.from_db would make it, at a fraction of the cost; what was not selected is loaded when it is asked for."""
    job = Job.__new__(Job)
    job.__dict__.update(zip(_CLAIMED_FIELDS, row[_PICKED:], strict=True))
    job.payload = json.loads(job.payload)
    job._state = ModelState()
    job._state.adding = False
    job._state.db = connection.alias
    return job
