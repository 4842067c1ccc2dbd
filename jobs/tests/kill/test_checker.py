"""The judge of the kill matrix can say no: each rule is broken once by a history that is right otherwise."""

from dataclasses import replace

import pytest

from jobs.tests.kill.checker import Change, Effect, History, Row, violations


def claim(job_id, token, *, was="pending", before=0, xact="1"):
    return Change(job_id, was, "processing", None, token, before, before + 1, xact)


def end(job_id, token, became="completed", *, attempts=1, after=None, xact="2"):
    return Change(job_id, "processing", became, token, None, attempts, attempts if after is None else after, xact)


def born(job_id):
    return Change(job_id, "", "pending", None, None, 0, 0, "0")


def life(job_id=1, parent_id=None, children_open=0):
    """Enqueued, claimed, done."""
    token = f"t{job_id}"
    return History(
        rows=[Row(job_id, "completed", 1, parent_id, children_open)],
        changes=[born(job_id), claim(job_id, token), end(job_id, token, xact=f"x{job_id}")],
        effects=[Effect(job_id, "done", token, True, f"x{job_id}")],
    )


def joined(*histories):
    together = History()
    for history in histories:
        together.rows += history.rows
        together.changes += history.changes
        together.effects += history.effects
        together.attempts += history.attempts
    return together


def rescued():
    """Its first worker was lost, the second did it."""
    return History(
        rows=[Row(1, "completed", 2)],
        changes=[
            born(1),
            claim(1, "a"),
            end(1, "a", "retrying"),
            claim(1, "b", was="retrying", before=1),
            end(1, "b", attempts=2, xact="9"),
        ],
        effects=[Effect(1, "done", "b", True, "9")],
        attempts=[(1, "rescued"), (1, "stale")],
    )


def dead_letter():
    return History(
        rows=[Row(1, "failed", 1)], changes=[born(1), claim(1, "a"), end(1, "a", "failed")], attempts=[(1, "failed")]
    )


def snoozed():
    return History(
        rows=[Row(1, "completed", 1)],
        changes=[
            born(1),
            claim(1, "a"),
            end(1, "a", "pending", after=0, xact="5"),
            claim(1, "b"),
            end(1, "b", xact="6"),
        ],
        effects=[Effect(1, "slept", "a", True, "5"), Effect(1, "done", "b", True, "6")],
    )


@pytest.mark.parametrize(
    "history", [life(), rescued(), dead_letter(), snoozed(), joined(life(2, parent_id=3), life(3))]
)
def test_what_may_happen_is_not_blamed(history):
    assert violations(history) == []


def test_a_job_that_is_gone():
    history = life()
    history.rows.clear()
    assert violations(history) == ["job 1: lost"]


@pytest.mark.parametrize("status", ["pending", "processing", "retrying"])
def test_a_job_that_never_ends(status):
    changes = {
        "pending": [born(1)],
        "processing": [born(1), claim(1, "a")],
        "retrying": [born(1), claim(1, "a"), end(1, "a", "retrying")],
    }[status]
    attempts = [(1, "rescued")] if status == "retrying" else []
    history = History([Row(1, status, changes[-1].attempts)], changes, attempts=attempts)
    assert violations(history) == [f"job 1: stuck in {status}"]


def test_an_effect_twice_under_one_lease():
    history = life()
    history.effects.append(history.effects[0])
    assert violations(history) == ["job 1: completed, and done 2 times"]


def test_a_completion_without_its_effect():
    history = life()
    history.effects.clear()
    assert violations(history) == ["job 1: completed, and done 0 times"]


def test_a_completion_that_has_no_effect_of_its_own():
    history = life()
    history.rows[0] = replace(history.rows[0], has_effect=False)
    assert violations(history) == ["job 1: completed, and done 1 times"]
    history.effects.clear()
    assert violations(history) == []


def test_a_step_twice():
    history = snoozed()
    history.effects.append(history.effects[0])
    assert violations(history) == ["job 1: slept 2 times"]


def test_a_dead_letter_that_left_its_effect():
    history = dead_letter()
    history.effects.append(Effect(1, "done", "a", True, "2"))
    assert violations(history) == ["job 1: failed, and done 1 times"]


def test_two_accepted_completions():
    history = rescued()
    history.changes[2] = end(1, "a", "completed")
    history.changes[3] = replace(history.changes[3], was="completed")
    history.attempts.clear()
    assert violations(history) == [
        "job 1: completed became processing",
        "job 1: completed, with 2 accepted completions",
    ]


def test_a_completion_accepted_from_a_worker_whose_lease_had_passed_on():
    history = rescued()
    history.effects[0] = replace(history.effects[0], token="a")
    assert violations(history) == ["job 1: done was accepted with a stale token"]


def test_an_effect_under_a_lease_that_never_was():
    history = life()
    history.effects[0] = replace(history.effects[0], token="z", is_atomic=False)
    assert violations(history) == ["job 1: done under a lease that never was"]


def test_an_effect_committed_apart_from_its_completion():
    history = life()
    history.effects[0] = replace(history.effects[0], xact="elsewhere")
    assert violations(history) == ["job 1: done was not committed together with the end of its attempt"]
    history.effects[0] = replace(history.effects[0], is_atomic=False)
    assert violations(history) == []


def test_one_row_handed_out_twice():
    history = life()
    history.changes.insert(2, Change(1, "processing", "processing", "t1", "t2", 1, 2, "3"))
    history.changes[3] = end(1, "t2", attempts=2, xact="x1")
    history.rows[0] = replace(history.rows[0], attempts=2)
    assert "job 1: processing became processing" in violations(history)
    assert "job 1: done was accepted with a stale token" in violations(history)


def test_one_lease_given_twice():
    history = rescued()
    history.changes[3] = replace(history.changes[3], taken="a")
    history.changes[4] = replace(history.changes[4], held="a")
    history.effects[0] = replace(history.effects[0], token="a")
    assert violations(history) == ["job 1: claimed without a lease of its own"]


def test_a_claim_that_does_not_count():
    history = life()
    history.changes[1] = replace(history.changes[1], attempts=0)
    history.changes[2] = end(1, "t1", attempts=0, xact="x1")
    history.rows[0] = replace(history.rows[0], attempts=0)
    assert violations(history) == ["job 1: claimed without counting the attempt"]


def test_a_lease_that_outlives_the_attempt():
    history = life()
    history.changes[2] = replace(history.changes[2], taken="t1")
    assert violations(history) == ["job 1: completed with a lease"]


def test_a_change_nobody_saw():
    history = rescued()
    del history.changes[2]
    assert "job 1: its history has a gap before it became processing" in violations(history)
    history = life()
    history.rows[0] = replace(history.rows[0], status="failed")
    assert "job 1: the table says failed, its history completed" in violations(history)


def test_an_attempt_that_left_no_record():
    history = rescued()
    history.attempts = [(1, "stale")]
    assert violations(history) == ["job 1: 1 attempts went wrong, 0 are recorded"]


def test_an_attempt_recorded_twice():
    history = rescued()
    history.attempts *= 2
    assert violations(history) == ["job 1: 1 attempts went wrong, 2 are recorded"]


@pytest.mark.parametrize("counted", [1, -1])
def test_a_parent_that_has_lost_count(counted):
    history = joined(life(2, parent_id=3), life(3, children_open=counted))
    assert violations(history) == [f"job 3: counts {counted} open children, 0 are"]


def test_a_child_given_up_by_a_person_is_not_counted():
    history = joined(dead_letter(), life(3))
    history.rows[0] = replace(history.rows[0], parent_id=3, is_given_up=True)
    assert violations(history) == []
    history.rows[0] = replace(history.rows[0], is_given_up=False)
    assert violations(history) == ["job 3: counts 0 open children, 1 are"]


def test_a_parent_that_ends_before_its_last_child():
    assert violations(joined(life(3), life(2, parent_id=3))) == ["job 3: ended before its last child"]
