"""Judges what really happened to every job. The witness is PostgreSQL: a trigger writes down each change of a job, whoever makes it.

Knows nothing of the queue's code: the machine of states is written here a second time, from the rules of the product.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

SCHEMA = """
CREATE TABLE queue_effects (
    id bigserial PRIMARY KEY, job_id bigint NOT NULL, step text NOT NULL, token text NOT NULL, is_atomic bool NOT NULL,
    xact text NOT NULL DEFAULT pg_current_xact_id()::text
);
CREATE TABLE queue_history (
    id bigserial PRIMARY KEY, job_id bigint NOT NULL, was text NOT NULL, became text NOT NULL, held text, taken text,
    attempts_before int NOT NULL, attempts int NOT NULL, xact text NOT NULL DEFAULT pg_current_xact_id()::text
);
CREATE FUNCTION queue_history_write() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO queue_history (job_id, was, became, taken, attempts_before, attempts)
        VALUES (NEW.id, '', NEW.status, NEW.lease_token, 0, NEW.attempts);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO queue_history (job_id, was, became, held, attempts_before, attempts)
        VALUES (OLD.id, OLD.status, '', OLD.lease_token, OLD.attempts, OLD.attempts);
    ELSIF OLD.status <> NEW.status OR OLD.lease_token IS DISTINCT FROM NEW.lease_token THEN
        INSERT INTO queue_history (job_id, was, became, held, taken, attempts_before, attempts)
        VALUES (NEW.id, OLD.status, NEW.status, OLD.lease_token, NEW.lease_token, OLD.attempts, NEW.attempts);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER queue_history_write AFTER INSERT OR UPDATE OR DELETE ON job_queue
FOR EACH ROW EXECUTE FUNCTION queue_history_write();
"""
FORGET = "TRUNCATE job_queue, queue_effects, queue_history, jobs_worker, jobs_operation CASCADE"

LEGAL = {
    ("", "pending"),
    ("pending", "processing"),
    ("retrying", "processing"),
    ("processing", "completed"),
    ("processing", "pending"),
    ("processing", "retrying"),
    ("processing", "failed"),
    ("pending", "failed"),
    ("retrying", "failed"),
    ("failed", "pending"),
}
ENDED = {"completed", "failed"}


@dataclass(frozen=True)
class Change:
    """One change of a job's status or lease. `held` and `taken`: the lease token before and after."""

    job_id: int
    was: str
    became: str
    held: str | None
    taken: str | None
    attempts_before: int
    attempts: int
    xact: str


@dataclass(frozen=True)
class Effect:
    """What a handler left, the lease it believed to hold, and the transaction it was written in."""

    job_id: int
    step: str
    token: str
    is_atomic: bool
    xact: str


@dataclass(frozen=True)
class Row:
    """A job as the table has it in the end. `is_given_up`: discarded or cancelled by a person. `has_effect`: when it completes."""

    id: int
    status: str
    attempts: int
    parent_id: int | None = None
    children_open: int = 0
    is_given_up: bool = False
    has_effect: bool = True


@dataclass
class History:
    rows: list[Row] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    attempts: list[tuple[int, str]] = field(default_factory=list)  # job, outcome: the recorded bad attempts


def read(query: Callable[[str], list[tuple[Any, ...]]]) -> History:
    """Everything the judge needs, in the order in which it happened."""
    return History(
        rows=[
            Row(*row)
            for row in query(
                "SELECT id, status, attempts, parent_id, children_open, resolution IN ('discarded', 'cancelled'), "
                "job_type <> 'job_operation' FROM job_queue"
            )
        ],
        changes=[
            Change(*row)
            for row in query(
                "SELECT job_id, was, became, held, taken, attempts_before, attempts, xact FROM queue_history ORDER BY id"
            )
        ],
        effects=[
            Effect(*row) for row in query("SELECT job_id, step, token, is_atomic, xact FROM queue_effects ORDER BY id")
        ],
        attempts=query("SELECT job_id, outcome FROM jobs_attempt"),  # type: ignore[arg-type]
    )


def violations(history: History) -> list[str]:
    """What must not have happened, one sentence each; an empty list is the proof."""
    changes: dict[int, list[Change]] = defaultdict(list)
    for change in history.changes:
        changes[change.job_id].append(change)
    effects: dict[int, list[Effect]] = defaultdict(list)
    for effect in history.effects:
        effects[effect.job_id].append(effect)
    rows = {row.id: row for row in history.rows}
    outcomes = Counter(history.attempts)
    found: list[str] = []
    for job_id in sorted(changes.keys() | effects.keys() | rows.keys()):
        found += _of_life(job_id, rows.get(job_id), changes[job_id])
        found += _of_end(job_id, rows.get(job_id), changes[job_id], effects[job_id])
        found += _of_effects(job_id, changes[job_id], effects[job_id])
        found += _of_record(job_id, changes[job_id], outcomes)
    return found + list(_of_families(history.rows, history.changes))


def _of_life(job_id: int, row: Row | None, changes: list[Change]) -> Iterator[str]:
    """Every change legal, and following from the one before; every claim counts, and takes a lease nobody else had."""
    status, token, attempts = "", None, 0
    tokens: set[str] = set()
    for change in changes:
        if (change.was, change.became) not in LEGAL:
            yield f"job {job_id}: {change.was or 'nothing'} became {change.became or 'nothing'}"
        if (change.was, change.held, change.attempts_before) != (status, token, attempts):
            yield f"job {job_id}: its history has a gap before it became {change.became}"
        if change.became == "processing":
            if change.attempts != change.attempts_before + 1:
                yield f"job {job_id}: claimed without counting the attempt"
            if change.taken is None or change.taken in tokens:
                yield f"job {job_id}: claimed without a lease of its own"
            tokens |= {change.taken} if change.taken else set()
        elif change.taken is not None:
            yield f"job {job_id}: {change.became} with a lease"
        status, token, attempts = change.became, change.taken, change.attempts
    if row is not None and (row.status, row.attempts) != (status, attempts):
        yield f"job {job_id}: the table says {row.status}, its history {status}"


def _of_end(job_id: int, row: Row | None, changes: list[Change], effects: list[Effect]) -> Iterator[str]:
    """One accepted completion, or a dead letter; and the effect of the one, exactly once, and of the other, none."""
    if row is None:
        yield f"job {job_id}: lost"
        return
    if row.status not in ENDED:
        yield f"job {job_id}: stuck in {row.status}"
    completions = sum(change.became == "completed" for change in changes)
    if completions != (row.status == "completed"):
        yield f"job {job_id}: {row.status}, with {completions} accepted completions"
    done = sum(effect.step == "done" for effect in effects)
    if done != (row.status == "completed" and row.has_effect):
        yield f"job {job_id}: {row.status}, and done {done} times"
    for step, count in Counter(effect.step for effect in effects).items():
        if count > 1 and step != "done":
            yield f"job {job_id}: {step} {count} times"


def _of_effects(job_id: int, changes: list[Change], effects: list[Effect]) -> Iterator[str]:
    """Nothing is accepted from a worker whose lease had passed to another; effect and end of attempt are one commit."""
    leases = {change.taken for change in changes if change.became == "processing"}
    for effect in effects:
        if effect.token not in leases:
            yield f"job {job_id}: {effect.step} under a lease that never was"
        if not effect.is_atomic:
            continue
        ends = [change for change in changes if change.was == "processing" and change.xact == effect.xact]
        if not ends:
            yield f"job {job_id}: {effect.step} was not committed together with the end of its attempt"
        elif all(change.held != effect.token for change in ends):
            yield f"job {job_id}: {effect.step} was accepted with a stale token"


def _of_record(job_id: int, changes: list[Change], outcomes: Counter[tuple[int, str]]) -> Iterator[str]:
    """Each attempt that went wrong has its row. One given back to pending may have one: a stop is recorded, waiting is not."""
    bad = sum(change.was == "processing" and change.became in {"retrying", "failed"} for change in changes)
    back = sum(change.was == "processing" and change.became == "pending" for change in changes)
    recorded = sum(count for (job, outcome), count in outcomes.items() if job == job_id and outcome != "stale")
    if not bad <= recorded <= bad + back:
        yield f"job {job_id}: {bad} attempts went wrong, {recorded} are recorded"


def _of_families(rows: list[Row], changes: list[Change]) -> Iterator[str]:
    """The counter is the number of children still to come, and no parent ends before its last child."""
    children: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row.parent_id is not None:
            children[row.parent_id].append(row)
    ended_at = {change.job_id: place for place, change in enumerate(changes) if change.became in ENDED}
    for parent in rows:
        still_open = sum(not child.is_given_up and child.status != "completed" for child in children[parent.id])
        if parent.children_open != still_open:
            yield f"job {parent.id}: counts {parent.children_open} open children, {still_open} are"
        if parent.status == "completed" and any(
            ended_at.get(child.id, len(changes)) > ended_at.get(parent.id, -1) for child in children[parent.id]
        ):
            yield f"job {parent.id}: ended before its last child"
