"""An Idempotency-Key answers once and for ever."""

import pytest
from django.contrib.auth import get_user_model

from bonds.errors import Conflict, Invalid
from bonds.models import IdempotencyKey
from bonds.services import idempotency

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor():
    return get_user_model().objects.create_user("treasurer")


@pytest.fixture
def calls():
    return []


def ask(actor, calls, *, key="k1", path="/admin/yields/1/trigger", body=None):
    def act():
        calls.append(1)
        return 201, {"distribution_job_id": len(calls)}

    return idempotency.once(key=key, actor=actor, path=path, body=body or {}, act=act)


def test_the_same_key_and_body_get_the_same_answer_without_acting_again(actor, calls):
    assert ask(actor, calls) == ask(actor, calls) == (201, {"distribution_job_id": 1})
    assert len(calls) == 1


@pytest.mark.parametrize("change", [{"body": {"x": 1}}, {"path": "/admin/yields/2/trigger"}])
def test_the_same_key_for_another_request_is_refused_and_does_nothing(actor, calls, change):
    ask(actor, calls)
    with pytest.raises(idempotency.KeyReused) as refusal:
        ask(actor, calls, **change)
    assert (refusal.value.status, refusal.value.code, refusal.value.field) == (
        422,
        "idempotency_key_reused",
        "Idempotency-Key",
    )
    assert len(calls) == 1


def test_another_person_cannot_read_an_answer_by_its_key(actor, calls):
    ask(actor, calls)
    with pytest.raises(idempotency.KeyReused):
        ask(get_user_model().objects.create_user("other"), calls)


@pytest.mark.parametrize("key", ["", "   ", "k" * 201])
def test_a_malformed_key_is_refused(actor, calls, key):
    with pytest.raises(Invalid, match="1 to 200"):
        ask(actor, calls, key=key)
    assert calls == []
    assert IdempotencyKey.objects.count() == 0


def test_a_refused_act_leaves_the_key_free(actor, calls):
    def refuse():
        raise Conflict("too early", code="too_early")

    with pytest.raises(Conflict):
        idempotency.once(key="k1", actor=actor, path="/p", body={}, act=refuse)
    assert IdempotencyKey.objects.count() == 0
    assert ask(actor, calls)[0] == 201
