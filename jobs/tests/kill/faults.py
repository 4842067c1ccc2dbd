"""Named points at which a process of a test's cluster stops and waits to be killed. The product knows nothing of them.

The queue's statements pass through jobs.database; install() wraps its two functions and knows a point by the statement. The test arms a
point by making a file; the first process to come there takes it by renaming it, which names the process, and waits for the file `go`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import transaction

from jobs import database

BEFORE_CLAIM = "before_claim"
AFTER_CLAIM = "after_claim"
BEFORE_COMMIT = "before_commit"
AFTER_COMMIT = "after_commit"
WAKE_UP = "wake_up"
RESCUE = "rescue"
BULK = "bulk"

_SLEEP_SECONDS = 0.01


class Points:
    """Both sides of the directory in which points are armed, reached and released."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def arm(self, point: str) -> None:
        (self._directory / f"at-{point}").touch()

    def reached(self) -> int | None:
        """The process that waits, if one has come."""
        return next((int(path.name.partition("-")[2]) for path in self._directory.glob("here-*")), None)

    def release(self) -> None:
        (self._directory / "go").touch()

    def clear(self) -> None:
        for path in self._directory.iterdir():
            path.unlink()

    def reach(self, point: str) -> None:
        """Called by the processes under test: returns at once unless the point is armed, and after the release otherwise."""
        try:
            os.rename(self._directory / f"at-{point}", self._directory / f"here-{os.getpid()}")
        except FileNotFoundError:
            return
        while not (self._directory / "go").exists():
            time.sleep(_SLEEP_SECONDS)


def of_this_process() -> Points:
    return Points(Path(os.environ["QUEUE_TEST_POINTS"]))


Statement = Callable[..., Any]


def _wrapped(statement: Statement, points: Points) -> Statement:
    def run(sql: str, params: Any = ()) -> Any:
        if "gen_random_uuid()" in sql:
            points.reach(BEFORE_CLAIM)
            claimed = statement(sql, params)
            if claimed and claimed[0][-1] is not None:
                points.reach(AFTER_CLAIM)
            return claimed
        if "WITH stale AS MATERIALIZED" in sql:
            with transaction.atomic():  # a statement of its own would have no middle
                rescued = statement(sql, params)
                if rescued[0][0]:
                    points.reach(RESCUE)
            return rescued
        found = statement(sql, params)
        if "children_open = q.children_open - " in sql:
            points.reach(WAKE_UP)
        if "UPDATE jobs_operation_member" in sql:
            points.reach(BULK)
        return found

    return run


def install() -> Points:
    """Once per process, before its first statement; forked children inherit it."""
    points = of_this_process()
    database.rows = _wrapped(database.rows, points)
    database.run = _wrapped(database.run, points)
    return points
