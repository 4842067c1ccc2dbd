"""The measured job as a task of Django's tasks interface."""

from django_tasks import task

from bench.peers.effect import leave


@task()
def leave_effect(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave(n, enqueued_at, sleep)
