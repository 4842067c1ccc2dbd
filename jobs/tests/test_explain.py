"""The plans of the queue's queries, as PostgreSQL ran them on a full table: the intended index, no sequential scan, few rows read."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from jobs import database, metrics, queue, rescue
from jobs.models import Job
from jobs.queue import Claimant
from jobs.service import registry

pytestmark = pytest.mark.django_db

SNOOZED, PROCESSING, FAILED = 300, 80, 120
TYPES = ("probe", "probe_quick", "probe_once")
FILL = """
INSERT INTO job_queue (job_type, service, status, attempts, processed_by, run_at, finished_at, unique_key)
SELECT (%(types)s::text[])[1 + i %% 3], 'ProbeService', 'completed', 1, 'host:1', at, at, 'key:' || i
FROM (SELECT i, now() - interval '60 days' * (i::float8 / %(rows)s) AS at FROM generate_series(1, %(rows)s) AS i) made;
INSERT INTO job_queue (job_type, service, run_at, priority)
SELECT (%(types)s::text[])[1 + i %% 3], 'ProbeService', now() - interval '1 hour' + i * interval '1 ms', i %% 2
FROM generate_series(1, %(due)s) AS i;
INSERT INTO job_queue (job_type, service, run_at, wait_reason)
SELECT 'probe', 'ProbeService', now() + interval '1 hour', 'later' FROM generate_series(1, %(snoozed)s);
INSERT INTO job_queue (job_type, service, status, attempts, worker_id, lease_token, lease_expires_at, started_at)
SELECT 'probe_quick', 'ProbeService', 'processing', 1, gen_random_uuid(), gen_random_uuid(), now() - interval '1 minute', now()
FROM generate_series(1, %(processing)s);
INSERT INTO job_queue (job_type, service, status, attempts, finished_at, last_error)
SELECT 'probe', 'ProbeService', 'failed', 1, now() - i * interval '1 minute', 'broken' FROM generate_series(1, %(failed)s) AS i;
"""


@dataclass(frozen=True)
class Full:
    """How many rows are completed, and how many wait to be done."""

    completed: int
    due: int


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(Full(60_000, 1_000), id="mostly-completed"),
        pytest.param(Full(10_000, 40_000), id="flooded"),
        pytest.param(Full(700_000, 300_000), id="a-million", marks=pytest.mark.slow),
    ],
)
def full_table(request, django_db_setup, django_db_blocker) -> Iterator[Full]:
    """The table with so many rows, committed and vacuumed as autovacuum would have."""
    full: Full = request.param
    counts = {"due": full.due, "snoozed": SNOOZED, "processing": PROCESSING, "failed": FAILED}
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(FILL, {"types": list(TYPES), "rows": full.completed, **counts})
        cursor.execute("VACUUM ANALYZE job_queue")
    yield full
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE job_queue RESTART IDENTITY CASCADE")


@dataclass(frozen=True)
class Scan:
    """One node of a plan that reads job_queue. `rows`: read, those thrown away included. `index` "": none."""

    kind: str
    index: str
    rows: float


@dataclass(frozen=True)
class Plans:
    scans: list[Scan]

    @property
    def indexes(self) -> set[str]:
        return {scan.index for scan in self.scans if scan.index}

    @property
    def rows(self) -> float:
        return sum(scan.rows for scan in self.scans)

    def assert_narrow(self, *, at_most: int) -> None:
        """No sequential scan of job_queue, and no more of its rows read than that."""
        assert self.scans, "no plan was seen"
        assert not [scan for scan in self.scans if scan.kind == "Seq Scan"], self.scans
        assert self.rows <= at_most, self.scans


Watch = Callable[[], AbstractContextManager[Plans]]


@pytest.fixture(params=["force_custom_plan", "force_generic_plan"])
def watch(request, full_table) -> Iterator[Watch]:
    """Collects the plans of all that runs in its block: planned for the values, and planned once for any, as prepared statements are."""
    request.getfixturevalue("db")
    raw = database.raw_connection()
    threshold = raw.prepare_threshold
    raw.prepare_threshold = 0
    plans: Plans | None = None

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        head, _, plan = (notice.message_primary or "").partition("plan:\n")
        if plans is not None and head.startswith("duration:"):
            plans.scans.extend(scans(json.loads(plan)["Plan"]))

    @contextmanager
    def watching() -> Iterator[Plans]:
        nonlocal plans
        with connection.cursor() as cursor:
            cursor.execute("LOAD 'auto_explain'")
            cursor.execute(
                "SET LOCAL auto_explain.log_min_duration = 0; SET LOCAL auto_explain.log_analyze = on;"
                "SET LOCAL auto_explain.log_format = json; SET LOCAL auto_explain.log_level = notice;"
                f"SET LOCAL client_min_messages = notice; SET LOCAL plan_cache_mode = {request.param}"
            )
        plans = Plans([])
        try:
            yield plans
            database.rows("SELECT 1")  # a SELECT tells its plan only when its portal gives way to the next
        finally:
            plans = None

    raw.add_notice_handler(hear)
    yield watching
    raw.remove_notice_handler(hear)
    raw.prepare_threshold = threshold


def scans(node: dict[str, object]) -> Iterator[Scan]:
    """The nodes of the plan that read job_queue or one of its indexes, with what they read in all their loops."""
    below: list[dict[str, object]] = node.get("Plans", [])  # type: ignore[assignment]
    for child in below:
        yield from scans(child)
    kind, index = str(node["Node Type"]), str(node.get("Index Name", ""))
    if "Scan" in kind and (node.get("Relation Name") == "job_queue" or index.startswith(("jobs_job", "job_queue"))):
        read = float(node.get("Actual Rows", 0)) + float(node.get("Rows Removed by Filter", 0))  # type: ignore[arg-type]
        yield Scan(kind, index, read * float(node.get("Actual Loops", 1)))  # type: ignore[arg-type]


def test_the_claim_reads_a_package_and_one_head_per_type(watch: Watch):
    with watch() as plans:
        claimed = queue.claim(Claimant(uuid.uuid4(), "host:1"), limit=20, types=registry().served(()))
    assert claimed
    assert plans.indexes == {"jobs_job_due", "job_queue_pkey"}
    plans.assert_narrow(at_most=3 * 20 + 2 * len(registry().types))


def test_a_claim_that_finds_nothing_due_reads_nothing(watch: Watch):
    served = [registry().type_of("probe_steps")]
    with watch() as plans:
        assert queue.claim(Claimant(uuid.uuid4(), "host:1"), limit=20, types=served) == []
    plans.assert_narrow(at_most=0)


def test_the_fenced_end_of_a_job_reads_its_row_alone(watch: Watch):
    (job,) = queue.claim(Claimant(uuid.uuid4(), "host:1"), limit=1, types=[registry().type_of("probe")])
    with watch() as plans:
        queue.fence(job)
        queue.complete(job)
    assert plans.indexes == {"job_queue_pkey"}
    plans.assert_narrow(at_most=2)


def test_the_rescue_reads_what_is_being_processed(watch: Watch):
    with watch() as plans:
        assert rescue.rescue(quick_types=["probe_quick"]) == PROCESSING
    assert "jobs_job_leased" in plans.indexes
    plans.assert_narrow(at_most=6 * PROCESSING)


def test_unknown_types_are_found_by_one_probe_per_type(watch: Watch):
    with watch() as plans:
        assert rescue.reject_unknown_types(registry().types) == 0
    assert plans.indexes == {"jobs_job_due"}
    plans.assert_narrow(at_most=2 * len(TYPES) + 2)


def test_pruning_reads_little_more_than_it_deletes(watch: Watch, settings):
    settings.JOB_RETENTION_DAYS = 30
    with watch() as plans:
        assert rescue.prune(limit=500) == 500
    assert "jobs_job_completed" in plans.indexes
    plans.assert_narrow(at_most=10 * 500 + 1_000)


def test_pruning_with_nothing_old_enough_reads_nothing(watch: Watch, settings):
    settings.JOB_RETENTION_DAYS = 90
    with watch() as plans:
        assert rescue.prune(limit=500) == 0
    plans.assert_narrow(at_most=0)


def test_the_dashboard_reads_what_is_open_and_nothing_that_was_completed_long_ago(watch: Watch, full_table: Full):
    with watch() as plans:
        figures = metrics.figures()
    assert figures.by_status["pending"] == pytest.approx(full_table.due + SNOOZED, rel=0.05)
    if full_table.completed > full_table.due:  # of a table that is mostly open, reading all of it is no mistake
        plans.assert_narrow(at_most=10 * (full_table.due + SNOOZED + PROCESSING + FAILED))


def test_a_held_unique_key_is_found_by_its_index(watch: Watch):
    with watch() as plans:
        job = queue.enqueue("probe", {}, unique_key="key:3")
    assert job.status == "completed"
    assert plans.indexes == {"jobs_job_unique_key"}
    plans.assert_narrow(at_most=1)


def test_a_plan_that_reads_the_table_is_noticed(watch: Watch):
    with watch() as plans:
        assert Job.objects.filter(note="nowhere", created_at__lt=timezone.now() + timedelta(days=1)).count() == 0
    with pytest.raises(AssertionError):
        plans.assert_narrow(at_most=100_000_000)
