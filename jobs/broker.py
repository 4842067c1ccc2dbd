"""The Django-Q2 broker: its queue is never filled with jobs, only with tokens that give a worker its next slice. job_queue is the queue.

Leans on the internals of the pinned release: dequeue() is called in the pusher without a pause, and put() on the bounded queue (queue_limit
1) is what holds it back.
"""

import logging
import time
import uuid
from typing import Any

from django.db import DataError, IntegrityError, transaction
from django.utils import timezone
from django_q.brokers import Broker
from django_q.signing import SignedPackage

from jobs import queue
from jobs.errors import JobsError, UnsupportedTask
from jobs.liveness import board

log = logging.getLogger(__name__)

ENQUEUE = "jobs.enqueue"
DUE_AT = "due_at"
DECLARED = "declared:"  # begins the group of a schedule that jobs/schedules.py keeps
_OPTIONS = frozenset({"run_at", "priority", "unique_key", "max_retries"})
_SLICE = "jobs.worker.run_slice"
_NO_TIMEOUT = -1  # a slice runs many jobs; each has its own timer


class JobQueueBroker(Broker):
    """Opens no connection of its own: it is made before the forks."""

    def enqueue(self, package: str) -> str:
        """Land async_task("jobs.enqueue", job_type, payload) in job_queue, in the caller's transaction; returns the job's id.

        A task that a schedule made carries its due time: the job's key is made of both, so that each due time is enqueued once. What
        cannot be enqueued is logged and passed over, for it must not keep the other schedules of this tick.
        """
        task = SignedPackage.loads(package)
        due_at = task["kwargs"].pop(DUE_AT, None)
        if due_at is None:
            check_task(task)
            return str(queue.enqueue(*task["args"], **task["kwargs"]).pk)
        key = f"schedule:{str(task.get('group', '')).removeprefix(DECLARED)}:{due_at}"
        try:
            check_task(task)
            with transaction.atomic():
                return str(queue.enqueue(*task["args"], **{**task["kwargs"], "unique_key": key}).pk)
        except (JobsError, DataError, IntegrityError) as error:
            log.error("a schedule enqueued nothing", extra={"schedule": task.get("group"), "error": str(error)})
            return ""

    def dequeue(self) -> list[tuple[None, str]]:
        """One token. The caller blocks until a worker has room for it, so this neither waits nor looks at the database."""
        if board.is_stopping:
            time.sleep(0.05)
            return []
        token = {
            "id": uuid.uuid4().hex,
            "name": "slice",
            "func": _SLICE,
            "args": (),
            "kwargs": {},
            "started": timezone.now(),
            "timeout": _NO_TIMEOUT,
        }
        return [(None, SignedPackage.dumps(token))]

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Django-Q2's own statistics are not kept (workers beat in jobs_worker); the call shows that the sentinel goes round."""
        board.mark_guard()

    def ping(self) -> bool:
        return True

    def info(self) -> str:
        return "job_queue"

    def queue_size(self) -> int:
        """Always 0: nothing ever waits in Django-Q2's queue. See jobs.metrics for job_queue."""
        return 0

    def lock_size(self) -> int:
        return 0


def check_task(task: dict[str, Any]) -> None:
    """UnsupportedTask unless this is a call of jobs.enqueue that Django-Q2 may make; raised at the caller."""
    if task["func"] != ENQUEUE:
        raise UnsupportedTask(
            f"Django-Q2 runs nothing but {ENQUEUE!r} here, not {task['func']!r}: job_queue is the only queue"
        )
    if len(task["args"]) != 2:
        raise UnsupportedTask(f"{ENQUEUE} takes a job type and a payload")
    if unknown := set(task["kwargs"]) - _OPTIONS:
        raise UnsupportedTask(f"{ENQUEUE} does not take {', '.join(sorted(unknown))} through Django-Q2")


def refuse_task(sender: object, *, task: dict[str, Any], **_: object) -> None:
    """Receiver of pre_enqueue: also a task with sync=True, which never reaches the broker, is refused at the call."""
    if DUE_AT not in task["kwargs"] or task.get("sync"):
        check_task(task)


def refuse_schedule(sender: object, *, instance: Any, **_: object) -> None:
    """Receiver of pre_save: nothing but jobs.enqueue can be scheduled, and every schedule says which due time it is at.

    A row of something else that came into the table some other way may be saved by the scheduler: raising there would end its tick.
    """
    if instance.func != ENQUEUE and not sender.objects.filter(pk=instance.pk, func=instance.func).exists():  # type: ignore[attr-defined]
        raise UnsupportedTask(f"only {ENQUEUE!r} can be scheduled, not {instance.func!r}")
    instance.intended_date_kwarg = DUE_AT
