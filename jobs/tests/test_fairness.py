"""Nobody starves: not behind a flood of one type, not behind urgent work, and a type's own settings hold at the claim."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs import queue
from jobs.models import Job
from jobs.queue import Claimant, Turns
from jobs.service import registry
from jobs.tests.clusters import cluster, wait_for

pytestmark = pytest.mark.django_db


def claims(count: int, turns: Turns) -> list[str]:
    """The types one worker's next claims take."""
    me, types = Claimant(uuid4(), "host:1"), registry().served(())
    return [queue.claim(me, types=types, turns=turns)[0].job_type for _ in range(count)]


def test_types_of_one_priority_take_turns_however_long_one_has_waited():
    queue.enqueue_many("probe", [{}] * 10, run_at=timezone.now() - timedelta(hours=1))
    queue.enqueue_many("probe_once", [{}] * 2)
    queue.enqueue("probe_steps", {})
    assert claims(6, Turns()) == ["probe", "probe_once", "probe_steps", "probe", "probe_once", "probe"]


def test_urgent_work_goes_first_but_every_eighth_claim_is_for_those_who_waited():
    queue.enqueue_many("probe_once", [{}] * 30, priority=9)
    queue.enqueue_many("probe", [{}] * 30)
    taken = claims(16, Turns())
    assert taken == [*["probe_once"] * 7, "probe"] * 2


def test_a_types_own_priority_and_package_hold_where_nothing_else_is_said():
    queue.enqueue_many("probe", [{}] * 2)
    queue.enqueue_many("probe_urgent", [{}] * 4)
    plain, low = queue.enqueue("probe_urgent", {}), queue.enqueue("probe_urgent", {}, priority=0)
    assert (plain.priority, low.priority) == (7, 0)
    me, types = Claimant(uuid4(), "host:1"), registry().served(())
    assert [(job.job_type, job.priority) for job in queue.claim(me, types=types)] == [("probe_urgent", 7)] * 3
    assert len(queue.claim(me, types=types, limit=1)) == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("flood", [{}, {"priority": 100}], ids=["equal", "urgent"])
def test_a_job_starts_within_a_second_behind_a_hundred_thousand_of_another_type(effects, tmp_path, flood):
    earlier = timezone.now() - timedelta(days=1)
    queue.enqueue_many("probe_quick", [{}] * 100_000, run_at=earlier, **flood)
    with cluster(tmp_path / "log", workers=2):
        wait_for(lambda: Job.objects.filter(status="completed").exists())
        late = queue.enqueue("probe", {})
        wait_for(lambda: Job.objects.get(pk=late.pk).status == "completed")
        assert Job.objects.filter(status="pending").exists()
    late.refresh_from_db()
    assert late.started_at - late.created_at < timedelta(seconds=1)
