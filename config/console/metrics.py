"""The figures for Prometheus, all from SQL, so that every web process gives the same answer. Reads only."""

from collections.abc import Iterator
from typing import Any

from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bonds.models import ListenerCursor, Wallet
from config.console import figures
from jobs import metrics


def registry() -> CollectorRegistry:
    """A registry of our own: nothing of the process it runs in, everything of the product."""
    made = CollectorRegistry()
    made.register(ProductCollector())
    return made


class ProductCollector(Collector):
    """Asked at each scrape. Amounts are base units, as floating point like every sample: for alarms, not for books."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from _queue()
        yield from _money()
        yield from _machines()

    def describe(self) -> list[Any]:
        return []  # registering must not touch the database


def _gauge(name: str, text: str, labels: list[str], samples: list[tuple[list[str], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _queue() -> Iterator[GaugeMetricFamily]:
    found = metrics.figures()
    yield _gauge("jobs", "Jobs by status", ["status"], [([s], n) for s, n in found.by_status.items()])
    yield _gauge(
        "jobs_open",
        "Jobs not completed, by type and status",
        ["job_type", "status"],
        [([kind, status], n) for kind, counts in found.by_type.items() for status, n in counts.items()],
    )
    attempts = {"stale": found.stale_results, "rescued": found.rescues, "interrupted": found.interruptions}
    yield _gauge("job_attempts", "Attempts kept in the history", ["outcome"], [([o], n) for o, n in attempts.items()])
    for name, text, number in (
        ("jobs_due", "Jobs that may run now", found.due),
        ("jobs_oldest_due_seconds", "Age of the oldest due job", found.oldest_due_seconds),
        ("jobs_dead_letters", "Failed jobs a person has not settled", found.dead_letters),
        ("jobs_oldest_dead_letter_seconds", "Age of the oldest dead letter", found.oldest_dead_letter_seconds),
        ("jobs_completed_last_minute", "Jobs completed in the last minute", found.completed_last_minute),
        ("workers_alive", "Workers with a fresh heartbeat", found.workers_alive),
    ):
        yield _gauge(name, text, [], [([], number)])
    yield from _times(metrics.timings())


def _times(timings: list[metrics.Timings]) -> Iterator[GaugeMetricFamily]:
    """Of the last quarter of an hour; `job_type` is empty for a whole service."""
    whose = [(timing, [timing.service, timing.job_type]) for timing in timings]
    for name, text, part in (
        ("jobs_wait_seconds", "From when a job might have begun to when it did", "wait"),
        ("jobs_processing_seconds", "How long the last attempt took", "processing"),
    ):
        samples = [
            ([*who, quantile], getattr(known, field))
            for timing, who in whose
            if (known := getattr(timing, part))
            for quantile, field in (("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99"))
        ]
        yield _gauge(name, text, ["service", "job_type", "quantile"], samples)
    labels = ["service", "job_type"]
    yield _gauge("jobs_per_second", "Jobs completed", labels, [(who, t.per_second) for t, who in whose])
    yield _gauge("jobs_error_rate", "Failed attempts, 0 to 1", labels, [(who, t.error_rate) for t, who in whose])
    yield _gauge(
        "jobs_last_success_seconds",
        "Since a job was last completed",
        labels,
        [(who, t.last_success_seconds) for t, who in whose if t.last_success_seconds is not None],
    )


def _money() -> Iterator[GaugeMetricFamily]:
    rows = figures.open_by_status()
    labels = ["plt_token_id", "status"]
    yield _gauge("payments_open", "Payments not paid", labels, [([r.plt_token_id, r.status], r.count) for r in rows])
    yield _gauge("payments_open_units", "What they owe", labels, [([r.plt_token_id, r.status], r.units) for r in rows])
    wallets = Wallet.objects.values_list("name", "halted_at")
    yield _gauge("wallet_halted", "1: nothing is signed", ["wallet"], [([n], float(bool(at))) for n, at in wallets])


def _machines() -> Iterator[GaugeMetricFamily]:
    now = timezone.now()
    cursors = list(ListenerCursor.objects.all())
    heights = [([str(cursor.bond_id)], float(cursor.height)) for cursor in cursors]
    ages = [([str(cursor.bond_id)], (now - cursor.block_time).total_seconds()) for cursor in cursors]
    yield _gauge("listener_height", "Last block read", ["bond"], heights)
    yield _gauge("listener_block_age_seconds", "Age of the last block read", ["bond"], ages)
    behind = [([str(c.bond_id)], float(max(0, c.head_height - c.height))) for c in cursors if c.head_height is not None]
    silent = [([str(c.bond_id)], (now - c.updated_at).total_seconds()) for c in cursors]
    yield _gauge("listener_blocks_behind", "Final blocks not read yet when the listener last looked", ["bond"], behind)
    yield _gauge("listener_silent_seconds", "Since the listener last looked", ["bond"], silent)
    unread: list[tuple[list[str], float]] = [([], float(len(figures.never_read())))]
    yield _gauge("listener_bonds_never_read", "Bonds the listener has not begun to read", [], unread)
    parked: list[tuple[list[str], float]] = [([], float(figures.parked_events()))]
    yield _gauge("listener_parked_events", "Events nobody could read, not settled", [], parked)
    machines = metrics.machines()
    memory = [([process.name], float(process.rss_bytes)) for process in machines.processes]
    yield _gauge("worker_memory_bytes", "Memory of a worker at its last heartbeat", ["worker"], memory)
    states = [([state], float(count)) for state, count in machines.connections.items()]
    yield _gauge("database_connections", "Connections of this database", ["state"], states)
    oldest: list[tuple[list[str], float]] = [([], machines.oldest_transaction_seconds)]
    yield _gauge("database_oldest_transaction_seconds", "Age of the oldest transaction", [], oldest)
    for name, text, field in (
        ("table_dead_rows", "Rows vacuum has yet to clean away", "dead_rows"),
        ("table_size_bytes", "Size with indexes", "size_bytes"),
    ):
        tables = [([table.name], float(getattr(table, field))) for table in machines.tables]
        yield _gauge(name, text, ["table"], tables)
