"""This queue's client side: jobs.queue as any service of the product calls it. `BENCH_JOB_TYPE` says which of the bench's job types."""

import os
from collections.abc import Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")
django.setup()

from django.core.management import call_command  # noqa: E402 - the settings come first

from bench.driver import Client  # noqa: E402
from jobs import database, queue  # noqa: E402

_JOB_TYPE = os.environ.get("BENCH_JOB_TYPE", "bench_per_job")


def _payload(n: int, enqueued_at: float | None, sleep: float) -> dict[str, float]:
    payload: dict[str, float] = {"n": n}
    if enqueued_at is not None:
        payload["at"] = enqueued_at
    if sleep:
        payload["sleep"] = sleep
    return payload


def setup() -> None:
    call_command("migrate", "jobs", verbosity=0)


def clean() -> None:
    database.run("TRUNCATE job_queue, jobs_attempt, jobs_worker RESTART IDENTITY CASCADE")


def single(n: int, enqueued_at: float | None, sleep: float) -> None:
    queue.enqueue(_JOB_TYPE, _payload(n, enqueued_at, sleep))


def bulk(numbers: Sequence[int], sleep: float) -> None:
    queue.enqueue_many(_JOB_TYPE, [_payload(n, None, sleep) for n in numbers])


if __name__ == "__main__":
    Client(setup, clean, single, bulk).main()
