"""Nobody is paid twice, missed, or paid a wrong amount: on a devnet's own books, a crash at every step, a fault at every answer."""

import shutil
import time
import uuid
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import transaction

from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.devnet.process import DevnetProcess
from bonds.chain.gateway import Hint, Transfer
from bonds.models import ChainTransaction, JournalEntry, Payment, PaymentAttempt
from bonds.services import listener, locks, payments, settlement, snapshots
from bonds.tests import factories
from bonds.tests.conftest import DEVNET_MODULES, REGISTRY_CONTRACT, TOKEN_CONTRACT, account
from jobs.models import Job
from jobs.service import JobContext

pytestmark = pytest.mark.django_db

HOLDERS = [account(f"holder {number}") for number in range(4)]
AMOUNTS = [1_000_001, 2_000_002, 3_000_003, 4_000_004]


class Crash(BaseException):
    """The process dies here."""


class Steps:
    """Numbers every point at which a worker can die, and dies at one of them."""

    def __init__(self, crash_at: int = 0) -> None:
        self.crash_at = crash_at
        self.names: list[str] = []

    def reach(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.crash_at:
            raise Crash(name)

    @contextmanager
    def fence(self):
        self.reach("before the transaction")
        with transaction.atomic():
            yield
            self.reach("before the commit")
        self.reach("after the commit")


class Watched:
    """The gateway, with a point to die before and after each send and after each answer."""

    def __init__(self, gateway, steps: Steps) -> None:
        self._gateway, self._steps = gateway, steps

    def __getattr__(self, name):
        return getattr(self._gateway, name)

    def submit(self, raw):
        self._steps.reach("before the send")
        hint = self._gateway.submit(raw)
        self._steps.reach("after the send")
        return hint

    def states(self, hashes):
        states = self._gateway.states(hashes)
        self._steps.reach("after the answer")
        return states


class Coupon:
    """One run of four payments on a devnet, and what the devnet itself says of it."""

    def __init__(self, devnet, gateway, holders=HOLDERS, amounts=AMOUNTS) -> None:
        self.control, self.gateway = devnet.control, gateway
        self.wallet_address = devnet.genesis.accounts[0].address
        self.control.create_accounts([(holder, None) for holder in holders])
        self.control.set_registry(REGISTRY_CONTRACT, holders, "whitelisted")
        self.control.advance(blocks=2)
        number = gateway.next_sequence_number(self.wallet_address)
        self.wallet = factories.wallet(address=self.wallet_address, next_sequence_number=number)
        self.bond = factories.bond(
            wallet=self.wallet, postsale_contract_index=TOKEN_CONTRACT, registry_contract_index=REGISTRY_CONTRACT
        )
        self.opening = self.balance(self.wallet_address)
        self.run = uuid.uuid4()
        payments.plan(
            bond=self.bond,
            run=self.run,
            kind="yield",
            period_start=date(2026, 2, 1),
            period_end=date(2026, 8, 1),
            lines=[
                payments.PaymentLine(i, h, a) for i, (h, a) in enumerate(zip(holders, amounts, strict=True), start=1)
            ],
        )
        payments.make_ready(self.run)

    def balance(self, address: str) -> int:
        return self.control.balances("EURD", [address]).get(address, 0)

    def pay(self, steps: Steps | None = None, first: int = 1, last: int = 4) -> payments.BatchProgress:
        steps = steps or Steps()
        context = JobContext(chain=Watched(self.gateway, steps), fence=steps.fence)
        return payments.pay_batch(run=self.run, first=first, last=last, context=context)

    def pay_to_the_end(self, rounds: int = 20) -> payments.BatchProgress:
        for _ in range(rounds):
            progress = self.pay()
            if not progress.open_count:
                return progress
            self.control.advance(blocks=2)
        raise AssertionError(f"still open after {rounds} rounds: {progress}")

    def pay_until_it_dies(self, steps: Steps) -> None:
        while self.pay(steps).open_count:
            self.control.advance(blocks=2)

    def statuses(self) -> list[str]:
        return list(Payment.objects.filter(run=self.run).order_by("position").values_list("status", flat=True))

    def assert_paid_once(self, paid: list[int]) -> None:
        """On the devnet's books and on ours: these positions got their amount, the others nothing."""
        expected = [AMOUNTS[i] if i + 1 in paid else 0 for i in range(4)]
        assert [self.balance(holder) for holder in HOLDERS] == expected
        assert self.opening - self.balance(self.wallet_address) == sum(expected)
        ours = Payment.objects.filter(run=self.run, status="paid")
        assert sorted(ours.values_list("position", flat=True)) == paid
        booked = JournalEntry.objects.filter(kind="pay", payment__run=self.run).values_list(
            "payment__position", "amount_units"
        )
        assert sorted((p, int(a)) for p, a in booked) == [(p, AMOUNTS[p - 1]) for p in paid]
        notices = Job.objects.filter(job_type="notification_individual_processor")
        assert sorted(notices.values_list("unique_key", flat=True)) == sorted(f"payment:{p.pk}" for p in ours)
        assert PaymentAttempt.objects.filter(payment__in=ours, live=True).count() == len(paid)


@pytest.fixture
def coupon(devnet, gateway):
    return Coupon(devnet, gateway)


def test_four_holders_are_paid_in_one_transaction_to_the_unit(coupon):
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])
    tx = ChainTransaction.objects.get()
    assert tx.status == "finalized"
    assert tx.cost_microccd == int(JournalEntry.objects.get(kind="fee").amount_units) > 0


def test_calling_again_after_the_end_changes_nothing(coupon):
    coupon.pay_to_the_end()
    coupon.pay()
    coupon.assert_paid_once([1, 2, 3, 4])
    assert ChainTransaction.objects.count() == 1


def _points() -> int:
    return 12  # asserted below: a clean payment passes exactly this many points


def test_the_crash_test_stops_at_every_point(coupon):
    steps = Steps()
    while coupon.pay(steps).open_count:
        coupon.control.advance(blocks=2)
    assert len(steps.names) == _points(), steps.names


@pytest.mark.parametrize("crash_at", range(1, _points() + 1))
def test_a_crash_at_any_point_still_pays_everyone_once(coupon, crash_at):
    with pytest.raises(Crash):
        coupon.pay_until_it_dies(Steps(crash_at))
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])
    assert ChainTransaction.objects.exclude(status="dead").count() == 1


def test_a_lost_reply_is_asked_by_hash_and_never_signed_again(coupon):
    coupon.control.lose_reply_next(1)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])
    assert ChainTransaction.objects.count() == 1


def test_a_payment_with_a_saved_hash_is_never_signed_again_while_it_may_still_land(coupon):
    coupon.control.drop_next_submits(1)
    coupon.pay()
    first = ChainTransaction.objects.get()
    coupon.control.advance(blocks=2, seconds=60)
    coupon.pay()  # forgotten by the node, not expired: the same bytes are sent again
    assert ChainTransaction.objects.get().transaction_hash == first.transaction_hash
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])


def test_a_transaction_proven_dead_is_replaced_under_the_same_sequence_number(coupon):
    coupon.control.drop_next_submits(1)
    coupon.pay()
    first = ChainTransaction.objects.get()
    coupon.control.advance(blocks=2, seconds=400)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])
    numbers = ChainTransaction.objects.order_by("signed_at").values_list("status", "sequence_number")
    assert list(numbers) == [("dead", first.sequence_number), ("finalized", first.sequence_number)]


def test_two_batches_sent_out_of_order_are_both_paid(coupon):
    coupon.control.drop_next_submits(1)
    coupon.pay(first=1, last=2)
    coupon.pay(first=3, last=4)  # the node lacks its predecessor: the whole open window is sent in order
    for _ in range(10):
        coupon.control.advance(blocks=2)
        if not coupon.pay(first=3, last=4).open_count + coupon.pay(first=1, last=2).open_count:
            break
    coupon.assert_paid_once([1, 2, 3, 4])
    assert ChainTransaction.objects.filter(status="finalized").count() == 2


@pytest.mark.parametrize(
    ("state", "reason"), [("blacklisted", "not_whitelisted"), ("not_in_registry", "not_whitelisted")]
)
def test_who_is_not_whitelisted_at_the_moment_of_signing_is_held(coupon, state, reason):
    coupon.control.set_registry(REGISTRY_CONTRACT, [HOLDERS[1]], state)
    coupon.control.advance(blocks=2)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 3, 4])
    held = Payment.objects.get(run=coupon.run, position=2)
    assert (held.status, held.hold_reason) == ("held", reason)
    assert not held.attempts.exists()


def test_a_refused_recipient_is_held_and_the_others_are_paid_in_the_next_batch(coupon):
    coupon.control.set_list("EURD", "deny", HOLDERS[2])
    coupon.control.advance(blocks=2)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 4])
    held = Payment.objects.get(run=coupon.run, position=3)
    assert (held.status, held.hold_reason) == ("held", "plt_refuses_recipient")
    rejected, paid = ChainTransaction.objects.order_by("sequence_number")
    assert (rejected.status, rejected.reject_index, paid.status) == ("rejected", 2, "finalized")


def test_a_recipient_without_an_account_is_held_and_the_others_are_paid(devnet, gateway, coupon):
    ghost = account("nobody")
    coupon.control.set_registry(REGISTRY_CONTRACT, [ghost], "whitelisted")
    coupon.control.advance(blocks=2)
    Payment.objects.filter(run=coupon.run, position=1).update(holder=ghost)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([2, 3, 4])
    assert Payment.objects.get(run=coupon.run, position=1).hold_reason == "account_missing"


def test_a_run_held_back_signs_nothing_more_and_what_is_sent_is_still_followed(coupon):
    def pay_held_back(first: int, last: int) -> payments.BatchProgress:
        steps = Steps()
        context = JobContext(chain=coupon.gateway, fence=steps.fence)
        return payments.pay_batch(
            run=coupon.run, first=first, last=last, context=context, holds_back=lambda run: "the run is paused"
        )

    coupon.pay(first=1, last=2)
    assert pay_held_back(3, 4).waiting_for == "the run is paused"
    coupon.control.advance(blocks=2)
    assert pay_held_back(1, 2).open_count == 0
    assert coupon.statuses() == ["paid", "paid", "ready", "ready"]
    assert ChainTransaction.objects.count() == 1
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])


def test_a_paused_token_waits_and_goes_on_by_itself(coupon):
    coupon.control.pause_token("EURD")
    coupon.control.advance(blocks=2)
    progress = coupon.pay()
    assert (progress.open_count, progress.waiting_for) == (4, "EURD is paused on the chain")
    assert not ChainTransaction.objects.exists()
    coupon.control.pause_token("EURD", False)
    coupon.control.advance(blocks=2)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])


def test_too_little_money_sends_nothing_and_names_what_is_missing(coupon):
    Payment.objects.filter(run=coupon.run, position=4).update(amount_units=coupon.opening)
    progress = coupon.pay()
    assert progress.waiting_for == f"insufficient_liquidity: {sum(AMOUNTS[:3])} units of EURD are missing in the wallet"
    assert coupon.statuses() == ["ready"] * 4
    assert not ChainTransaction.objects.exists()
    assert payments.shortfall_units(coupon.gateway, coupon.bond, coupon.run) == sum(AMOUNTS[:3])


def test_an_unreachable_node_is_a_reason_to_wait(coupon):
    coupon.control.refuse()
    progress = coupon.pay()
    assert progress.open_count == 4
    assert progress.waiting_for.startswith("the chain cannot be reached")
    coupon.control.refuse(False)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])


def _foreign_transfer(coupon, number: int) -> None:
    signed = coupon.gateway.sign_transfers(
        sender=coupon.wallet_address,
        token_id="EURD",
        decimals=6,
        transfers=[Transfer(HOLDERS[0], 7, b"elsewhere")],
        sequence_number=number,
        expires_at=datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5),
    )
    assert coupon.gateway.submit(signed.raw).hint is Hint.ACCEPTED


def test_a_key_used_elsewhere_before_signing_halts_the_wallet_and_signs_nothing(coupon):
    _foreign_transfer(coupon, coupon.wallet.next_sequence_number)
    coupon.control.advance(blocks=2)
    assert "ahead of the books" in coupon.pay().waiting_for
    coupon.wallet.refresh_from_db()
    assert coupon.wallet.halted_at is not None
    assert coupon.pay().waiting_for.startswith("wallet halted")
    assert not ChainTransaction.objects.exists()


def test_a_key_used_elsewhere_after_signing_halts_the_wallet_and_guesses_nothing(coupon):
    coupon.control.drop_next_submits(1)
    coupon.pay()
    _foreign_transfer(coupon, ChainTransaction.objects.get().sequence_number)
    coupon.control.advance(blocks=2)
    assert "not ours" in coupon.pay().waiting_for
    coupon.control.advance(blocks=2, seconds=400)
    assert "not ours" in coupon.pay().waiting_for
    assert coupon.statuses() == ["submitted"] * 4
    assert ChainTransaction.objects.count() == 1


def test_a_second_plan_for_the_same_period_is_refused_and_changes_nothing(coupon):
    line = payments.PaymentLine(1, HOLDERS[0], 5)
    with pytest.raises(payments.PaymentsOverlap, match="already has a yield payment"):
        payments.plan(
            bond=coupon.bond,
            run=uuid.uuid4(),
            kind="yield",
            period_start=date(2026, 2, 1),
            period_end=date(2026, 8, 1),
            lines=[line],
        )
    assert Payment.objects.count() == 4


def test_a_wallet_the_token_refuses_halts_the_lane_after_one_fee(coupon):
    coupon.control.set_list("EURD", "deny", coupon.wallet_address)
    coupon.control.advance(blocks=2)
    for _ in range(6):
        progress = coupon.pay()
        coupon.control.advance(blocks=2)
    assert "wallet halted" in progress.waiting_for
    assert list(ChainTransaction.objects.values_list("status", flat=True)) == ["rejected"]
    assert coupon.statuses() == ["ready"] * 4


def test_a_halted_lane_sends_nothing_of_what_is_stored(coupon):
    steps = Steps(crash_at=4)  # signed and committed, not sent
    with pytest.raises(Crash, match="before the send"):
        coupon.pay(steps)
    with transaction.atomic():
        settlement.halt(locks.wallet(coupon.wallet.pk), "key compromised")
    assert coupon.pay().waiting_for == "wallet halted: key compromised"
    coupon.control.advance(blocks=3)
    coupon.assert_paid_once([])


def test_books_ahead_of_the_chain_halt_the_lane(coupon):
    coupon.wallet.next_sequence_number += 1
    coupon.wallet.save()
    assert "the books are ahead of the chain" in coupon.pay().waiting_for
    coupon.wallet.refresh_from_db()
    assert coupon.wallet.halted_at is not None
    assert not ChainTransaction.objects.exists()


def test_a_balance_read_before_another_batch_was_paid_signs_nothing(coupon):
    Payment.objects.filter(run=coupon.run, position__in=[1, 3]).update(amount_units=coupon.opening - 10_000_000)
    coupon.pay(first=1, last=2)
    gateway = coupon.gateway

    class Racing:
        def __getattr__(self, name):
            return getattr(gateway, name)

        def next_sequence_number(self, account):
            number = gateway.next_sequence_number(account)
            coupon.control.advance(blocks=3)
            coupon.gateway = gateway
            coupon.pay(first=1, last=2)  # another worker records the first batch as paid just now
            return number

    coupon.gateway = Racing()
    coupon.pay(first=3, last=4)
    coupon.gateway = gateway
    coupon.control.advance(blocks=3)
    assert "insufficient_liquidity" in coupon.pay(first=3, last=4).waiting_for
    assert list(ChainTransaction.objects.values_list("status", flat=True)) == ["finalized"]


def test_two_runs_on_one_wallet_never_both_pass_on_the_same_money(coupon):
    Payment.objects.filter(run=coupon.run, position=1).update(amount_units=coupon.opening - 9_000_000)
    second = uuid.uuid4()
    payments.plan(
        bond=coupon.bond,
        run=second,
        kind="yield",
        period_start=date(2026, 8, 1),
        period_end=date(2027, 2, 1),
        lines=[payments.PaymentLine(1, HOLDERS[0], 9_000_000)],
    )
    opened = []
    context = JobContext(chain=coupon.gateway, fence=Steps().fence)
    missing = payments.open_run(bond=coupon.bond, run=second, context=context, on_open=lambda: opened.append(second))
    assert missing == sum(AMOUNTS[1:])
    assert opened == []
    assert list(Payment.objects.filter(run=second).values_list("status", flat=True)) == ["planned"]


def test_money_in_flight_counts_however_the_token_is_spelt(coupon):
    coupon.pay()
    assert coupon.statuses() == ["submitted"] * 4
    other = factories.bond(wallet=coupon.wallet, plt_token_id="eurd")
    factories.payment(other, plt_token_id="eurd", amount_units=10)
    run = Payment.objects.get(bond=other).run
    assert payments._shortfall(other, run, sum(AMOUNTS)) == 10


@pytest.fixture
def fresh_and_stuck(tmp_path):
    """A node, and a copy of it that hears of no new block but still answers."""
    with DevnetProcess(tmp_path / "fresh", hold=True) as node:
        node.control.create_accounts([(account("A"), None), (account("B"), None)])
        node.control.mint(TOKEN_CONTRACT, [(account("A"), 20485, 10)])
        node.control.advance(blocks=3)
    shutil.copytree(tmp_path / "fresh", tmp_path / "stuck")
    with DevnetProcess(tmp_path / "fresh", hold=True) as fresh, DevnetProcess(tmp_path / "stuck", hold=True) as stuck:
        yield fresh, stuck


def test_a_stuck_node_does_not_hide_what_has_become_final(fresh_and_stuck):
    fresh, stuck = fresh_and_stuck
    keys = KeyFileSigner(fresh.wallet_keys_file)
    connection = {"signer_factory": lambda: keys, "modules": DEVNET_MODULES}
    coupon = Coupon(fresh, ConcordiumGateway(endpoints=[fresh.address], **connection))
    coupon.pay()
    fresh.control.advance(blocks=3, seconds=100)
    last = ConcordiumGateway(endpoints=[stuck.address]).head().time
    while datetime.now(UTC) - last < timedelta(seconds=0.6):
        time.sleep(0.05)
    coupon.gateway = ConcordiumGateway(endpoints=[stuck.address, fresh.address], max_behind_seconds=0.5, **connection)
    coupon.pay_to_the_end()
    coupon.assert_paid_once([1, 2, 3, 4])


def test_a_lagging_node_never_tells_the_record_block(fresh_and_stuck):
    fresh, stuck = fresh_and_stuck
    gateway = ConcordiumGateway(endpoints=[fresh.address, stuck.address], modules=DEVNET_MODULES)
    fresh.control.transfer_lots(TOKEN_CONTRACT, [(account("A"), account("B"), 20485, 10)])
    fresh.control.advance(blocks=1)
    record_at = gateway.head().time
    fresh.control.advance(blocks=1, seconds=5)
    bond = factories.bond(postsale_contract_index=TOKEN_CONTRACT)
    listener.catch_up(gateway)

    class FailsOver:
        def __getattr__(self, name):
            return getattr(gateway, name)

        def head(self):
            head = gateway.head()
            fresh.control.refuse()  # the node goes away right after answering
            return head

    context = JobContext(chain=FailsOver(), fence=Steps().fence)
    with pytest.raises(snapshots.NotYet, match="cannot be reached"):
        snapshots.take(bond=bond, record_at=record_at, context=context)
    fresh.control.refuse(False)
    taken = snapshots.take(bond=bond, record_at=record_at, context=JobContext(chain=gateway, fence=Steps().fence))
    assert [(lot.holder, int(lot.balance_raw)) for lot in taken.lots.all()] == [(account("B"), 10)]
