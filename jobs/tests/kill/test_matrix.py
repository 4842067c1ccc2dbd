"""The kill matrix: a process stops at a named point, something is killed there, and every job's effect happens exactly once all the same.

`make test` plays enough cells to have every point and every death; `make kill-matrix` (KILL_MATRIX=whole) plays all of them, two to
four seconds each. After each cell nothing is stuck, no process of a cluster is left, and the history is judged by checker.py.
"""

import os
import signal
import time
from collections.abc import Callable

import pytest

from jobs.tests.clusters import wait_for
from jobs.tests.kill import checker, faults, rig

pytestmark = pytest.mark.slow

SNOOZING = "snoozing"
POINTS = (
    faults.BEFORE_CLAIM,
    faults.AFTER_CLAIM,
    faults.BEFORE_COMMIT,
    faults.AFTER_COMMIT,
    SNOOZING,
    faults.WAKE_UP,
    faults.RESCUE,
    faults.BULK,
)
RETRIED, DISCARDED = 6, 3
BYSTANDERS = {"work": 3, "work_quick": 12, "work_batch": 12, "work_steps": 2}


# --- the deaths: each leaves a living cluster or none ---------------------------------------------------------------
def busy_worker(played, running, busy):
    busy.kill()


def idle_workers(played, running, busy):
    rig.kill_idle_workers(running, busy)


def qcluster(played, running, busy):
    running.signal(signal.SIGKILL)
    rig.see_it_gone(running)


def sentinel(played, running, busy):
    running.look()
    running.sentinel.kill()
    rig.see_it_gone(running)
    assert running.popen.returncode == 1


def suspension(played, running, busy):
    busy.suspend()
    time.sleep(1.5 * rig.LEASE_SECONDS)
    busy.resume()


def postgresql(played, running, busy):
    played.server.stop_immediately()
    played.server.start()


DEATHS: tuple[Callable[..., None], ...] = (busy_worker, idle_workers, qcluster, sentinel, suspension, postgresql)
CELLS = [(point, death) for point in POINTS for death in DEATHS]
# The diagonal: every point, every death.
COVERING = [(point, DEATHS[place % len(DEATHS)]) for place, point in enumerate(POINTS)]


def begin(played, point):
    """Enqueue what brings a process to the point, and bystanders of every kind; returns the process that stands there."""
    if point == faults.BULK:
        played.enqueue("work_doomed", RETRIED + DISCARDED)
        wait_for(lambda: played.statuses() == {"failed": RETRIED + DISCARDED})
    if point != SNOOZING:
        played.points.arm(point)
    if point == faults.RESCUE:
        played.enqueue("work_fatal")
    elif point == faults.WAKE_UP:
        played.enqueue("work_parent", payload='{"children": 1}')
    elif point == SNOOZING:
        played.enqueue("work_snooze")
    elif point == faults.BULK:
        played.decide("retry", RETRIED)
        played.decide("discard", DISCARDED)
    for job_type, count in BYSTANDERS.items():
        played.enqueue(job_type, count)
    return played.sleeper() if point == SNOOZING else played.waiting_process()


@pytest.mark.parametrize(
    ("point", "death"),
    CELLS if os.environ.get("KILL_MATRIX") == "whole" else COVERING,
    ids=lambda part: part if isinstance(part, str) else part.__name__,
)
def test_every_effect_once(played, point, death):
    with played.cluster() as first:
        busy = begin(played, point)
        death(played, first, busy)
        played.points.release()
        if first.popen.poll() is None:
            wait_for(lambda: played.open_jobs() == 0, 30)
            assert first.stop() == 0
    assert first.left() == []
    if first.popen.returncode != 0:
        with played.cluster() as second:
            wait_for(lambda: played.open_jobs() == 0, 30)
            assert second.stop() == 0
    assert checker.violations(played.history()) == []
    assert played.statuses().get("failed", 0) == (DISCARDED if point == faults.BULK else 0)
    if point == faults.BULK:
        assert_decided_once(played)


def assert_decided_once(played):
    """Every member was reached, and decided by one person's one decision."""
    assert played.server.query("SELECT action, status, done, total FROM jobs_operation ORDER BY id") == [
        ("retry", "completed", RETRIED, RETRIED),
        ("discard", "completed", DISCARDED, DISCARDED),
    ]
    assert sorted(
        played.server.query("SELECT decision, count(*), count(DISTINCT job_id) FROM jobs_decision GROUP BY 1")
    ) == [
        ("discarded", DISCARDED, DISCARDED),
        ("retried", RETRIED, RETRIED),
    ]


def test_the_matrix_in_every_test_run_covers_each_point_and_each_death():
    assert {point for point, _ in COVERING} == set(POINTS)
    assert {death for _, death in COVERING} == set(DEATHS)
