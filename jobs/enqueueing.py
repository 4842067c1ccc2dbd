"""Putting jobs in: one, or many by COPY, always in the caller's transaction, idempotent by key, counted by their parent."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from jobs import database
from jobs.errors import BadPayload, ParentFinished
from jobs.models import Job
from jobs.service import JobType, registry
from jobs.states import OPEN_RESOLUTIONS, TERMINAL, quoted

CHANNEL = "jobs"
_BULK_CHUNK = 10_000
_COPY_BLOCK = 1_000
# One encoder for all: json.dumps() builds a new one per call as soon as it is told anything.
_encode = json.JSONEncoder(allow_nan=False).encode
_KEY_IS_HELD = f"unique_key IS NOT NULL AND resolution IN ({', '.join(repr(r.value) for r in OPEN_RESOLUTIONS)})"

Payload = Mapping[str, Any]


def enqueue(
    job_type: str,
    payload: Payload,
    *,
    run_at: datetime | None = None,
    priority: int | None = None,
    unique_key: str | None = None,
    parent: Job | None = None,
    max_retries: int | None = None,
) -> Job:
    """Put one job into the queue, in the caller's transaction: rolled back or committed together.

    `payload`: a JSON object naming rows, never carrying them. `run_at`: aware, not before; None is now. `priority`: higher first;
    None takes the type's. `max_retries`: attempts beyond the first; None takes the type's, then the setting's. `unique_key`: makes the
    call idempotent:
    while a job of this type with this key is live, completed or a dead letter, that job is returned and nothing is written (a
    discarded or cancelled one frees its key, and so does a completed one when it is pruned). `parent`: woken when its last child
    has completed; a job found by its key is not counted again.
    Raises UnknownJobType, BadPayload, ParentFinished; nothing is written then.
    """
    kind = registry().type_of(job_type)
    values: dict[str, Any] = {
        "job_type": job_type,
        "service": registry().service_of(job_type).name,
        "payload": as_json(payload),
        "run_at": run_at,
        "priority": kind.priority if priority is None else priority,
        "unique_key": unique_key,
        "parent": parent.pk if parent else None,
        "max_retries": _retries(kind, max_retries),
    }
    while True:
        with joined():
            _check_parent(values["parent"])
            row = _insert_one(values)
            if row is not None:
                if run_at is None or run_at <= row[1]:
                    wake_after_commit()
                return _enqueued(row, values, payload)
        # Conflict on the key. The holder may be discarded just now, hence the loop; each turn either inserts or finds.
        held = Job.objects.filter(job_type=job_type, unique_key=unique_key, resolution__in=OPEN_RESOLUTIONS).first()
        if held is not None:
            return held


_INSERT = f"""
INSERT INTO job_queue (job_type, service, payload, run_at, priority, unique_key, parent_id, max_retries)
VALUES (%(job_type)s, %(service)s, %(payload)s::jsonb, coalesce(%(run_at)s::timestamptz, statement_timestamp()), %(priority)s,
        %(unique_key)s, %(parent)s, %(max_retries)s)
ON CONFLICT (job_type, unique_key) WHERE {_KEY_IS_HELD} DO NOTHING
RETURNING id, created_at, run_at
"""


def _insert_one(values: dict[str, Any]) -> database.Row | None:
    inserted = database.rows(_INSERT, values)
    if not inserted:
        return None
    if values["parent"] is not None:
        _count_children(values["parent"], 1)
    return inserted[0]


def _enqueued(row: database.Row, values: dict[str, Any], payload: Payload) -> Job:
    job = Job(
        id=row[0],
        created_at=row[1],
        run_at=row[2],
        payload=dict(payload),
        parent_id=values["parent"],
        status="pending",
        attempts=0,
        rescue_count=0,
        children_open=0,
        wait_reason="",
        processed_by="",
        note="",
        last_error="",
        resolution="",
        resolved_by="",
        resolution_reason="",
        **{name: values[name] for name in ("job_type", "service", "priority", "unique_key", "max_retries")},
    )
    job._state.adding = False
    job._state.db = connection.alias
    return job


def enqueue_many(
    job_type: str,
    payloads: Sequence[Payload | tuple[Payload, str | None]],
    *,
    run_at: datetime | None = None,
    priority: int | None = None,
    parent: Job | None = None,
    max_retries: int | None = None,
) -> int:
    """Put many jobs of one type into the queue, in the caller's transaction; returns how many were new.

    Each item is a payload, or a pair (payload, unique key). Keys mean what they mean in enqueue(), within the call too. The parent's
    counter is written once. Raises as enqueue() does; nothing is written then.
    """
    kind = registry().type_of(job_type)
    items: list[tuple[Payload, str | None]] = [i if isinstance(i, tuple) else (i, None) for i in payloads]
    shared = (
        job_type,
        registry().service_of(job_type).name,
        run_at,
        kind.priority if priority is None else priority,
        parent.pk if parent else None,
        _retries(kind, max_retries),
    )
    plain = [as_json(payload) for payload, key in items if key is None]
    keyed: dict[str, str] = {}
    for payload, key in items:
        if key is not None:
            keyed.setdefault(key, as_json(payload))
    with joined():
        _check_parent(parent.pk if parent else None)
        added = _copy(_COLUMNS, [_escaped(text) for text in plain], shared) if plain else 0
        added += _add_keyed(keyed, shared) if keyed else 0
        if parent is not None and added:
            _count_children(parent.pk, added)
        if added and (run_at is None or run_at <= timezone.now()):
            wake_after_commit()
    return added


_COLUMNS = "job_type, service, run_at, priority, parent_id, max_retries, payload"


def _copy(columns: str, lines: Sequence[str], shared: tuple[Any, ...]) -> int:
    """COPY in text format, in blocks: what all rows share is written once as a prefix. `lines`: what differs, escaped."""
    job_type, service, run_at, priority, parent, max_retries = shared
    at = (run_at or database.rows("SELECT statement_timestamp()")[0][0]).isoformat()
    prefix = "\t".join(map(_field, (job_type, service, at, priority, parent, max_retries))) + "\t"
    cursor = database.raw_cursor()
    with connection.wrap_database_errors, cursor.copy(f"COPY job_queue ({columns}) FROM STDIN") as copy:
        for start in range(0, len(lines), _COPY_BLOCK):
            copy.write("".join(f"{prefix}{line}\n" for line in lines[start : start + _COPY_BLOCK]))
    return len(lines)


def _escaped(text: str) -> str:
    """JSON as COPY takes it: it keeps its own control characters escaped, so only the backslash means something."""
    return text.replace("\\", "\\\\")


def _field(value: object) -> str:
    """A value of a COPY line; names of types and services are ours, and hold nothing that would need escaping."""
    return "\\N" if value is None else str(value)


_INSERT_KEYED = f"""
INSERT INTO job_queue (job_type, service, run_at, priority, parent_id, max_retries, payload, unique_key)
SELECT %s, %s, coalesce(%s::timestamptz, statement_timestamp()), %s, %s::bigint, %s, item.payload::jsonb, item.unique_key
FROM unnest(%s::text[], %s::text[]) AS item(payload, unique_key)
ON CONFLICT (job_type, unique_key) WHERE {_KEY_IS_HELD} DO NOTHING
"""


_HELD_KEYS = f"SELECT unique_key FROM job_queue WHERE job_type = %s AND unique_key = ANY(%s) AND {_KEY_IS_HELD}"


def _add_keyed(keyed: Mapping[str, str], shared: tuple[Any, ...]) -> int:
    """Add the jobs whose keys are free; returns how many.

    Keys that are held are left out by a plain read, which waits for nobody: a holder that is just completing waits for its parent, which
    the caller has locked. The rest is copied; only when somebody took one of its keys meanwhile is it inserted, step by step.
    """
    free = keyed.keys() - {row[0] for row in database.rows(_HELD_KEYS, (shared[0], list(keyed)))}
    # One order for everybody: two callers with overlapping keys must not wait for each other crosswise.
    items = [(keyed[key], key) for key in sorted(free)]
    if not items:
        return 0
    try:
        with transaction.atomic():
            return _copy(f"{_COLUMNS}, unique_key", [f"{_escaped(text)}\t{_key(key)}" for text, key in items], shared)
    except IntegrityError:
        chunks = [items[start : start + _BULK_CHUNK] for start in range(0, len(items), _BULK_CHUNK)]
        return sum(database.run(_INSERT_KEYED, (*shared, *map(list, zip(*chunk, strict=True)))) for chunk in chunks)


_KEY_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _key(key: str) -> str:
    return key.translate(_KEY_ESCAPES)


def _check_parent(parent: int | None) -> None:
    """Lock the parent's row before its children are written, so that a refusal leaves nothing behind."""
    if parent is None:
        return
    live = f"SELECT FROM job_queue WHERE id = %s AND status NOT IN ({quoted(TERMINAL)}) FOR NO KEY UPDATE"
    if not database.rows(live, (parent,)):
        raise ParentFinished(f"job {parent} has ended or does not exist: it cannot have children")


def _count_children(parent: int, added: int) -> None:
    database.run("UPDATE job_queue SET children_open = children_open + %s WHERE id = %s", (added, parent))


def joined() -> AbstractContextManager[object]:
    """The caller's transaction, or one of our own where there is none. No savepoint: nothing is written before a refusal."""
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


def as_json(payload: Payload) -> str:
    """The payload as the table takes it; BadPayload when it is no JSON object or holds what PostgreSQL cannot store."""
    if not isinstance(payload, Mapping):
        raise BadPayload(f"a payload is a JSON object, not {type(payload).__name__}")
    try:
        text = _encode(payload)
    except (TypeError, ValueError) as error:
        raise BadPayload(f"the payload is not JSON: {error}") from None
    if "\\u0000" in text:
        raise BadPayload("the payload holds a NUL character, which PostgreSQL cannot store")
    return text


def _retries(kind: JobType, asked: int | None) -> int:
    for value in (asked, kind.max_retries):
        if value is not None:
            return value
    return int(settings.JOB_MAX_RETRIES)


def wake_after_commit() -> None:
    """Wake the idle workers once the jobs can be seen, at most once per transaction.

    After the commit and not within it: a NOTIFY inside a transaction holds a database-wide lock through the commit's disk write.
    Lost with the process in between, it costs one poll interval.
    """
    if not any(entry[1] is _notify for entry in connection.run_on_commit):
        transaction.on_commit(_notify)


def _notify() -> None:
    database.run(f"NOTIFY {CHANNEL}")
