"""Celery with Redis, acknowledging late. No call for many: a loop."""

from collections.abc import Sequence

from celery import Celery

from bench.driver import Client
from bench.peers.effect import REDIS_SOCKET, leave

app = Celery("bench.peers.with_celery", broker=f"redis+socket://{REDIS_SOCKET}")
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=16,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 30},  # 3,600 by default: nothing would come back while we look
)


@app.task(name="leave")
def leave_effect(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave(n, enqueued_at, sleep)


def single(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave_effect.delay(n, enqueued_at, sleep)


def bulk(numbers: Sequence[int], sleep: float) -> None:
    with app.producer_or_acquire() as producer:
        for n in numbers:
            leave_effect.apply_async((n, None, sleep), producer=producer)


if __name__ == "__main__":
    Client(lambda: None, lambda: None, single, bulk).main()
