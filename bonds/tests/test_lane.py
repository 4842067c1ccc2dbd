"""A lane held by somebody who went silent keeps nobody waiting for ever."""

import threading

import pytest
from django.db import DatabaseError, connection, connections, transaction

from bonds.services import locks
from bonds.tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held_lane(monkeypatch):
    """A wallet whose lane another session holds, idle inside its transaction, until the test ends."""
    monkeypatch.setattr(locks, "LANE_SILENCE", "600ms")
    wallet, taken, done, errors = factories.wallet(), threading.Event(), threading.Event(), []

    def hold():
        try:
            with transaction.atomic():
                locks.wallet(wallet.pk)
                taken.set()
                done.wait(20)
        except DatabaseError as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    yield wallet
    done.set()
    thread.join(10)


def test_waiting_for_the_lane_is_bounded_and_writes_nothing(held_lane, monkeypatch):
    monkeypatch.setattr(locks, "LANE_WAIT", "100ms")
    with pytest.raises(locks.LaneBusy, match="another worker holds"), transaction.atomic():
        locks.wallet(held_lane.pk)


def test_a_holder_that_goes_silent_is_cut_off_by_the_server(held_lane):
    with transaction.atomic():
        assert locks.wallet(held_lane.pk) == held_lane
    with connection.cursor() as cursor:  # the bounds end with the transaction
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)
