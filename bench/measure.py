"""One contestant's measurements: drain, enqueue, idle pick-up, and what a kill -9 of everything costs. Every wait has an end."""

import json
import statistics
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.contestants import Contestant
from bench.processes import TooLate, Workers, await_that, call, running
from bench.servers import Servers

_CLIENT_SECONDS = 120.0
_DRAIN_SECONDS = 120.0
_START_SECONDS = 40.0
KILL_JOBS, KILL_SLEEP = 400, 0.05
KILL_AT = 100  # effects seen when everything is killed
KILL_WAIT_SECONDS = 75.0


@dataclass(frozen=True)
class Round:
    """One round's figures; None: not measured."""

    drain: float | None = None
    single: float | None = None
    bulk: float | None = None
    pickup_p50_ms: float | None = None
    pickup_p95_ms: float | None = None


@dataclass(frozen=True)
class KillFigures:
    """Of 400 jobs under way when everything was killed: effects that never came within the wait, effects that came twice."""

    lost: int
    doubled: int
    seconds: float  # from the restart until the last effect came


class Stand:
    """Where one contestant runs: its database, its environment, its log."""

    def __init__(self, servers: Servers, contestant: Contestant) -> None:
        self._servers = servers
        self.contestant = contestant
        self.environment = {**servers.environment(contestant.database), **contestant.environment}
        self.log: Path = servers.directory / f"{contestant.name}.log"
        self._effects = servers.connect(contestant.database)

    def client(self, *words: object) -> dict[str, float]:
        said = call([*self.contestant.client, *map(str, words)], self.environment, seconds=_CLIENT_SECONDS)
        lines = [line for line in said.splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}

    def clean(self) -> None:
        self._servers.flush_redis()
        self._effects.execute("TRUNCATE bench_effects")
        self.client("clean")

    def settle(self) -> None:
        """The same start for everybody: statistics fresh, nothing left to write."""
        self._effects.execute("VACUUM ANALYZE")
        self._effects.execute("CHECKPOINT")

    def count(self) -> int:
        return int(self._one("SELECT count(*) FROM bench_effects"))

    def _one(self, sql: str) -> float:
        row = self._effects.execute(sql).fetchone()
        return row[0] if row else 0

    def workers(self) -> AbstractContextManager[Workers]:
        return running(self.contestant.workers, self.environment, self.log)

    def await_effects(self, wanted: int, *, seconds: float, workers: Workers | None = None) -> None:
        def done() -> bool:
            if workers is not None and not workers.are_alive():
                raise RuntimeError(f"{self.contestant.title}: a worker ended\n{self.last_words()}")
            return self.count() >= wanted

        await_that(done, seconds=seconds, what=f"{self.contestant.title}: {wanted} effects", every=0.5)

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""

    # --- the measurements ------------------------------------------------------------------------------------------
    def drain(self) -> float:
        """Jobs a second, from the moment a tenth is done (all workers are up) to the last."""
        self.clean()
        self.client("bulk", self.contestant.drain, 0)
        self.settle()
        with self.workers() as workers:
            self.await_effects(self.contestant.drain, seconds=_DRAIN_SECONDS, workers=workers)
        return self.drain_rate(self.contestant.drain)

    def drain_rate(self, jobs: int) -> float:
        first = jobs // 10
        begun = f"(SELECT done_at FROM bench_effects ORDER BY done_at OFFSET {first} LIMIT 1)"
        found = self._effects.execute(f"SELECT count(*), extract(epoch FROM max(done_at) - {begun}) FROM bench_effects")
        count, seconds = found.fetchone() or (0, 0)
        return (count - first) / float(seconds)

    def single(self) -> float:
        """Jobs a second one client enqueues one by one; no worker runs."""
        self.clean()
        self.settle()
        return self.contestant.single / self.client("single", self.contestant.single)["seconds"]

    def bulk(self) -> float:
        """Rows a second in the quickest call for many; no worker runs."""
        self.clean()
        self.settle()
        return self.contestant.bulk / self.client("bulk", self.contestant.bulk, 0)["seconds"]

    def pickup(self) -> tuple[float, float]:
        """Milliseconds from before the enqueueing call to the effect, p50 and p95, all workers idle."""
        self.clean()
        with self.workers() as workers:
            self.client("bulk", 8, 0)
            self.await_effects(8, seconds=_START_SECONDS, workers=workers)
            time.sleep(2)  # the slowest to start are idle by then, too
            self.client("pickup", self.contestant.pickups, self.contestant.gap)
            self.await_effects(8 + self.contestant.pickups, seconds=_START_SECONDS, workers=workers)
        return self.pickup_percentiles()

    def pickup_percentiles(self) -> tuple[float, float]:
        late = "(extract(epoch FROM done_at) - enqueued_at) * 1000"
        found = self._effects.execute(f"SELECT {late} FROM bench_effects WHERE enqueued_at IS NOT NULL").fetchall()
        cuts = statistics.quantiles([float(value) for (value,) in found], n=100, method="inclusive")
        return cuts[49], cuts[94]

    def round(self) -> Round:
        """Everything but the kill, once."""
        measured = Round(drain=self.drain())
        if self.contestant.single:
            measured = replace(measured, single=self.single())
        if self.contestant.bulk:
            measured = replace(measured, bulk=self.bulk())
        if self.contestant.pickups:
            p50, p95 = self.pickup()
            measured = replace(measured, pickup_p50_ms=p50, pickup_p95_ms=p95)
        return measured

    def kill(self) -> KillFigures:
        """SIGKILL to all processes in the middle of 400 jobs of 50 ms, a restart a second later, a bounded wait."""
        self.clean()
        self.client("bulk", KILL_JOBS, KILL_SLEEP)
        with self.workers() as workers:
            self.await_effects(KILL_AT, seconds=_START_SECONDS, workers=workers)
            workers.kill()
        time.sleep(1)
        with self.workers() as workers:
            restarted = time.time()
            try:
                await_that(
                    lambda: self._distinct() >= KILL_JOBS,
                    seconds=KILL_WAIT_SECONDS,
                    what="every effect",
                    every=0.5,
                )
                time.sleep(3)  # for those that come twice
            except TooLate:
                pass
            workers.kill()
        distinct = self._distinct()
        last = float(self._one("SELECT extract(epoch FROM max(done_at)) FROM bench_effects"))
        return KillFigures(KILL_JOBS - distinct, self.count() - distinct, max(0.0, last - restarted))

    def _distinct(self) -> int:
        return int(self._one("SELECT count(DISTINCT n) FROM bench_effects"))

    def close(self) -> None:
        self._effects.close()
