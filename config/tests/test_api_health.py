"""What load balancers and Prometheus ask."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from knox.models import AuthToken

from config import api


def test_live_needs_nothing_but_the_process(client):
    assert client.get("/health/live").json() == {"status": "ok"}


@pytest.mark.django_db
def test_ready_when_the_database_answers_and_is_migrated(client):
    response = client.get("/health/ready")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_not_ready_while_a_migration_is_missing(client):
    MigrationRecorder(connection).record_unapplied("knox", "0009_extend_authtoken_field")
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "reason": "1 migrations are not applied"}


@pytest.mark.django_db
def test_not_ready_while_the_database_does_not_answer(client, monkeypatch, tmp_path):
    nowhere = connection.copy()
    nowhere.settings_dict["HOST"] = str(tmp_path)
    monkeypatch.setattr(api, "connection", nowhere)
    response = client.get("/health/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "reason": "the database does not answer"}


@pytest.mark.django_db
def test_metrics_are_for_staff_in_the_format_prometheus_reads():
    client = Client()
    assert client.get("/metrics").status_code == 401
    _, token = AuthToken.objects.create(user=User.objects.create_user("scraper", is_staff=True))
    response = client.get(
        "/metrics", headers={"authorization": f"Bearer {token}", "accept": "text/plain;version=0.0.4"}
    )
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert b'jobs{status="failed"} 0.0' in response.content
