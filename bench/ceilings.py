"""The raw ceilings: one tight psycopg loop that writes the rows this queue writes, without heartbeat, retries or rescue.

`per_job`: claims 20, then a transaction for each. `batch`: claims 20, then one transaction for all of them. `set`: one statement each
for the effects and for the completions of what it claimed. Idle, it sleeps: it has no way to be woken.
"""

import os
import sys
import time
from uuid import uuid4

import psycopg

Connection = psycopg.Connection[tuple[object, ...]]
Claimed = list[tuple[int, str, int]]

_CLAIM = """
WITH due AS MATERIALIZED (
  SELECT id FROM job_queue
  WHERE job_type = %s AND status IN ('pending', 'retrying') AND run_at <= statement_timestamp()
  ORDER BY priority DESC, run_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE job_queue q SET status = 'processing', attempts = q.attempts + 1, processed_by = %s, worker_id = %s,
  lease_token = gen_random_uuid(), lease_expires_at = clock_timestamp() + interval '20 s', started_at = clock_timestamp()
WHERE q.id = ANY(ARRAY(SELECT id FROM due)) RETURNING q.id, q.lease_token::text, (q.payload->>'n')::bigint
"""
_EFFECT = "INSERT INTO bench_effects (n, pid) VALUES (%s, %s)"
_EFFECTS = "INSERT INTO bench_effects (n, pid) SELECT made.n, %s FROM unnest(%s::bigint[]) AS made(n)"
_DONE = "status = 'completed', finished_at = clock_timestamp(), lease_token = NULL, lease_expires_at = NULL"
_COMPLETE = f"UPDATE job_queue SET {_DONE} WHERE id = %s AND lease_token = %s::uuid AND status = 'processing'"
# The shape of the queue's own statement (jobs/states.py): by primary key, whatever the planner believes.
_COMPLETE_ALL = f"""
UPDATE job_queue q SET {_DONE}
WHERE q.id = ANY(%s::bigint[]) AND coalesce(q.status) = 'processing' AND q.lease_token = ANY(%s::uuid[])
"""


def per_job(connection: Connection, claimed: Claimed) -> None:
    for job, token, n in claimed:
        connection.execute(_EFFECT, (n, os.getpid()))
        connection.execute(_COMPLETE, (job, token))
        connection.commit()


def batch(connection: Connection, claimed: Claimed) -> None:
    for job, token, n in claimed:
        connection.execute(_EFFECT, (n, os.getpid()))
        connection.execute(_COMPLETE, (job, token))
    connection.commit()


def set_based(connection: Connection, claimed: Claimed) -> None:
    connection.execute(_EFFECTS, (os.getpid(), [n for _, _, n in claimed]))
    connection.execute(_COMPLETE_ALL, ([job for job, _, _ in claimed], [token for _, token, _ in claimed]))
    connection.commit()


def main(shape: str, size: int) -> None:
    """Work until killed."""
    run = {"per_job": per_job, "batch": batch, "set_based": set_based}[shape]
    worker, name = uuid4(), f"raw:{os.getpid()}"
    with psycopg.connect("", prepare_threshold=0) as connection:
        while True:
            claimed = connection.execute(_CLAIM, ("bench_per_job", size, name, worker)).fetchall()
            connection.commit()
            if claimed:
                run(connection, claimed)  # type: ignore[arg-type]
            else:
                time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
