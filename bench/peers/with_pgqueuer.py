"""PgQueuer on asyncpg and uvloop; `python -m bench.peers.with_pgqueuer work` is one worker."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.driver import Client
from bench.peers.effect import truncate

_loop = uvloop.new_event_loop()
asyncio.set_event_loop(_loop)
_queries: list[Queries] = []


def _await(work: Callable[[Queries], Coroutine[Any, Any, Any]]) -> None:
    async def run() -> None:
        if not _queries:
            _queries.append(Queries(AsyncpgDriver(await asyncpg.connect())))
        await work(_queries[0])

    _loop.run_until_complete(run())


def _payload(n: int, enqueued_at: float | None, sleep: float) -> bytes:
    return json.dumps({"n": n, "at": enqueued_at, "sleep": sleep}).encode()


def single(n: int, enqueued_at: float | None, sleep: float) -> None:
    _await(lambda queries: queries.enqueue("leave", _payload(n, enqueued_at, sleep)))


def bulk(numbers: Sequence[int], sleep: float) -> None:
    for start in range(0, len(numbers), 1000):
        part = [_payload(n, None, sleep) for n in numbers[start : start + 1000]]
        _await(lambda queries, part=part: queries.enqueue(["leave"] * len(part), part, [0] * len(part)))


async def work() -> None:
    """One worker until it is told to stop. Its ten jobs of a batch share one connection for their effects."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: os._exit(0))
    effects, lock = await asyncpg.connect(), asyncio.Lock()
    pgq = PgQueuer(AsyncpgDriver(await asyncpg.connect()))

    @pgq.entrypoint("leave")
    async def leave(job: Job) -> None:
        facts = json.loads(job.payload or b"{}")
        if facts["sleep"]:
            await asyncio.sleep(facts["sleep"] / 2)
        async with lock:
            await effects.execute(
                "INSERT INTO bench_effects (n, pid, enqueued_at) VALUES ($1, $2, $3)",
                facts["n"],
                os.getpid(),
                facts["at"],
            )
        if facts["sleep"]:
            await asyncio.sleep(facts["sleep"] / 2)

    await pgq.run(batch_size=10)


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        uvloop.run(work())
    else:
        Client(
            lambda: _await(lambda queries: queries.install()),
            lambda: truncate("pgqueuer", "pgqueuer_log"),
            single,
            bulk,
        ).main()
