"""What happens to jobs nobody can end any more: rescue by liveness, rejection of unknown types, and the pruning of old completed rows."""

from collections.abc import Iterable

from django.conf import settings

from jobs import database
from jobs.models import AttemptOutcome
from jobs.queue import CHANNEL
from jobs.states import LIVE, assignments, guard, quoted

_LIMIT = 500
POISON = "its worker was lost {limit} times while it ran"

# A processing row is safe while its worker beats and names it. A worker that beats but no longer names it (the database went away in
# the middle) loses it when the claim's own lease has run out: until then the worker may simply not have beaten since the claim.
# SKIP LOCKED: a live worker inside the job's transaction holds the row; so does a rescuer beside us.
_STALE = f"""
  SELECT q.id, q.attempts, q.processed_by, q.started_at,
         q.job_type = ANY(%(quick)s) AND q.rescue_count = 0 AS in_package, q.rescue_count + 1 >= %(limit)s AS poison
  FROM job_queue q
  LEFT JOIN jobs_worker w ON w.id = q.worker_id AND w.heartbeat_at > clock_timestamp() - make_interval(secs => %(lease)s)
  WHERE {guard("rescue")} AND (w.id IS NULL OR (q.lease_expires_at < clock_timestamp() AND NOT q.id = ANY(w.job_ids)))
  LIMIT {_LIMIT} FOR NO KEY UPDATE OF q SKIP LOCKED
"""
# Claimed in a package, nobody knows whether the row was ever begun: its attempt is handed back, and from now on it is claimed alone.
_HAND_BACK = "q.attempts - CASE WHEN stale.in_package THEN 1 ELSE 0 END"
_TO_RETRYING = assignments(
    "rescue",
    attempts=_HAND_BACK,
    rescue_count="q.rescue_count + 1",
    run_at="clock_timestamp()",
    last_error="'its worker was lost'",
)
_TO_FAILED = assignments("give_up", rescue_count="q.rescue_count + 1", last_error="%(poison)s")
_RESCUE = f"""
WITH stale AS MATERIALIZED ({_STALE}), rescued AS (
  UPDATE job_queue q SET {_TO_RETRYING} FROM stale WHERE q.id = stale.id AND NOT stale.poison
), given_up AS (
  UPDATE job_queue q SET {_TO_FAILED} FROM stale WHERE q.id = stale.id AND stale.poison
), recorded AS (
  INSERT INTO jobs_attempt (job_id, number, outcome, error, worker, started_at, ended_at)
  SELECT id, attempts, '{AttemptOutcome.RESCUED.value}', CASE WHEN poison THEN %(poison)s ELSE 'its worker was lost' END,
         processed_by, started_at, clock_timestamp() FROM stale
)
SELECT count(*) FROM stale
"""


def rescue(*, quick_types: Iterable[str]) -> int:
    """Give the jobs of dead workers back to the queue; returns how many. A job rescued JOB_RESCUE_LIMIT times becomes a dead letter.

    By liveness, never by age: a long job of a living worker is not touched. Any number of workers may call it at once.
    """
    limit = settings.JOB_RESCUE_LIMIT
    params = {
        "quick": list(quick_types),
        "lease": settings.JOB_LEASE_SECONDS,
        "limit": limit,
        "poison": POISON.format(limit=limit),
    }
    rescued = int(database.rows(_RESCUE, params)[0][0])
    if rescued:
        database.run(f"NOTIFY {CHANNEL}")
    return rescued


# A loose index scan: one probe of jobs_job_due for each distinct type, however many rows wait.
_DUE_TYPES = f"""
WITH RECURSIVE seen(job_type) AS (
  (SELECT job_type FROM job_queue WHERE status IN ({quoted(LIVE)}) ORDER BY job_type LIMIT 1)
  UNION ALL
  SELECT (SELECT q.job_type FROM job_queue q WHERE q.status IN ({quoted(LIVE)}) AND q.job_type > seen.job_type
          ORDER BY q.job_type LIMIT 1)
  FROM seen WHERE seen.job_type IS NOT NULL
)
SELECT job_type FROM seen WHERE job_type IS NOT NULL
"""
_REJECT = f"""
WITH unknown AS MATERIALIZED (
  SELECT q.id FROM job_queue q
  WHERE {guard("reject")} AND q.job_type = ANY(%(types)s) AND q.run_at <= statement_timestamp() - make_interval(secs => %(patience)s)
  LIMIT {_LIMIT} FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE job_queue q SET {assignments("reject", last_error="'no service knows the job type ' || q.job_type")}
WHERE q.id = ANY(ARRAY(SELECT id FROM unknown))
"""


def reject_unknown_types(known: Iterable[str]) -> int:
    """Dead-letter the rows whose type no service knows; returns how many.

    Only after JOB_UNKNOWN_TYPE_SECONDS: while a release rolls out, an old worker sees types that the new ones know.
    """
    waiting = {row[0] for row in database.rows(_DUE_TYPES)}
    if not (unknown := sorted(waiting - set(known))):
        return 0
    return database.run(_REJECT, {"types": unknown, "patience": settings.JOB_UNKNOWN_TYPE_SECONDS})


_PRUNE = """
WITH old AS MATERIALIZED (
  SELECT q.id FROM job_queue q
  WHERE q.status = 'completed' AND q.finished_at < statement_timestamp() - make_interval(secs => %(age)s)
    -- row by row, never as joins, which would read all old rows before the LIMIT
    AND (SELECT d.id FROM jobs_decision d WHERE d.job_id = q.id LIMIT 1) IS NULL
    AND (SELECT child.id FROM job_queue child WHERE child.parent_id = q.id LIMIT 1) IS NULL
  ORDER BY q.finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), history AS (
  DELETE FROM jobs_attempt a WHERE a.job_id = ANY(ARRAY(SELECT id FROM old))
)
DELETE FROM job_queue q WHERE q.id = ANY(ARRAY(SELECT id FROM old))
"""


def prune(*, limit: int = 1000) -> int:
    """Delete at most `limit` completed jobs older than JOB_RETENTION_DAYS; returns how many. Never failed ones, parents before their
    children, or jobs a person has decided about."""
    return database.run(_PRUNE, {"age": settings.JOB_RETENTION_DAYS * 86_400, "limit": limit})


def forget_workers() -> int:
    """Delete the heartbeat rows of workers that have been silent for an hour and hold no job."""
    return database.run(
        "DELETE FROM jobs_worker w WHERE w.heartbeat_at < clock_timestamp() - interval '1 hour' "
        "AND NOT EXISTS (SELECT FROM job_queue q WHERE q.status = 'processing' AND q.worker_id = w.id)"
    )
