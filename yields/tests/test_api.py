"""The staff's API for coupons, at its exact paths and with its exact answers."""

import uuid
from datetime import date

import pytest
from rest_framework.test import APIClient

from bonds.models import IdempotencyKey
from jobs.models import Job
from yields.models import YieldConfig, YieldDistribution
from yields.tests import factories

pytestmark = pytest.mark.django_db

ALL = (
    "yields.add_yieldconfig",
    "yields.change_yieldconfig",
    "yields.view_yieldconfig",
    "yields.trigger_yielddistribution",
    "yields.view_yielddistribution",
    "yields.view_yieldpayment",
)


def client_of(user):
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def client():
    return client_of(factories.staff(*ALL))


@pytest.fixture
def bond():
    return factories.bond()


@pytest.fixture
def config(bond):
    return factories.config(bond)


def terms(bond, **fields):
    return {
        "bond_metadata_id": str(bond.pk),
        "yield_type": "fixed",
        "interest_period_start": "2026-01-01",
        "interest_period_end": "2026-07-01",
        "yield_time": "2026-07-02T09:00:00Z",
        "coupon_rate": "0.05",
        **fields,
    }


def test_a_coupon_is_configured(client, bond):
    answer = client.post("/admin/yields/configure", terms(bond))
    config = YieldConfig.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "yield_config_id": str(config.pk),
        "success": True,
        "created_at": config.created_at.isoformat().replace("+00:00", "Z"),
    }


@pytest.mark.parametrize(
    ("fields", "status", "field", "code"),
    [
        ({"coupon_rate": "5"}, 422, "coupon_rate", "coupon_rate_out_of_range"),
        ({"interest_period_end": "2026-01-01"}, 422, "interest_period_end", "empty_period"),
        ({"interest_period_end": "soon"}, 400, "interest_period_end", "invalid"),
        ({"yield_type": "floating"}, 400, "yield_type", "invalid_choice"),
        ({"bond_metadata_id": str(uuid.UUID(int=1))}, 404, "bond_metadata_id", "bond_not_found"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(client, bond, fields, status, field, code):
    answer = client.post("/admin/yields/configure", terms(bond, **fields))
    assert answer.status_code == status
    assert (answer.json()["field"], answer.json()["code"]) == (field, code)
    assert set(answer.json()) == {"code", "message", "field"}
    assert not YieldConfig.objects.exists()


def test_a_coupon_is_replaced_until_it_has_a_run(client, bond, config):
    answer = client.put(f"/admin/yields/{config.pk}", terms(bond, coupon_rate="0.04"))
    assert answer.status_code == 200
    assert set(answer.json()) == {"yield_config_id", "success", "created_at", "updated_at"}
    factories.run(config)
    refused = client.put(f"/admin/yields/{config.pk}", terms(bond, coupon_rate="0.03"))
    assert (refused.status_code, refused.json()["code"]) == (409, "config_in_use")
    config.refresh_from_db()
    assert str(config.coupon_rate.normalize()) == "0.04"


def test_a_trigger_starts_one_run(client, bond, config):
    factories.holding(bond, "A", 10)
    factories.holding(bond, "B", 20, factories.APR_1)
    answer = client.post(f"/admin/yields/{config.pk}/trigger")
    run = YieldDistribution.objects.get()
    assert answer.status_code == 202
    assert answer.json() == {
        "distribution_job_id": str(run.pk),
        "total_recipients": 2,
        "estimated_total_amount": "497.260273",  # 500 * 181/365 + 1000 * 91/365
        "status": "initiated",
    }
    assert Job.objects.count() == 1


def test_the_same_key_gives_the_same_answer_and_starts_nothing_more(client, config):
    first = client.post(f"/admin/yields/{config.pk}/trigger", headers={"Idempotency-Key": "coupon-1"})
    second = client.post(f"/admin/yields/{config.pk}/trigger", headers={"Idempotency-Key": "coupon-1"})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert (YieldDistribution.objects.count(), Job.objects.count()) == (1, 1)


def test_the_same_key_for_something_else_is_refused(client, bond, config):
    other = factories.config(bond, interest_period_start=factories.END, interest_period_end=date(2026, 8, 1))
    client.post(f"/admin/yields/{config.pk}/trigger", headers={"Idempotency-Key": "coupon-1"})
    refused = client.post(f"/admin/yields/{other.pk}/trigger", headers={"Idempotency-Key": "coupon-1"})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert (YieldDistribution.objects.count(), Job.objects.count()) == (1, 1)


def test_another_key_while_a_run_is_live_is_refused_with_its_id(client, config):
    first = client.post(f"/admin/yields/{config.pk}/trigger", headers={"Idempotency-Key": "coupon-1"}).json()
    refused = client.post(f"/admin/yields/{config.pk}/trigger", headers={"Idempotency-Key": "coupon-2"})
    assert (refused.status_code, refused.json()["code"]) == (409, "run_exists")
    assert first["distribution_job_id"] in refused.json()["message"]
    assert not IdempotencyKey.objects.filter(pk="coupon-2").exists()


def test_a_trigger_over_unclaimed_investments_needs_a_reason(client, bond, config):
    factories.invested(bond, "A", 10)
    url = f"/admin/yields/{config.pk}/trigger"
    refused = client.post(url)
    assert (refused.status_code, refused.json()["code"]) == (409, "unclaimed_presale")
    assert YieldDistribution.objects.count() == 0
    started = client.post(url, {"unclaimed_reason": "in court"}, content_type="application/json")
    assert started.status_code == 202


def test_a_trigger_of_an_unknown_config_is_not_found(client):
    refused = client.post(f"/admin/yields/{uuid.uuid4()}/trigger")
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")


def test_a_trigger_before_the_yield_time_is_refused(client, bond):
    config = factories.config(bond, yield_time="2099-01-01T00:00:00Z")
    refused = client.post(f"/admin/yields/{config.pk}/trigger")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_early")
    assert (YieldDistribution.objects.count(), Job.objects.count()) == (0, 0)


CALLS = [
    ("post", "/admin/yields/configure", "yields.add_yieldconfig"),
    ("put", "/admin/yields/{config}", "yields.change_yieldconfig"),
    ("post", "/admin/yields/{config}/trigger", "yields.trigger_yielddistribution"),
    ("get", "/admin/yields/distribution/{run}", "yields.view_yielddistribution"),
    ("get", "/admin/yields/bond/{bond}", "yields.view_yieldconfig"),
    ("get", "/admin/yields/history/{bond}", "yields.view_yieldpayment"),
]


@pytest.mark.parametrize(("method", "path", "permission"), CALLS)
def test_each_call_needs_staff_and_its_own_permission(bond, method, path, permission):
    config = factories.config(bond)
    run = factories.run(
        factories.config(bond, interest_period_start=factories.END, interest_period_end=date(2027, 1, 1))
    )
    path = path.format(config=config.pk, run=run.pk, bond=bond.pk)

    def call(client):
        return getattr(client, method)(path, terms(bond) if method != "get" else None).status_code

    before = (YieldConfig.objects.count(), YieldDistribution.objects.count(), Job.objects.count())
    assert call(APIClient()) == 401
    assert call(client_of(factories.staff(*(set(ALL) - {permission})))) == 403
    assert call(client_of(factories.staff(permission, is_staff=False))) == 403
    assert (YieldConfig.objects.count(), YieldDistribution.objects.count(), Job.objects.count()) == before
    assert call(client_of(factories.staff(permission))) in (200, 202, 422)


def test_a_method_that_does_not_exist_is_not_allowed(client, config):
    assert client.delete(f"/admin/yields/{config.pk}").status_code == 405


def test_the_status_of_a_run(client, config):
    run = factories.run(config)
    answer = client.get(f"/admin/yields/distribution/{run.pk}")
    assert answer.json() == {
        "job_id": str(run.pk),
        "status": "pending",
        "total_recipients": 2,
        "processed_recipients": 0,
        "failed_recipients": 0,
        "held_recipients": 0,
        "started_at": None,
        "completed_at": None,
        "error_message": "",
        "wait_reason": "",
    }
    assert client.get(f"/admin/yields/distribution/{uuid.uuid4()}").status_code == 404


def test_the_coupons_of_a_bond(client, bond, config):
    run = factories.run(config)
    factories.config(factories.bond())
    (shown,) = client.get(f"/admin/yields/bond/{bond.pk}").json()["yield_configs"]
    assert (shown["yield_config_id"], shown["coupon_rate"], shown["variable_rate"]) == (str(config.pk), "0.05", None)
    assert shown["distribution_job_ids"] == [str(run.pk)]
    assert client.get(f"/admin/yields/bond/{uuid.uuid4()}").status_code == 404


def test_the_history_of_a_bond_is_paged(client, bond, config):
    run = factories.run(config)
    payment = factories.payment(bond, status="held", hold_reason="blacklisted", held_at=factories.YIELD_TIME)
    factories.line(run, payment=payment)
    factories.line(run, position=2, holder="B", amount_units=0, exact_numerator="0")
    answer = client.get(f"/admin/yields/history/{bond.pk}?limit=1").json()
    assert answer["total_count"] == 2
    assert answer["payments"] == [
        {
            "distribution_job_id": str(run.pk),
            "yield_config_id": str(config.pk),
            "investor_address": "A",
            "bond_tokens_held": "10",
            "payment_amount": "500.000000",
            "amount_units": "500000000",
            "payment_date": "2026-07-02T09:00:00Z",
            "payment_sequence": 1,
            "plt_transaction_hash": None,
            "status": "scheduled",
            "hold_reason": "blacklisted",
            "calculation_details": {},
        }
    ]
    rest = client.get(f"/admin/yields/history/{bond.pk}?limit=5&offset=1").json()["payments"]
    assert [(line["investor_address"], line["status"]) for line in rest] == [("B", "completed")]
    assert client.get(f"/admin/yields/history/{bond.pk}?limit=0").status_code == 400
