"""Finding dead letters: by type, service, error, age, payload, and in groups that failed alike. Reads only, by indexes, in bounded time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils.dateparse import parse_datetime
from psycopg.errors import QueryCanceled

from jobs import database
from jobs.errors import BadFilter, TooBroad
from jobs.models import FINGERPRINT, UNSETTLED, Job
from jobs.service import registry

# What every payload of the product may name; a service declares more with `search_keys`.
_COMMON_KEYS = ("run",)
_READ_SECONDS = 2
GROUPS_AT_MOST = 100
# Beyond it a group, or a filtered list, is counted no further.
COUNTED_AT_MOST = 20_000
_TERMS = {"type": "job_type", "service": "service", "error": "fingerprint"}
_SCALAR_LENGTH = 200


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which dead letters; an empty one means all. Times are aware: `failed_after` <= finished_at < `failed_before`.

    `fingerprint`: of the error, as groups() gives it. `payload`: top-level key -> value as text; it meets a string or an integer.
    """

    job_type: str = ""
    service: str = ""
    fingerprint: str = ""
    failed_after: datetime | None = None
    failed_before: datetime | None = None
    payload: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self == DeadLetterFilter()

    def as_dict(self) -> dict[str, Any]:
        """For JSON: only what is set, times in ISO format."""
        found: dict[str, Any] = {name: getattr(self, name) for name in ("job_type", "service", "fingerprint")}
        found |= {name: at.isoformat() for name in ("failed_after", "failed_before") if (at := getattr(self, name))}
        found["payload"] = dict(self.payload)
        return {name: value for name, value in found.items() if value}

    def rows(self) -> QuerySet[Job]:
        """The dead letters meant, in no order."""
        jobs = Job.objects.filter(UNSETTLED)
        for name in ("job_type", "service"):
            if value := getattr(self, name):
                jobs = jobs.filter(**{name: value})
        if self.fingerprint:
            jobs = jobs.alias(error_kind=FINGERPRINT).filter(error_kind=self.fingerprint)
        if self.failed_after:
            jobs = jobs.filter(finished_at__gte=self.failed_after)
        if self.failed_before:
            jobs = jobs.filter(finished_at__lt=self.failed_before)
        for key, value in self.payload.items():
            jobs = jobs.filter(_holds(key, value))
        return jobs


def _holds(key: str, value: str) -> Q:
    """Containment, which the index on the payload answers."""
    meant = Q(payload__contains={key: value})
    return meant | Q(payload__contains={key: int(value)}) if _is_integer(value) else meant


def _is_integer(value: str) -> bool:
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and str(int(digits)) == digits and len(digits) < 19


# --- what a person asks for ------------------------------------------------------------------------------------------
def read_filter(asked: Mapping[str, Any]) -> DeadLetterFilter:
    """A filter from JSON or a form: the names of DeadLetterFilter, and `q`, a search text. Raises BadFilter."""
    known = {"job_type", "service", "fingerprint", "failed_after", "failed_before", "payload", "q"}
    if unknown := sorted(set(asked) - known):
        raise BadFilter(f"unknown filter: {unknown[0]}", unknown[0])
    payload = asked.get("payload") or {}
    if not isinstance(payload, Mapping):
        raise BadFilter("payload is an object of keys and values", "payload")
    found = DeadLetterFilter(
        job_type=_text(asked.get("job_type"), "job_type"),
        service=_text(asked.get("service"), "service"),
        fingerprint=_text(asked.get("fingerprint"), "fingerprint"),
        failed_after=_time(asked.get("failed_after"), "failed_after"),
        failed_before=_time(asked.get("failed_before"), "failed_before"),
        payload={key: _scalar(key, value) for key, value in payload.items()},
    )
    return _with_search(found, _text(asked.get("q"), "q"))


def _with_search(found: DeadLetterFilter, search: str) -> DeadLetterFilter:
    """Words like `type:yield_payment`, `service:YieldsService`, `error:3f0c9a12be47` and `payload.run:7`, all of which must hold."""
    for word in search.split():
        name, _, value = word.partition(":")
        if not value:
            raise BadFilter(f"{word!r} is not of the form name:value", "q")
        if name.startswith("payload."):
            key = name.removeprefix("payload.")
            found = replace(found, payload={**found.payload, key: _scalar(key, value, "q")})
        elif name in _TERMS:
            found = replace(found, **{_TERMS[name]: value})  # type: ignore[arg-type]  # all of them texts
        else:
            names = ", ".join(f"{term}:" for term in (*_TERMS, "payload.<key>"))
            raise BadFilter(f"unknown search word {name!r}; there are {names}", "q")
    return found


def searchable_keys() -> frozenset[str]:
    """The payload's keys that can be searched: the common ones, and what each service declares as `search_keys`."""
    declared = (getattr(service, "search_keys", ()) for service in registry().services)
    return frozenset(_COMMON_KEYS).union(*declared)


def _scalar(key: str, value: Any, at: str = "payload") -> str:
    if key not in searchable_keys():
        raise BadFilter(f"the payload is not searched by {key!r}, only by {', '.join(sorted(searchable_keys()))}", at)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value):
        raise BadFilter(f"payload.{key} is looked for by a text or an integer", at)
    return _text(str(value), at)


def _text(value: Any, at: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _SCALAR_LENGTH or "\x00" in value:
        raise BadFilter(f"{at} is a text of at most {_SCALAR_LENGTH} characters", at)
    return value.strip()


def _time(value: Any, at: str) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        found = value if isinstance(value, datetime) else parse_datetime(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadFilter(f"{at} is a time with its zone, like 2026-03-01T14:05:00Z", at)
    return found


# --- groups ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class DeadLetterGroup:
    """Dead letters that failed alike. `is_capped`: there are more than `count`. `error`: that of the newest, job `newest`."""

    fingerprint: str
    job_type: str
    service: str
    count: int
    is_capped: bool
    first_seen: datetime
    last_seen: datetime
    newest: int
    error: str


# One probe of jobs_job_dead_error for each kind of error, then each kind's own rows, counted so far as `cap`.
_KINDS = """
WITH RECURSIVE kind(f) AS (
  (SELECT jobs_fingerprint(job_type, last_error) FROM job_queue
   WHERE status = 'failed' AND resolution IN ('', 'retried') ORDER BY jobs_fingerprint(job_type, last_error) LIMIT 1)
  UNION ALL
  SELECT (SELECT jobs_fingerprint(q.job_type, q.last_error) FROM job_queue q
          WHERE q.status = 'failed' AND q.resolution IN ('', 'retried') AND jobs_fingerprint(q.job_type, q.last_error) > kind.f
          ORDER BY jobs_fingerprint(q.job_type, q.last_error) LIMIT 1)
  FROM kind WHERE kind.f IS NOT NULL
)
SELECT kind.f, counted.n, first.finished_at, last.finished_at, last.id
FROM (SELECT f FROM kind WHERE f IS NOT NULL LIMIT 1000) kind
CROSS JOIN LATERAL (SELECT count(*) AS n FROM (
  SELECT FROM job_queue q WHERE q.status = 'failed' AND q.resolution IN ('', 'retried')
    AND jobs_fingerprint(q.job_type, q.last_error) = kind.f LIMIT %(cap)s) few) counted
CROSS JOIN LATERAL (
  SELECT q.finished_at FROM job_queue q WHERE q.status = 'failed' AND q.resolution IN ('', 'retried')
    AND jobs_fingerprint(q.job_type, q.last_error) = kind.f ORDER BY q.finished_at, q.id LIMIT 1) first
CROSS JOIN LATERAL (
  SELECT q.finished_at, q.id FROM job_queue q WHERE q.status = 'failed' AND q.resolution IN ('', 'retried')
    AND jobs_fingerprint(q.job_type, q.last_error) = kind.f ORDER BY q.finished_at DESC, q.id DESC LIMIT 1) last
ORDER BY counted.n DESC, last.finished_at DESC, kind.f LIMIT %(groups)s
"""


def groups(chosen: DeadLetterFilter) -> list[DeadLetterGroup]:
    """The dead letters meant, by kind of error, the largest group first, at most 100 groups.

    Without a filter every group is exact up to 20,000 members; with one, the newest 20,000 that meet it are grouped. Raises TooBroad.
    """
    with bounded():
        if chosen.is_empty:
            found = database.rows(_KINDS, {"cap": COUNTED_AT_MOST + 1, "groups": GROUPS_AT_MOST})
        else:
            newest = chosen.rows().order_by("-finished_at", "-pk").values("pk")[:COUNTED_AT_MOST]
            kinds = Job.objects.filter(pk__in=newest).values(kind=FINGERPRINT).annotate(n=Count("pk"))
            seen = kinds.annotate(first=Min("finished_at"), last=Max("finished_at"), newest=Max("pk"))
            fields = ("kind", "n", "first", "last", "newest")
            found = list(seen.order_by("-n", "-last", "kind").values_list(*fields)[:GROUPS_AT_MOST])
        samples = Job.objects.in_bulk([row[4] for row in found])
    return [_group(row, samples[row[4]]) for row in found if row[4] in samples]


def _group(row: database.Row, newest: Job) -> DeadLetterGroup:
    kind, count, first_seen, last_seen, _ = row
    return DeadLetterGroup(
        fingerprint=kind,
        job_type=newest.job_type,
        service=newest.service,
        count=min(count, COUNTED_AT_MOST),
        is_capped=count > COUNTED_AT_MOST,
        first_seen=first_seen,
        last_seen=last_seen,
        newest=newest.pk,
        error=newest.last_error,
    )


# --- pages -----------------------------------------------------------------------------------------------------------
def newest_first(jobs: QuerySet[Job], *, before: int | None, limit: int) -> list[Job]:
    """One page of ended jobs, the last ended first; `before`: the last job of the page before. No page is slower than the first."""
    if before is not None:
        ended = Job.objects.filter(pk=before).values_list("finished_at", flat=True).first()
        if ended is None:
            raise BadFilter("there is no such job, or it has not ended", "before")
        jobs = jobs.filter(Q(finished_at__lt=ended) | Q(finished_at=ended, pk__lt=before), finished_at__lte=ended)
    return list(jobs.order_by("-finished_at", "-pk")[:limit])


@contextmanager
def bounded() -> Iterator[None]:
    """Reads that a person waits for: the database gives up after two seconds, and TooBroad says what to do."""
    try:
        with transaction.atomic():
            before = database.rows("SELECT current_setting('statement_timeout')")[0][0]
            database.run(f"SET LOCAL statement_timeout = '{_READ_SECONDS}s'")
            yield
            # Inside a caller's transaction the setting would outlive this block.
            database.rows("SELECT set_config('statement_timeout', %s, true)", (before,))
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooBroad(f"this search took longer than {_READ_SECONDS} s: narrow it, by type or by time") from None
        raise
