"""Procrastinate on psycopg."""

from collections.abc import Sequence

import procrastinate

from bench.driver import Client
from bench.peers.effect import leave, truncate

app = procrastinate.App(
    connector=procrastinate.PsycopgConnector(conninfo="", max_size=8), import_paths=["bench.peers.with_procrastinate"]
)


@app.task(name="leave")
def leave_effect(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave(n, enqueued_at, sleep)


def setup() -> None:
    app.schema_manager.apply_schema()


def single(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave_effect.defer(n=n, enqueued_at=enqueued_at, sleep=sleep)


def bulk(numbers: Sequence[int], sleep: float) -> None:
    for start in range(0, len(numbers), 1000):
        leave_effect.batch_defer(
            *({"n": n, "enqueued_at": None, "sleep": sleep} for n in numbers[start : start + 1000])
        )


if __name__ == "__main__":
    with app.open():
        Client(setup, lambda: truncate("procrastinate_jobs", "procrastinate_workers"), single, bulk).main()
