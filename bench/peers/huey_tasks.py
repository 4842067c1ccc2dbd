"""Huey's instance and the measured job: in a module of its own, for the consumer knows a task by its module's name."""

import redis
from huey import RedisHuey

from bench.peers.effect import REDIS_SOCKET, leave

_pool = redis.ConnectionPool(connection_class=redis.UnixDomainSocketConnection, path=REDIS_SOCKET)
huey = RedisHuey("bench", connection_pool=_pool, results=False, immediate=False)


@huey.task()
def leave_effect(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave(n, enqueued_at, sleep)
