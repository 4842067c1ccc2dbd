"""The state machine as data: complete, closed, and the only source of the SQL that moves a job."""

import pytest

from jobs import states
from jobs.states import LIVE, TERMINAL, TRANSITIONS, Status


def test_the_five_statuses():
    assert set(Status.values) == {"pending", "processing", "completed", "failed", "retrying"}


def test_completed_is_the_end_and_failed_is_left_by_a_person_alone():
    sources = {(source, transition.name) for transition in TRANSITIONS for source in transition.sources}
    assert not [name for source, name in sources if source == Status.COMPLETED]
    assert [name for source, name in sources if source == Status.FAILED] == ["reopen"]


def test_what_a_worker_does_to_its_job_is_fenced_and_nothing_else_is():
    fenced = {transition.name for transition in TRANSITIONS if transition.fenced}
    assert fenced == {"complete", "snooze", "wait_for_children", "release", "retry", "interrupt", "fail"}
    for transition in TRANSITIONS:
        assert ("lease_token = %(token)s" in states.guard(transition.name)) is transition.fenced


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda transition: transition.name)
def test_each_transition_keeps_the_rules_of_its_target(transition):
    written = states.assignments(transition.name)
    assert f"status = '{transition.target.value}'" in written
    assert ("finished_at = clock_timestamp()" in written) is (transition.target in TERMINAL)
    assert ("lease_token = NULL" in written) is (transition.sources == (Status.PROCESSING,))
    if transition.sources == LIVE:
        assert "wait_reason = ''" in written
