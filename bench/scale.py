"""The queue on a full table: claims, drain, idle pick-up, dashboard figures and a worker's memory, beside the same on an empty one.

Run as `make bench-scale` (python -m bench.scale). Prints Markdown; docs/scaling.md carries the numbers of a full run.
"""

import argparse
import json
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench import contestants, report
from bench.measure import Stand
from bench.processes import Workers, call
from bench.servers import Servers, servers

_FILL_CHUNK = 500_000
_COMPLETED = """
INSERT INTO job_queue (job_type, service, payload, status, attempts, processed_by, run_at, created_at, started_at, finished_at)
SELECT '{job_type}', 'bench', jsonb_build_object('n', 0), 'completed', 1, 'host:1', at, at, at, at
FROM (SELECT now() - interval '30 days' * (i::float8 / {total}) AS at FROM generate_series({first}, {last}) AS i) made
"""
_PENDING = """
INSERT INTO job_queue (job_type, service, payload, run_at)
SELECT '{job_type}', 'bench', jsonb_build_object('n', i), now() + interval '{delay}' + i * interval '1 microsecond'
FROM generate_series({first}, {last}) AS i
"""


@dataclass(frozen=True)
class Figures:
    """One table's: claim of a package of 20 in ms, drain in jobs/s, idle pick-up in ms, dashboard figures in ms."""

    rows: str
    claim_p50: float
    claim_p95: float
    drain: float
    pickup_p50: float
    pickup_p95: float
    figures: float


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with servers() as running:
        running.create_database("bench_ours")
        stand = Stand(running, replace(contestants.ours()[0], pickups=options.pickups))
        stand.client("setup")
        scale = Scale(running, stand, drain=options.drain, claims=options.claims)
        empty = scale.measure(completed=0, pending=0)
        _say(f"empty table: {empty}")
        polling = scale.polling()
        _say(f"without LISTEN: {polling}")
        full = scale.measure(completed=options.completed, pending=options.pending)
        _say(f"full table: {full}")
        stand.clean()
        curve = scale.memory(options.memory_jobs)
        facts = running.facts()
        stand.close()
    print(f"Machine: {report.machine()}. Server: {', '.join(f'{k} {v}' for k, v in facts.items())}.\n")
    print(_compared(empty, full))
    print(
        "\nIdle pick-up without LISTEN (JOB_LISTEN=0, JOB_POLL_SECONDS at its default): p50 {:.0f} ms, p95 {:.0f} ms.".format(
            *polling
        )
    )
    print(f"\nMemory of one worker process through {options.memory_jobs:,} jobs (batch handler):\n")
    print(_curve(curve))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--completed", type=int, default=5_000_000)
    parser.add_argument("--memory-jobs", type=int, default=1_000_000)
    parser.add_argument("--drain", type=int, default=30_000, help="jobs of a drain")
    parser.add_argument("--claims", type=int, default=400)
    parser.add_argument("--pickups", type=int, default=100)
    return parser.parse_args()


class Scale:
    def __init__(self, running: Servers, stand: Stand, *, drain: int, claims: int) -> None:
        self._stand, self._drain, self._claims = stand, drain, claims
        self._connection = running.connect(stand.contestant.database)

    def measure(self, *, completed: int, pending: int) -> Figures:
        """Fill the table so, then measure. Without `pending` rows, those a measurement takes are enqueued for it and no more."""
        stand = self._stand
        stand.clean()
        self._fill(_COMPLETED, completed)
        # Idle and due cannot be had at once: for the pick-up the pending rows are due tomorrow.
        self._fill(_PENDING, pending, delay="1 day")
        self._settle()
        pickup_p50, pickup_p95 = self._pickup()
        # Written anew, as jobs that fall due are: moved by an UPDATE they would lie on twice the pages.
        self._connection.execute("DELETE FROM job_queue WHERE status = 'pending'")
        self._settle()
        self._fill(_PENDING, pending, delay="-1 day")
        self._settle()
        figures = self._probe("figures", 5)
        if not pending:
            self._fill(_PENDING, self._claims * 20, delay="-1 day")
            self._settle()
        claims = self._probe("claim", self._claims)
        self._settle()
        drain = self._measure_drain(already=pending > 0)
        return Figures(
            rows=f"{completed:,} completed, {pending:,} pending",
            claim_p50=statistics.median(claims),
            claim_p95=statistics.quantiles(claims, n=20, method="inclusive")[18],
            drain=drain,
            pickup_p50=pickup_p50,
            pickup_p95=pickup_p95,
            figures=statistics.median(figures),
        )

    def _fill(self, sql: str, rows: int, **values: str) -> None:
        for first in range(1, rows + 1, _FILL_CHUNK):
            last = min(rows, first + _FILL_CHUNK - 1)
            self._connection.execute(
                sql.format(job_type="bench_per_job", total=rows, first=first, last=last, **values)  # type: ignore[arg-type]
            )

    def _settle(self) -> None:
        self._connection.execute("VACUUM ANALYZE job_queue")
        self._connection.execute("CHECKPOINT")

    def _probe(self, what: str, times: int) -> list[float]:
        said = call(
            [sys.executable, "-W", "ignore", "-m", "bench.probe", what, str(times)],
            self._stand.environment,
            seconds=300,
        )
        found: list[float] = json.loads(said.splitlines()[-1])
        return found

    def _pickup(self) -> tuple[float, float]:
        """Like the bench's own, on the table as it is."""
        stand = self._stand
        self._connection.execute("TRUNCATE bench_effects")
        with stand.workers() as workers:
            stand.client("bulk", 8, 0)
            stand.await_effects(8, seconds=60, workers=workers)
            time.sleep(2)
            stand.client("pickup", stand.contestant.pickups, stand.contestant.gap)
            stand.await_effects(8 + stand.contestant.pickups, seconds=60, workers=workers)
        return stand.pickup_percentiles()

    def polling(self) -> tuple[float, float]:
        """Idle pick-up by polling alone, on an empty table."""
        stand = self._stand
        listening, stand.environment = stand.environment, {**stand.environment, "JOB_LISTEN": "0"}
        stand.contestant, contestant = replace(stand.contestant, gap=1.2, pickups=25), stand.contestant
        try:
            stand.clean()
            return self._pickup()
        finally:
            stand.environment, stand.contestant = listening, contestant

    def _measure_drain(self, *, already: bool) -> float:
        self._connection.execute("TRUNCATE bench_effects")
        if not already:
            self._stand.client("bulk", self._drain, 0)
            self._settle()
        with self._stand.workers() as workers:
            self._stand.await_effects(self._drain, seconds=180, workers=workers)
            workers.kill()
        return self._stand.drain_rate(self._drain)

    def memory(self, jobs: int) -> list[tuple[int, float]]:
        """One worker, batch handler: (jobs done, MB resident) about thirty times on the way."""
        stand = self._stand
        stand.environment |= {"JOB_CONCURRENCY": "1"}
        self._connection.execute("TRUNCATE bench_effects")
        self._fill(_PENDING.replace("{job_type}", "bench_batch"), jobs, delay="-1 day")
        self._settle()
        curve: list[tuple[int, float]] = []
        with stand.workers() as workers:
            deadline = time.monotonic() + 60 + jobs / 500
            while (done := stand.count()) < jobs:
                if time.monotonic() > deadline or not workers.are_alive():
                    _say(f"stopped at {done:,} jobs\n{stand.last_words()}")
                    break
                if done and (not curve or done - curve[-1][0] >= jobs / 30):
                    curve.append((done, self._worker_mb(workers)))
                time.sleep(0.5)
            curve.append((stand.count(), self._worker_mb(workers)))
        return curve

    def _worker_mb(self, workers: Workers) -> float:
        """The beating worker's own resident memory, by the operating system."""
        sql = "SELECT pid FROM jobs_worker ORDER BY heartbeat_at DESC LIMIT 1"
        (pid,) = self._connection.execute(sql).fetchone() or (0,)
        for member in workers.members():
            if member.pid == pid:
                return float(member.memory_info().rss) / 1e6
        raise RuntimeError("no worker beats")


def _compared(empty: Figures, full: Figures) -> str:
    def row(title: str, pick: Callable[[Figures], float], unit: str) -> str:
        before, after = pick(empty), pick(full)
        return f"| {title} | {before:,.2f} {unit} | {after:,.2f} {unit} | {(after / before - 1) * 100:+.0f} % |"

    return "\n".join(
        (
            f"| | empty table | {full.rows} | change |",
            "| --- | --- | --- | --- |",
            row("claim of 20, p50", lambda one: one.claim_p50, "ms"),
            row("claim of 20, p95", lambda one: one.claim_p95, "ms"),
            row("drain, a commit per job", lambda one: one.drain, "jobs/s"),
            row("idle pick-up, p50", lambda one: one.pickup_p50, "ms"),
            row("idle pick-up, p95", lambda one: one.pickup_p95, "ms"),
            row("dashboard figures", lambda one: one.figures, "ms"),
        )
    )


def _curve(curve: Sequence[tuple[int, float]]) -> str:
    lines = ["| jobs done | MB resident |", "| --- | --- |"]
    return "\n".join(lines + [f"| {done:,} | {megabytes:.1f} |" for done, megabytes in curve])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
