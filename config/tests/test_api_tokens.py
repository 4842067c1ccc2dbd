"""A bearer token for a username and a password: shown once, only its digest kept, revocable, counted against guessing."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from knox.models import AuthToken
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db
PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def quick_password_hashes(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def treasurer():
    return User.objects.create_user("treasurer", password=PASSWORD, is_staff=True)


@pytest.fixture
def client():
    cache.clear()
    return APIClient()


def bearer(token):
    return {"HTTP_AUTHORIZATION": f"Bearer {token}"}


def test_a_password_buys_a_token_that_opens_the_staff_api(client, treasurer):
    response = client.post("/api/token", {"username": "treasurer", "password": PASSWORD})
    assert response.status_code == 201
    token = response.json()["token"]
    kept = AuthToken.objects.get()
    assert token not in kept.digest
    assert kept.user == treasurer
    assert client.get("/admin/jobs").status_code == 401
    assert client.get("/admin/jobs", **bearer(token)).status_code == 200


def test_a_wrong_password_is_401_and_makes_no_token(client, treasurer):
    response = client.post("/api/token", {"username": "treasurer", "password": "wrong"})
    assert response.status_code == 401
    assert response.json() == {
        "code": "invalid_credentials",
        "message": "unknown username or wrong password",
        "field": None,
    }
    assert not AuthToken.objects.exists()


def test_a_person_who_was_switched_off_gets_no_token_and_loses_the_old_ones(client, treasurer):
    _, token = AuthToken.objects.create(user=treasurer)
    treasurer.is_active = False
    treasurer.save()
    assert client.post("/api/token", {"username": "treasurer", "password": PASSWORD}).status_code == 401
    assert client.get("/admin/jobs", **bearer(token)).status_code == 401


def test_guessing_is_stopped_even_for_the_right_password(client, treasurer, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = client.post("/api/token", {"username": "treasurer", "password": "wrong"})
    assert response.status_code == 429
    response = client.post("/api/token", {"username": "treasurer", "password": PASSWORD})
    assert response.status_code == 429
    assert response.json()["code"] == "locked_out"
    assert not AuthToken.objects.exists()


def test_an_expired_token_is_401(client, treasurer):
    _, token = AuthToken.objects.create(user=treasurer, expiry=timedelta(seconds=-1))
    assert client.get("/admin/jobs", **bearer(token)).status_code == 401


def test_a_token_revokes_itself_and_no_other(client, treasurer):
    _, first = AuthToken.objects.create(user=treasurer)
    _, second = AuthToken.objects.create(user=treasurer)
    assert client.post("/api/token/revoke", **bearer(first)).status_code == 204
    assert client.get("/admin/jobs", **bearer(first)).status_code == 401
    assert client.get("/admin/jobs", **bearer(second)).status_code == 200


def test_a_session_cannot_revoke_by_this_address(client, treasurer):
    AuthToken.objects.create(user=treasurer)
    client.force_login(treasurer)
    assert client.post("/api/token/revoke").status_code == 403
    assert AuthToken.objects.count() == 1
