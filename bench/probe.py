"""Timings inside the product: `python -m bench.probe claim|figures COUNT` prints a JSON list of milliseconds."""

import json
import os
import sys
import time
from collections.abc import Callable
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")
django.setup()

from django.conf import settings  # noqa: E402 - the settings come first

from jobs import database, metrics, queue  # noqa: E402
from jobs.service import registry  # noqa: E402


def timed(work: Callable[[], object], count: int) -> list[float]:
    found = []
    for _ in range(count):
        started = time.perf_counter()
        work()
        found.append((time.perf_counter() - started) * 1000)
    return found


def claim(count: int) -> list[float]:
    """Claims of a package; what is claimed stays claimed. The first, which plans and connects, is not counted."""
    database.settle_in(prepare=settings.JOB_PREPARE)
    claimant, kinds = queue.Claimant(uuid4(), "probe"), registry().served(())

    def take() -> None:
        if not queue.claim(claimant, limit=settings.JOB_PACKAGE_SIZE, types=kinds):
            raise SystemExit("nothing was due: the table does not hold what is to be measured")

    return timed(take, count)[1:]


def figures(count: int) -> list[float]:
    return timed(metrics.figures, count + 1)[1:]


if __name__ == "__main__":
    database.raw_connection()
    print(json.dumps({"claim": claim, "figures": figures}[sys.argv[1]](int(sys.argv[2]))))
