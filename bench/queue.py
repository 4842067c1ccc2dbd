"""Measures this queue beside the others it could be replaced with, prints the table and writes docs/performance.md.

Run as `make bench` (python -m bench.queue). One run, one machine, one PostgreSQL with every commit on disk. The rounds of all contestants
are interleaved, so that a slow minute of the machine hits everybody.
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from bench import report
from bench.contestants import PEERS_PYTHON, Contestant, ceilings, ours, peers
from bench.measure import KillFigures, Round, Stand
from bench.processes import ROOT, TooLate
from bench.servers import Servers, servers


@dataclass
class Result:
    """What one contestant showed. `failure`: why a figure is missing."""

    contestant: Contestant
    rounds: list[Round] = field(default_factory=list)
    kill: KillFigures | None = None
    failure: str = ""


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended
    busy, started = psutil.getloadavg()[1], time.monotonic()
    with servers() as running:
        results = [Result(contestant) for contestant in _contestants(options)]
        stands = _prepare(running, results)
        facts = running.facts()

        def keep() -> None:
            """What there is so far: an hour's run that is cut short has not been for nothing."""
            if options.out:
                minutes = (time.monotonic() - started) / 60
                text = report.document(
                    results, facts, rounds=options.rounds, share=options.share, busy=busy, minutes=minutes
                )
                Path(options.out).write_text(text)

        for number in range(1, options.rounds + 1):
            for result in results:
                _measure_round(stands, result, number)
            keep()
        for result in results:
            if options.kill and result.contestant.kill:
                _measure_kill(stands, result)
                keep()
        for stand in stands.values():
            stand.close()
    print(report.table(results))
    print(report.verdicts(results))
    if options.out:
        print(f"\nwritten to {options.out}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.queue", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the jobs, one round, no kill, writes nothing")
    parser.add_argument("--share", type=float, default=1.0, help="this share of every contestant's jobs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="names, separated by commas: only contestants whose name begins so")
    parser.add_argument("--no-peers", action="store_true", help="this queue and the raw ceilings only")
    parser.add_argument("--no-kill", dest="kill", action="store_false")
    parser.add_argument("--out", default=str(ROOT / "docs" / "performance.md"), help="empty: print only")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.share, options.out, options.kill = 1, 0.2, "", False
    if options.only or options.no_peers:
        options.out = "" if options.out.endswith("docs/performance.md") else options.out
    return options


def _contestants(options: argparse.Namespace) -> list[Contestant]:
    chosen = [*ours(), *ceilings(), *([] if options.no_peers else peers())]
    if options.only:
        names = tuple(options.only.split(","))
        chosen = [contestant for contestant in chosen if contestant.name.startswith(names)]
    return [_sized(contestant, options.share) for contestant in chosen]


def _sized(contestant: Contestant, share: float) -> Contestant:
    return replace(
        contestant,
        drain=int(contestant.drain * share),
        bulk=int(contestant.bulk * share),
        single=int(contestant.single * share),
        pickups=min(contestant.pickups, int(contestant.pickups * share) + 20) if contestant.pickups else 0,
    )


def _prepare(running: Servers, results: Sequence[Result]) -> dict[str, Stand]:
    """Databases and tables; a contestant that cannot be set up gets its failure noted and no stand."""
    stands: dict[str, Stand] = {}
    made: set[str] = set()
    for result in results:
        contestant = result.contestant
        if contestant.needs_redis and running.redis_socket is None:
            result.failure = "not run: no redis-server"
            continue
        if contestant.is_peer and not PEERS_PYTHON.exists():
            result.failure = "not run: requirements-bench.txt is not installed"
            continue
        if is_new := contestant.database not in made:
            running.create_database(contestant.database)
            made.add(contestant.database)
        stand = Stand(running, contestant)
        with _Noting(result, "setup"):
            if is_new:
                stand.client("setup")
            stands[contestant.name] = stand
    return stands


def _measure_round(stands: dict[str, Stand], result: Result, number: int) -> None:
    if not result.failure and (stand := stands.get(result.contestant.name)):
        with _Noting(result, f"round {number}"):
            measured = stand.round()
            result.rounds.append(measured)
            print(
                f"round {number}  {result.contestant.title}: {report.one_line(measured)}", file=sys.stderr, flush=True
            )


def _measure_kill(stands: dict[str, Stand], result: Result) -> None:
    if not result.failure and (stand := stands.get(result.contestant.name)):
        with _Noting(result, "kill -9"):
            result.kill = stand.kill()
            print(f"kill -9  {result.contestant.title}: {result.kill}", file=sys.stderr, flush=True)


class _Noting:
    """A contestant that fails is noted and does not stop the others."""

    def __init__(self, result: Result, what: str) -> None:
        self._result, self._what = result, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, RuntimeError | TooLate | OSError | KeyError | ValueError):
            return False
        self._result.failure = f"{self._what}: {str(error).strip().splitlines()[-1][:200]}"
        print(f"{self._result.contestant.title}: {self._what}: {error}", file=sys.stderr, flush=True)
        return True


if __name__ == "__main__":
    main()
