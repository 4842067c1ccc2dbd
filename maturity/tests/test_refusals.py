"""Redemption is not available yet: its addresses and job types are there, and every start is refused with nothing changed."""

import uuid

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from bonds.tests import factories
from jobs.models import Job
from jobs.service import Fail, JobContext, registry
from maturity.models import MaturityRun
from maturity.service import MaturityService

pytestmark = pytest.mark.django_db
JOB_TYPES = ("maturity_payment", "maturity_liquidity_check", "maturity_token_burn", "maturity_plt_transfer")


@pytest.fixture
def bond():
    return factories.bond()


def staff(*codenames):
    user = User.objects.create(username=uuid.uuid4().hex, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="maturity", codename__in=codenames))
    return user


def client_of(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def client():
    return client_of(staff("trigger_maturityrun", "view_maturityrun"))


BODY = {"plt_token_id": "EURD", "face_value_per_token": "1000"}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (BODY, 409, "not_available"),
        ({**BODY, "face_value_per_token": "10000"}, 422, "face_value_differs"),
        ({**BODY, "plt_token_id": "USDX"}, 422, "plt_token_differs"),
        ({"plt_token_id": "EURD"}, 400, "required"),
    ],
)
def test_every_trigger_is_refused_and_changes_nothing(client, bond, body, status, code):
    answer = client.post(f"/admin/bonds/{bond.pk}/maturity/trigger", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (MaturityRun.objects.count(), Job.objects.count()) == (0, 0)


def test_an_unknown_bond_is_not_found(client):
    assert client.post(f"/admin/bonds/{uuid.uuid4()}/maturity/trigger", BODY).status_code == 404
    assert client.get(f"/admin/bonds/{uuid.uuid4()}/maturity/history").status_code == 404
    assert client.get(f"/admin/bonds/maturity/{uuid.uuid4()}/status").status_code == 404


def test_a_bond_that_was_never_redeemed_has_an_empty_history(client, bond):
    assert client.get(f"/admin/bonds/{bond.pk}/maturity/history").json() == {"maturities": [], "total_count": 0}


def test_a_recorded_run_shows_its_status(client, bond):
    run = MaturityRun.objects.create(
        bond=bond, plt_token_id="EURD", face_value_per_token=1000, terms={}, terms_hash="aa", triggered_by=staff()
    )
    answer = client.get(f"/admin/bonds/maturity/{run.pk}/status").json()
    assert (answer["status"], answer["total_recipients"], answer["burned_recipients"]) == ("pending", 0, 0)


def test_each_call_needs_its_permission(bond):
    other = client_of(staff())
    assert other.post(f"/admin/bonds/{bond.pk}/maturity/trigger", BODY).status_code == 403
    assert other.get(f"/admin/bonds/{bond.pk}/maturity/history").status_code == 403
    assert APIClient().get(f"/admin/bonds/{bond.pk}/maturity/history").status_code == 401


@pytest.mark.parametrize("job_type", JOB_TYPES)
def test_each_job_type_has_its_owner_which_refuses(job_type):
    assert registry().service_of(job_type).name == "MaturityService"
    outcome = MaturityService().process_job(Job(job_type=job_type, payload={}), JobContext())
    assert outcome == Fail(f"{job_type} is not available in this version: nothing was burned, paid or changed")


@pytest.mark.parametrize("model", ["maturityrun", "maturitypayment"])
def test_the_console_lists_are_read_only(model):
    console = Client()
    console.force_login(staff(f"view_{model}", f"add_{model}"), backend="django.contrib.auth.backends.ModelBackend")
    page = console.get(reverse(f"admin:maturity_{model}_changelist"))
    assert "every start is refused" in page.content.decode()
    assert console.get(reverse(f"admin:maturity_{model}_add")).status_code == 403
