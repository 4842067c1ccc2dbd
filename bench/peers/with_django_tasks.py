"""django-tasks-db. No call for many: a loop in one transaction."""

import os
from collections.abc import Sequence

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.peers.django_settings"
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from bench.driver import Client  # noqa: E402
from bench.peers.effect import truncate  # noqa: E402
from bench.peers.tasks import leave_effect  # noqa: E402


def setup() -> None:
    call_command("migrate", verbosity=0)


def single(n: int, enqueued_at: float | None, sleep: float) -> None:
    leave_effect.enqueue(n, enqueued_at, sleep)


def bulk(numbers: Sequence[int], sleep: float) -> None:
    with transaction.atomic():
        for n in numbers:
            single(n, None, sleep)


if __name__ == "__main__":
    Client(setup, lambda: truncate("django_tasks_database_dbtaskresult"), single, bulk).main()
