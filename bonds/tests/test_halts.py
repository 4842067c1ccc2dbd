"""Lifting the halt of a lane: a person's act, with a reason, refused while an outcome is unknown."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from bonds.chain.gateway import ChainUnavailable
from bonds.errors import Conflict, Invalid
from bonds.models import AuditEntry, Wallet
from bonds.services import audit, halts, locks, settlement
from bonds.tests import factories
from jobs.service import JobContext

pytestmark = pytest.mark.django_db(transaction=True)


class Chain:
    """A chain that is asked one thing only."""

    def __init__(self, next_sequence_number: int | None) -> None:
        self._next = next_sequence_number

    def next_sequence_number(self, account: str) -> int:
        if self._next is None:
            raise ChainUnavailable("no endpoint answers")
        return self._next


@pytest.fixture
def halted() -> Wallet:
    wallet = factories.wallet(next_sequence_number=5)
    with transaction.atomic():
        settlement.halt(locks.wallet(wallet.pk), "the key was used elsewhere")
    wallet.refresh_from_db()
    return wallet


def lift(wallet: Wallet, *, ahead: int | None = 5, reason: str = "the old node was switched off") -> Wallet:
    return halts.lift(wallet.pk, actor="anna", reason=reason, chain=Chain(ahead))


def everything(wallet: Wallet) -> list[object]:
    return [list(Wallet.objects.filter(pk=wallet.pk).values()), list(AuditEntry.objects.values())]


def test_a_halt_and_its_lifting_are_in_the_audit_log(halted):
    lift(halted)
    halted.refresh_from_db()
    assert (halted.halted_at, halted.halt_reason, halted.next_sequence_number) == (None, "", 5)
    (stopped, lifted) = AuditEntry.objects.filter(chain=audit.of_wallet(halted))
    assert (stopped.actor, stopped.act, stopped.reason) == ("system", "wallet halted", "the key was used elsewhere")
    assert (lifted.actor, lifted.act, lifted.reason) == ("anna", "halt lifted", "the old node was switched off")
    assert lifted.before["halt_reason"] == "the key was used elsewhere"
    assert lifted.after == {"halted_at": None, "halt_reason": "", "next_sequence_number": 5}
    assert list(audit.breaks()) == []


def test_the_books_take_over_the_chains_number_when_it_is_ahead_and_never_go_back(halted):
    assert lift(halted, ahead=9).next_sequence_number == 9
    with transaction.atomic():
        settlement.halt(locks.wallet(halted.pk), "again")
    assert lift(halted, ahead=3).next_sequence_number == 9


def test_an_open_transaction_the_chain_has_not_come_to_hinders_nothing(halted):
    factories.transaction(halted, sequence_number=5, status="submitted", submitted_at=timezone.now())
    assert lift(halted, ahead=5).halted_at is None


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 2001])
def test_without_a_reason_nothing_is_lifted(halted, reason):
    before = everything(halted)
    with pytest.raises(Invalid) as refused:
        lift(halted, reason=reason)
    assert refused.value.field == "reason"
    assert everything(halted) == before


def test_a_chain_that_cannot_be_asked_lifts_nothing(halted):
    before = everything(halted)
    with pytest.raises(Conflict, match="no endpoint answers"):
        lift(halted, ahead=None)
    assert everything(halted) == before


def test_a_lane_that_is_not_halted_is_left_alone():
    wallet = factories.wallet()
    before = everything(wallet)
    with pytest.raises(Conflict, match="is not halted"):
        lift(wallet)
    assert everything(wallet) == before


def test_while_an_outcome_is_unknown_the_lane_stays_halted(halted):
    """Its number is spent by something: perhaps by itself. Signed again under another number, it could pay twice."""
    factories.transaction(halted, sequence_number=4, status="submitted", submitted_at=timezone.now())
    before = everything(halted)
    with pytest.raises(Conflict, match="sequence number 4: its outcome must be known first"):
        lift(halted, ahead=5)
    assert everything(halted) == before


# --- console and API -----------------------------------------------------------------------------------------------
@pytest.fixture
def treasurer(client, monkeypatch, settings):
    settings.JOB_CONTEXT_FACTORY = "bonds.tests.test_halts.build_context"
    user = User.objects.create_user("anna", password="a long one", is_staff=True)
    names = ("lift_halt", "view_wallet", "view_auditentry")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return user


def build_context() -> JobContext:
    return JobContext(chain=Chain(7))


def test_the_console_lifts_it_with_a_reason_and_shows_a_refusal(client, halted, treasurer):
    page = reverse("admin:bonds_wallet_lift", args=[halted.pk])
    assert page in client.get(reverse("admin:bonds_wallet_changelist")).text
    assert "the key was used elsewhere" in client.get(page).text
    assert "Nothing was changed" in client.post(page, {"reason": " "}).text
    halted.refresh_from_db()
    assert halted.halted_at is not None
    client.post(page, {"reason": "checked"})
    halted.refresh_from_db()
    assert (halted.halted_at, halted.next_sequence_number) == (None, 7)
    assert "halt lifted" in client.get(reverse("admin:bonds_auditentry_changelist")).text


def test_the_api_lifts_it_once(client, halted, treasurer):
    url = f"/admin/bonds/wallets/{halted.pk}/lift-halt"
    refused = client.post(url, {}, content_type="application/json")
    assert refused.status_code == 400
    lifted = client.post(url, {"reason": "checked"}, content_type="application/json")
    assert (lifted.status_code, lifted.json()["halted_at"], lifted.json()["next_sequence_number"]) == (200, None, 7)
    again = client.post(url, {"reason": "checked"}, content_type="application/json")
    assert (again.status_code, AuditEntry.objects.count()) == (409, 2)


def test_without_the_permission_nobody_lifts_anything(client, halted, treasurer):
    treasurer.user_permissions.remove(Permission.objects.get(codename="lift_halt"))
    before = everything(halted)
    page = reverse("admin:bonds_wallet_lift", args=[halted.pk])
    assert client.post(page, {"reason": "checked"}).status_code == 403
    url = f"/admin/bonds/wallets/{halted.pk}/lift-halt"
    assert client.post(url, {"reason": "checked"}, content_type="application/json").status_code == 403
    assert everything(halted) == before
