"""A listener that is down, a bond it never read and an event nobody could read are seen on the first page and in the metrics."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from prometheus_client import generate_latest

from bonds.models import Bond, ListenerCursor, ParkedEvent
from bonds.services import parking
from config.console import figures, metrics, pages
from config.tests import books

pytestmark = pytest.mark.django_db

UNREAD = "An event of a watched contract could not be read"


@pytest.fixture
def staff():
    return User.objects.create(username="staff", is_staff=True, is_superuser=True)


@pytest.fixture
def bond(staff):
    return books.write(staff=staff).bond


def parked(bond):
    return ParkedEvent.objects.create(
        contract_index=bond.postsale_contract_index,
        contract_subindex=bond.postsale_contract_subindex,
        module_ref="ab" * 32,
        data=b"\xc8\x01",
        reason="tag 200 is unknown",
        block_height=20_500,
        block_hash="cc" * 32,
        block_time=timezone.now(),
        transaction_hash="dd" * 32,
        event_index=3,
    )


def sample(name):
    lines = generate_latest(metrics.registry()).decode().splitlines()
    return [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and not line.startswith("#")]


def test_an_event_nobody_could_read_needs_somebody_until_it_is_settled(bond, staff, rf):
    assert UNREAD not in pages.now_context(rf.get("/"))["verdict"].text
    event = parked(bond)
    verdict = pages.now_context(rf.get("/"))["verdict"]
    assert (verdict.level, verdict.text.startswith(UNREAD)) == ("bad", True)
    assert sample("listener_parked_events") == [1]
    parking.resolve(event.pk, actor=staff, reason="metadata only")
    assert UNREAD not in pages.now_context(rf.get("/"))["verdict"].text
    assert sample("listener_parked_events") == [0]


def test_a_bond_the_listener_never_began_to_read_is_found(bond, rf, monkeypatch):
    ListenerCursor.objects.all().delete()
    monkeypatch.setattr(figures, "verdict", lambda **facts: facts)
    assert figures.never_read() == []
    assert pages.now_context(rf.get("/"))["verdict"]["silent"] == 0
    Bond.objects.update(created_at=timezone.now() - timedelta(minutes=3))
    assert figures.never_read() == [bond]
    assert pages.now_context(rf.get("/"))["verdict"]["silent"] == 1
    assert sample("listener_bonds_never_read") == [1]


def test_how_far_and_how_long_the_listener_is_behind_is_measured(bond):
    ListenerCursor.objects.update(head_height=20_507, updated_at=timezone.now() - timedelta(hours=1))
    assert sample("listener_blocks_behind") == [7]
    assert sample("listener_silent_seconds")[0] >= 3600


def test_a_person_settles_a_parked_event_in_the_console_once(bond, staff, client):
    event = parked(bond)
    client.force_login(staff)
    page = f"/console/bonds/parkedevent/{event.pk}/change/"
    assert "c801" in client.get(page).content.decode()
    client.post(page, {"resolution_reason": "  "})
    assert ParkedEvent.objects.get().resolved_at is None
    client.post(page, {"resolution_reason": "metadata only"})
    settled = ParkedEvent.objects.get()
    assert (settled.resolved_by, settled.resolution_reason) == (staff, "metadata only")
    assert client.post(page, {"resolution_reason": "again"}).status_code == 403
    assert ParkedEvent.objects.get().resolution_reason == "metadata only"


@pytest.mark.parametrize("model", ["investmentrecord", "bondinvestor", "registrychange", "parkedevent"])
def test_what_the_listener_read_is_listed(bond, staff, client, model):
    parked(bond)
    client.force_login(staff)
    assert client.get(f"/console/bonds/{model}/").status_code == 200
    assert client.get(f"/console/bonds/{model}/add/").status_code == 403
