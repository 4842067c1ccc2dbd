"""Huey with Redis. No call for many: a loop."""

from collections.abc import Sequence

from bench.driver import Client
from bench.peers.huey_tasks import leave_effect


def single(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave_effect(n, enqueued_at, sleep)


def bulk(numbers: Sequence[int], sleep: float) -> None:
    for n in numbers:
        single(n, None, sleep)


if __name__ == "__main__":
    Client(lambda: None, lambda: None, single, bulk).main()
