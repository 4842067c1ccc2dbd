"""Claims and refunds on a devnet's fund: each investment settled once, whatever dies, and only who cannot be settled is left out."""

from collections.abc import Sequence
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, transaction

from bonds.errors import Conflict, Invalid, NotFound
from bonds.models import (
    AuditEntry,
    Bond,
    ChainTransaction,
    ClaimBatch,
    ClaimEntry,
    InvestmentRecord,
    JournalEntry,
)
from bonds.service import BondsService
from bonds.services import claims, listener, settlement
from bonds.tests import factories
from bonds.tests.conftest import REGISTRY_CONTRACT, TOKEN_CONTRACT
from jobs import review
from jobs.errors import Refused
from jobs.models import Job
from jobs.service import Done, JobContext, Snooze

pytestmark = pytest.mark.django_db(transaction=True)

PRESALE, FUND, DAY = 1002, 1003, 20454
AMOUNTS = [10, 20, 30, 40]


class Crash(BaseException):
    """The process dies here."""


class Raise:
    """A raise on the devnet with four investors, in the books as the listener read it."""

    def __init__(self, devnet, gateway, *, succeeds: bool = True) -> None:
        self.control, self.gateway = devnet.control, gateway
        self.wallet_address = devnet.genesis.accounts[0].address
        self.investors = [new_account(self.control) for _ in AMOUNTS]
        self.control.create_contract(PRESALE, "token")
        self.control.create_contract(FUND, "fund", agents=[devnet.genesis.operator, self.wallet_address])
        self.control.add_fund(FUND, presale=(PRESALE, DAY), security=(TOKEN_CONTRACT, DAY))
        self.control.invest(
            FUND, (TOKEN_CONTRACT, DAY), [(who, n, n * 1000) for who, n in zip(self.investors, AMOUNTS, strict=True)]
        )
        receiver = self.wallet_address if succeeds else None
        self.control.set_fund_state(FUND, (TOKEN_CONTRACT, DAY), receiver=receiver)
        self.control.advance(blocks=2)
        number = gateway.next_sequence_number(self.wallet_address)
        self.bond = factories.bond(
            wallet=factories.wallet(address=self.wallet_address, next_sequence_number=number),
            postsale_contract_index=TOKEN_CONTRACT,
            registry_contract_index=REGISTRY_CONTRACT,
            presale_contract_index=PRESALE,
            fund_contract_index=FUND,
            status="Success" if succeeds else "Failed",
        )
        self.actor = User.objects.create(username="anna", is_staff=True)
        self.read()

    def read(self) -> None:
        """What the listener and its jobs would do."""
        listener.catch_up(self.gateway)
        for record in InvestmentRecord.objects.filter(bond_investor__isnull=True):
            job = Job(job_type="bond_investment", payload={"record": record.pk})
            with transaction.atomic():
                assert isinstance(BondsService().process_job(job, JobContext(chain=self.gateway)), Done)

    def start(self, addresses: Sequence[str] = (), kind: str = "claim") -> claims.Started:
        return claims.start(
            self.bond.pk,
            claims.ClaimKind(kind),
            addresses,
            actor=self.actor,
            account_key=self.gateway.account_key,
        )

    def turn(self, fence=transaction.atomic) -> Done | Snooze:
        job = Job.objects.filter(job_type__in=claims.JOB_TYPES.values()).latest("pk")
        outcome = BondsService().process_job(job, JobContext(chain=self.gateway, fence=fence))
        assert isinstance(outcome, Done | Snooze), outcome
        return outcome

    def to_the_end(self, fence=transaction.atomic, rounds: int = 20) -> Done:
        for _ in range(rounds):
            outcome = self.turn(fence)
            if isinstance(outcome, Done):
                return outcome
            self.control.advance(blocks=2)
        raise AssertionError(f"still open after {rounds} rounds: {outcome}")

    def lots(self, contract: int = TOKEN_CONTRACT) -> dict[str, int]:
        return {lot[0]: lot[2] for lot in lots_of(self.control, contract)}

    def assert_settled_once(self, expected: Sequence[int]) -> None:
        """On the devnet's own books: nothing is open of these investors, and each has its post-sale lots exactly once."""
        assert self.lots() == {who: n for who, n in zip(self.investors, expected, strict=True) if n}

    def statuses(self) -> list[str]:
        return list(ClaimEntry.objects.order_by("batch__created_at", "position").values_list("status", flat=True))


def new_account(control) -> str:
    from bonds.chain.devnet.genesis import new_account as made

    address = made()[0]
    control.create_accounts([(address, None)])
    return address


def lots_of(control, contract: int) -> list[tuple[str, int, int]]:
    return [(lot[0], lot[1], lot[2]) for lot in control.lots(contract)]


@pytest.fixture
def success(devnet, gateway) -> Raise:
    return Raise(devnet, gateway)


@pytest.fixture
def failure(devnet, gateway) -> Raise:
    return Raise(devnet, gateway, succeeds=False)


def everything() -> list[object]:
    models = (ClaimBatch, ClaimEntry, ChainTransaction, AuditEntry)
    jobs = Job.objects.filter(job_type__in=claims.JOB_TYPES.values())
    return [*(list(model.objects.order_by("pk").values()) for model in models), list(jobs.values())]


# --- the way it should go ------------------------------------------------------------------------------------------
def test_everybody_is_claimed_in_one_call(success):
    started = success.start()
    assert (started.accepted, started.refused) == (4, [])
    success.to_the_end()
    success.assert_settled_once(AMOUNTS)
    assert success.lots(PRESALE) == {}
    tx = ChainTransaction.objects.get()
    assert (success.statuses(), tx.status, tx.run) == (["done"] * 4, "finalized", started.batch.pk)
    assert set(ClaimEntry.objects.values_list("transaction", flat=True)) == {tx.pk}
    assert list(JournalEntry.objects.values_list("kind", "asset")) == [("fee", "CCD")]
    (entry,) = AuditEntry.objects.all()
    assert (entry.actor, entry.act, entry.after) == ("anna", "claim started", {"accepted": 4, "refused": 0})


def test_a_failed_raise_is_refunded(failure):
    failure.start(kind="refund")
    failure.to_the_end()
    assert failure.lots(PRESALE) == failure.lots() == {}
    assert failure.statuses() == ["done"] * 4
    assert failure.control.investments(FUND) == []


def test_only_who_was_named_is_claimed_and_the_rest_later(success):
    first, second = success.investors[1], success.investors[3]
    assert success.start([second, first, second]).accepted == 2
    success.to_the_end()
    success.assert_settled_once([0, 20, 0, 40])
    success.read()
    assert success.start().accepted == 2
    success.to_the_end()
    success.assert_settled_once(AMOUNTS)


def test_calling_again_after_the_end_changes_nothing(success):
    success.start()
    success.to_the_end()
    before = everything()
    assert isinstance(success.turn(), Done)
    assert everything() == before


# --- refusals ------------------------------------------------------------------------------------------------------
def test_addresses_are_refused_one_by_one(success):
    stranger = new_account(success.control)
    success.start([success.investors[0]])
    started = success.start(["nonsense", stranger, success.investors[0], success.investors[1]])
    assert started.accepted == 1
    reasons = {one.address: one.reason for one in started.refused}
    assert "no account address" in reasons["nonsense"]
    assert "nothing of theirs is open" in reasons[stranger]
    assert "in a batch" in reasons[success.investors[0]]


def test_with_every_address_refused_nothing_is_stored(success):
    before = everything()
    with pytest.raises(Invalid, match="nonsense") as refused:
        success.start(["nonsense"])
    assert (refused.value.field, everything()) == ("account_addresses", before)


def test_when_nobody_is_left_nothing_is_stored(success):
    success.start()
    before = everything()
    with pytest.raises(Conflict, match="nobody is left to claim"):
        success.start()
    assert everything() == before


@pytest.mark.parametrize(("status", "kind"), [("Active", "claim"), ("Failed", "claim"), ("Success", "refund")])
def test_the_bonds_status_decides(success, status, kind):
    Bond.objects.update(status=status)
    before = everything()
    with pytest.raises(Conflict, match=f"a {kind} needs a bond in status"):
        success.start(kind=kind)
    assert everything() == before


def test_without_a_fund_or_a_bond_nothing_starts(success):
    Bond.objects.update(fund_contract_index=None)
    with pytest.raises(Conflict, match="no fund contract"):
        success.start()
    success.bond.pk = uuid4()
    with pytest.raises(NotFound):
        success.start()
    assert not ClaimBatch.objects.exists()


def test_the_database_settles_an_investment_once(success):
    success.start()
    entry = ClaimEntry.objects.first()
    entry.pk, entry.position = None, 99
    with pytest.raises(IntegrityError, match="bonds_claimentry_one_per_investment"):
        entry.save(force_insert=True)


# --- what the chain refuses ----------------------------------------------------------------------------------------
def test_a_call_the_chain_refuses_is_taken_apart_and_only_its_cause_stays_refused(success):
    """Somebody claims by themselves after the batch was made: the fund knows no such investment any more."""
    success.start()
    success.control.claim(FUND, (TOKEN_CONTRACT, DAY), [success.investors[2]])
    success.to_the_end()
    success.assert_settled_once(AMOUNTS)
    assert sorted(success.statuses()) == ["done", "done", "done", "refused"]
    refused = ClaimEntry.objects.get(status="refused")
    assert refused.investor == success.investors[2]
    assert "-12" in refused.refusal
    assert ChainTransaction.objects.filter(status="rejected").count() == 2
    success.read()
    with pytest.raises(Conflict, match="nobody is left"):
        success.start()


def test_a_halted_lane_signs_nothing_and_goes_on_once_lifted(success):
    from bonds.services import halts, locks

    success.start()
    with transaction.atomic():
        settlement.halt(locks.wallet(success.bond.wallet_id), "key compromised")
    outcome = success.turn()
    assert (type(outcome), outcome.reason) == (Snooze, "wallet halted: key compromised")
    assert not ChainTransaction.objects.exists()
    halts.lift(success.bond.wallet_id, actor="anna", reason="key replaced", chain=success.gateway)
    success.to_the_end()
    success.assert_settled_once(AMOUNTS)


# --- whatever dies -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("crash_at", range(1, 10))
def test_a_crash_at_any_point_settles_everybody_once(success, crash_at):
    reached: list[str] = []

    def reach(name: str) -> None:
        reached.append(name)
        if len(reached) == crash_at:
            raise Crash(name)

    @contextmanager
    def fence():
        reach("before the transaction")
        with transaction.atomic():
            yield
            reach("before the commit")
        reach("after the commit")

    success.start()
    with pytest.raises(Crash):
        success.to_the_end(fence)
    success.to_the_end()
    success.assert_settled_once(AMOUNTS)
    assert success.statuses() == ["done"] * 4
    assert ChainTransaction.objects.count() == 1


def test_a_lost_reply_and_a_dropped_request_are_asked_by_hash(success):
    success.start()
    success.control.lose_reply_next(1)
    success.to_the_end()
    success.assert_settled_once(AMOUNTS)
    assert ChainTransaction.objects.count() == 1


def test_a_call_that_died_is_signed_again_under_its_number(success, settings):
    settings.PAYMENT_EXPIRY_SECONDS = 60
    success.start()
    success.control.drop_next_submits(1)
    success.turn()
    first = ChainTransaction.objects.get()
    success.control.hold()
    success.control.advance(blocks=2, seconds=120)
    success.turn()
    success.to_the_end()
    success.assert_settled_once(AMOUNTS)
    numbers = list(ChainTransaction.objects.order_by("signed_at").values_list("status", "sequence_number"))
    assert numbers == [("dead", first.sequence_number), ("finalized", first.sequence_number)]


# --- jobs, console and API -----------------------------------------------------------------------------------------
def test_a_job_with_open_investments_cannot_be_discarded(success):
    success.start()
    job = Job.objects.get(job_type="bond_claim")
    Job.objects.filter(pk=job.pk).update(status="failed", finished_at=job.created_at)
    job.refresh_from_db()
    with pytest.raises(Refused, match="still has 4 investments to settle"):
        review.discard(job, "anna", "tired of it")
    success.to_the_end()
    assert review.discard(job, "anna", "all settled").resolution == "discarded"


@pytest.fixture
def staff(client, success, monkeypatch, settings):
    settings.JOB_CONTEXT_FACTORY = "bonds.tests.test_claims.build_context"
    monkeypatch.setattr("bonds.tests.test_claims.CHAIN", success.gateway, raising=False)
    names = ("start_claimbatch", "view_claimbatch", "view_claimentry")
    success.actor.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(success.actor)
    return success.actor


CHAIN = None


def build_context() -> JobContext:
    return JobContext(chain=CHAIN)


def post(client, success, verb: str = "claim", **headers):
    url = f"/admin/bonds/{success.bond.pk}/{verb}"
    body = {"account_addresses": [success.investors[0], "nonsense"]}
    return client.post(url, body, content_type="application/json", headers=headers)


def test_the_api_answers_batch_accepted_and_refused_and_the_same_again_for_the_same_key(client, success, staff):
    answer = post(client, success, **{"Idempotency-Key": "k1"})
    assert answer.status_code == 202, answer.text
    batch = ClaimBatch.objects.get()
    assert (answer.json()["batch_id"], answer.json()["accepted"]) == (str(batch.pk), 1)
    assert [one["address"] for one in answer.json()["refused"]] == ["nonsense"]
    assert post(client, success, **{"Idempotency-Key": "k1"}).json() == answer.json()
    assert ClaimBatch.objects.count() == 1
    assert "0 of 1" in client.get("/console/bonds/claimbatch/").text
    assert client.get("/console/bonds/claimentry/").status_code == 200


def test_the_api_refuses_a_refund_of_a_success_and_whoever_lacks_the_permission(client, success, staff):
    before = everything()
    assert post(client, success, "refund").status_code == 409
    staff.user_permissions.clear()
    assert post(client, success).status_code == 403
    assert everything() == before
