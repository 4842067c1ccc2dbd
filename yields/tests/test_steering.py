"""A person stops a run and lets it go on: with a reason, in the audit log, and nothing is signed in between."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.urls import reverse

from bonds.errors import Conflict, Invalid, NotFound
from bonds.models import AuditEntry, Payment
from bonds.services import audit
from bonds.tests import factories as bonds_factories
from jobs.tests.clusters import wait_for
from yields.models import YieldDistribution
from yields.services import runs, steering
from yields.tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    return factories.run(factories.config(bonds_factories.bond()), status="executing")


@pytest.fixture
def anna():
    return factories.staff("yields.steer_yielddistribution", "yields.view_yielddistribution", username="anna")


def everything() -> list[object]:
    return [list(YieldDistribution.objects.values()), list(AuditEntry.objects.values())]


def test_paused_nothing_is_signed_and_resumed_it_is(run, anna):
    with transaction.atomic():
        assert steering.holds_back(run.pk) == ""
    assert steering.pause(run.pk, actor=anna, reason="wrong bank holiday").status == "paused"
    with transaction.atomic():
        assert steering.holds_back(run.pk) == "the run is paused"
    assert steering.resume(run.pk, actor=anna, reason="checked").status == "executing"
    with transaction.atomic():
        assert steering.holds_back(run.pk) == ""


def test_both_acts_are_in_the_runs_audit_log(run, anna):
    steering.pause(run.pk, actor=anna, reason=" wrong bank holiday ")
    steering.resume(run.pk, actor=anna, reason="checked")
    entries = AuditEntry.objects.filter(chain=audit.of_run(run.pk))
    assert [(e.actor, e.act, e.reason, e.before, e.after) for e in entries] == [
        ("anna", "run paused", "wrong bank holiday", {"status": "executing"}, {"status": "paused"}),
        ("anna", "run resumed", "checked", {"status": "paused"}, {"status": "executing"}),
    ]
    assert list(audit.breaks()) == []


@pytest.mark.parametrize("reason", ["", " \n", "x" * 2001])
@pytest.mark.parametrize("act", [steering.pause, steering.resume])
def test_without_a_reason_nothing_changes(run, anna, act, reason):
    before = everything()
    with pytest.raises(Invalid) as refused:
        act(run.pk, actor=anna, reason=reason)
    assert (refused.value.field, everything()) == ("reason", before)


@pytest.mark.parametrize("status", ["scheduled", "insufficient_liquidity", "cancelled"])
@pytest.mark.parametrize("act", [steering.pause, steering.resume])
def test_a_run_that_is_not_paying_is_left_alone(run, anna, act, status):
    ended = run.created_at if status == "cancelled" else None
    YieldDistribution.objects.update(status=status, completed_at=ended, wait_reason="money")
    before = everything()
    with pytest.raises(runs.TransitionRefused):
        act(run.pk, actor=anna, reason="r")
    assert everything() == before


def test_a_run_that_does_not_exist_is_not_found(run, anna):
    before = everything()
    with pytest.raises(NotFound):
        steering.pause(uuid4(), actor=anna, reason="r")
    assert everything() == before


@pytest.mark.django_db(transaction=True)
def test_a_pause_waits_for_whoever_is_signing(run, anna):
    def pause() -> str:
        try:
            return steering.pause(run.pk, actor=anna, reason="stop").status
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            assert steering.holds_back(run.pk) == ""
            paused = other.submit(pause)
            wait_for(somebody_waits_for_a_lock)
            assert not paused.done()
        assert paused.result(20) == "paused"


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


# --- cancelling ----------------------------------------------------------------------------------------------------
def pay(run, status: str, **fields):
    return bonds_factories.payment(run.bond, run=run.pk, status=status, **fields)


def statuses(run) -> list[str]:
    return list(Payment.objects.filter(run=run.pk).order_by("position").values_list("status", flat=True))


@pytest.mark.parametrize("status", ["scheduled", "executing", "paused", "insufficient_liquidity", "needs_attention"])
def test_a_run_with_nothing_signed_is_cancelled_at_once(run, anna, status):
    YieldDistribution.objects.update(status=status, wait_reason="money", error_message="a person looks")
    pay(run, "planned", position=1)
    pay(run, "ready", position=2)
    pay(run, "held", position=3, hold_reason="not_whitelisted", held_at=run.created_at)
    cancelled = steering.cancel(run.pk, actor=anna, reason="wrong rate")
    assert (cancelled.status, statuses(run)) == ("cancelled", ["cancelled"] * 3)
    assert cancelled.completed_at is not None
    (entry,) = AuditEntry.objects.filter(chain=audit.of_run(run.pk))
    assert (entry.act, entry.reason, entry.before) == ("run cancelled", "wrong rate", {"status": status})
    assert entry.after == {"cancelled_payments": 3}


def test_what_is_signed_finishes_first_and_nothing_more_is_signed(run, anna):
    signed, ready = pay(run, "signed", position=1), pay(run, "ready", position=2)
    assert steering.cancel(run.pk, actor=anna, reason="wrong rate").status == "executing"
    assert statuses(run) == ["signed", "cancelled"]
    with transaction.atomic():
        assert steering.holds_back(run.pk) == "the run is being cancelled"
        assert not steering.go_on_cancelling(run.pk)
    Payment.objects.filter(pk=signed.pk).update(status="ready")  # rejected, or proven dead
    with transaction.atomic():
        assert steering.go_on_cancelling(run.pk)
    run.refresh_from_db()
    assert (run.status, statuses(run)) == ("cancelled", ["cancelled", "cancelled"])
    assert ready.pk


def test_a_run_that_is_being_cancelled_is_neither_paused_nor_cancelled_again(run, anna):
    pay(run, "submitted")
    steering.cancel(run.pk, actor=anna, reason="wrong rate")
    before = everything()
    for act in (steering.pause, steering.resume, steering.cancel):
        with pytest.raises(runs.TransitionRefused):
            act(run.pk, actor=anna, reason="r")
    assert everything() == before


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_run_that_has_ended_is_not_cancelled(run, anna, status):
    plan = {
        "plan_hash": "aa",
        "exact_liability": "0/1",
        "rounding_residual": "0/1",
        "total_recipients": 0,
        "total_units": 0,
    }
    frozen = factories.snapshot(run.bond)
    YieldDistribution.objects.update(status=status, completed_at=run.created_at, snapshot=frozen, **plan)
    before = everything()
    with pytest.raises(runs.TransitionRefused):
        steering.cancel(run.pk, actor=anna, reason="r")
    assert everything() == before


def test_while_payments_need_review_nothing_is_cancelled(run, anna):
    pay(run, "needs_review", position=1, review_reason="nobody knows")
    pay(run, "ready", position=2)
    before = [everything(), statuses(run)]
    with pytest.raises(Conflict, match="1 payments need review first"):
        steering.cancel(run.pk, actor=anna, reason="r")
    assert [everything(), statuses(run)] == before


@pytest.mark.parametrize("reason", ["", " \n", "x" * 2001])
def test_without_a_reason_nothing_is_cancelled(run, anna, reason):
    pay(run, "ready")
    before = [everything(), statuses(run)]
    with pytest.raises(Invalid):
        steering.cancel(run.pk, actor=anna, reason=reason)
    assert [everything(), statuses(run)] == before


# --- console and API -----------------------------------------------------------------------------------------------
def test_the_console_pauses_and_resumes(client, run, anna):
    client.force_login(anna)
    page = reverse("admin:yields_yielddistribution_change", args=[run.pk])
    assert "Pause the run" in client.get(page).text
    shown = client.post(
        reverse("admin:yields_distribution_steer", args=[run.pk, "pause"]), {"reason": "stop"}, follow=True
    )
    run.refresh_from_db()
    assert run.status == "paused"
    assert "Resume the run" in shown.text
    shown = client.post(
        reverse("admin:yields_distribution_steer", args=[run.pk, "resume"]), {"reason": " "}, follow=True
    )
    assert "reason of 1 to 2000 characters is needed" in shown.text
    run.refresh_from_db()
    assert run.status == "paused"


def test_the_api_pauses_and_resumes_and_refuses_a_second_time(client, run, anna):
    client.force_login(anna)
    paused = post(client, run, "pause")
    assert (paused.status_code, paused.json()["status"]) == (200, "processing")
    again = post(client, run, "pause")
    assert (again.status_code, again.json()["code"]) == (409, "transition_refused")
    assert post(client, run, "resume").status_code == 200
    assert AuditEntry.objects.count() == 2


def test_the_console_and_the_api_cancel(client, run, anna):
    anna.user_permissions.add(Permission.objects.get(codename="cancel_yielddistribution"))
    client.force_login(anna)
    pay(run, "submitted", position=1)
    page = reverse("admin:yields_yielddistribution_change", args=[run.pk])
    assert "Cancel the run" in client.get(page).text
    shown = client.post(
        reverse("admin:yields_distribution_steer", args=[run.pk, "cancel"]), {"reason": "rate"}, follow=True
    )
    assert "what is on its way finishes first" in shown.text
    assert "Cancel the run" not in shown.text
    assert post(client, run, "cancel").status_code == 409
    YieldDistribution.objects.update(cancel_requested_at=None)
    assert (post(client, run, "cancel").status_code, AuditEntry.objects.count()) == (200, 2)


def test_without_the_permission_nothing_happens(client, run, anna):
    anna.user_permissions.remove(Permission.objects.get(codename="steer_yielddistribution"))
    client.force_login(anna)
    before = everything()
    assert "Pause the run" not in client.get(reverse("admin:yields_yielddistribution_change", args=[run.pk])).text
    steer = reverse("admin:yields_distribution_steer", args=[run.pk, "pause"])
    assert client.post(steer, {"reason": "stop"}).status_code == 403
    assert client.get(steer).status_code == 403
    assert post(client, run, "pause").status_code == 403
    assert post(client, run, "cancel").status_code == 403
    assert everything() == before


def post(client, run, act: str):
    url = f"/admin/yields/distribution/{run.pk}/{act}"
    return client.post(url, {"reason": "bank holiday"}, content_type="application/json")
