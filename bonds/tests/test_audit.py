"""The audit log: chained, append-only, and checked by reading it again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from bonds.models import AuditEntry
from bonds.services import audit

pytestmark = pytest.mark.django_db

RUN, OTHER = UUID(int=1), UUID(int=2)


def note(act: str = "approved", chain: str = audit.of_run(RUN), **facts) -> AuditEntry:
    with transaction.atomic():
        return audit.record(chain=chain, actor="anna", act=act, subject="coupon 1", **facts)


def tamper(entry: AuditEntry, **columns) -> None:
    """What only somebody with the database's own rights can do: the triggers set aside."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        AuditEntry.objects.filter(pk=entry.pk).update(**columns)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_entries_are_chained_by_run_and_hold():
    first, second = (
        note(),
        note("released", reason="whitelisted now", before={"status": "held"}, after={"status": "ready"}),
    )
    other = note(chain=audit.of_run(OTHER))
    assert (first.number, first.previous_hash) == (1, audit.GENESIS)
    assert (second.number, second.previous_hash) == (2, first.hash)
    assert (other.number, other.previous_hash) == (1, audit.GENESIS)
    assert list(audit.breaks()) == []


def test_what_is_not_json_is_kept_as_it_is_read_back():
    entry = note(
        before={"at": datetime(2026, 3, 1, 14, 5, 0, 1, tzinfo=UTC), "run": RUN}, after={"units": 2**70, "name": "Ü"}
    )
    stored = AuditEntry.objects.get(pk=entry.pk)
    assert stored.after == {"units": 2**70, "name": "Ü"}
    assert audit.digest(stored) == stored.hash
    assert list(audit.breaks()) == []


@pytest.mark.parametrize("change", ["UPDATE bonds_auditentry SET actor = 'ben'", "DELETE FROM bonds_auditentry"])
def test_the_database_refuses_to_change_or_remove_an_entry(change):
    entry = note()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert AuditEntry.objects.get().hash == entry.hash


@pytest.mark.parametrize(
    "columns",
    [
        {"actor": "ben"},
        {"act": "rejected"},
        {"subject": "coupon 2"},
        {"reason": "x"},
        {"before": {"a": 1}},
        {"after": {"a": 1}},
        {"at": datetime(2026, 1, 1, tzinfo=UTC)},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_an_entry_changed_behind_the_triggers_is_found(columns):
    note()
    entry = note("released")
    note("closed")
    tamper(entry, **columns)
    assert [(found.number, found.fault) for found in audit.breaks()] == [
        (2, "it is not what was written: its hash differs")
    ]


def test_an_entry_changed_with_a_fitting_hash_breaks_the_chain_behind_it():
    entry, _ = note(), note("released")
    entry.actor = "ben"
    tamper(entry, actor="ben", hash=audit.digest(entry))
    assert [(found.number, found.fault) for found in audit.breaks()] == [(2, "it does not follow the entry before it")]


def test_an_entry_taken_out_of_the_middle_is_found():
    note()
    gone = note("released")
    note("closed")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM bonds_auditentry WHERE id = %s", [gone.pk])
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    assert [found.fault for found in audit.breaks()] == [
        "entry 2 is missing: the next one is 3",
        "it does not follow the entry before it",
    ]


def test_the_command_tells_of_breaks_and_ends_badly():
    said = StringIO()
    entry = note()
    call_command("verify_audit", stdout=said)
    assert said.getvalue() == "1 entries in 1 chains: none was changed\n"
    tamper(entry, actor="ben")
    with pytest.raises(CommandError, match="1 breaks"):
        call_command("verify_audit", stderr=StringIO())


@pytest.mark.django_db(transaction=True)
def test_an_entry_outside_a_transaction_is_refused():
    with pytest.raises(transaction.TransactionManagementError):
        audit.record(chain="run:1", actor="anna", act="approved", subject="coupon 1")
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_writers_of_one_chain_take_turns_and_a_rollback_leaves_no_gap():
    def write(number: int) -> None:
        try:
            with transaction.atomic():
                audit.record(chain="run:1", actor=f"p{number}", act="approved", subject="coupon 1")
                transaction.set_rollback(number % 3 == 0)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as people:
        list(people.map(write, range(1, 31)))
    assert list(AuditEntry.objects.values_list("number", flat=True)) == list(range(1, 21))
    assert list(audit.breaks()) == []
