"""Dramatiq with Redis. No call for many: a loop."""

from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.driver import Client
from bench.peers.effect import REDIS_SOCKET, leave

dramatiq.set_broker(RedisBroker(url=f"unix://{REDIS_SOCKET}"))


@dramatiq.actor(actor_name="leave")
def leave_effect(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave(n, enqueued_at, sleep)


def single(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave_effect.send(n, enqueued_at, sleep)


def bulk(numbers: Sequence[int], sleep: float) -> None:
    for n in numbers:
        single(n, None, sleep)


if __name__ == "__main__":
    Client(lambda: None, lambda: None, single, bulk).main()
