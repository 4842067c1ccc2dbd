"""Every fault the devnet can play, and exactly what the gateway reports of it: the hint, the stage, whether a payment is proven dead."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.devnet.chain import Chain
from bonds.chain.devnet.client import DevnetControlError
from bonds.chain.devnet.genesis import default_genesis
from bonds.chain.devnet.process import DevnetProcess
from bonds.chain.devnet.user import DevnetUser
from bonds.chain.gateway import (
    ChainUnavailable,
    Hint,
    Rejection,
    SignedTransaction,
    Stage,
    SubmitHint,
    TokenTransferred,
    Transfer,
)
from bonds.chain.wire import node_pb2 as pb
from bonds.tests.conftest import account

HOLDERS = [account(f"paid {number}") for number in range(3)]
AMOUNTS = [1_000_001, 2_000_002, 3_000_003]
NOBODY = [0, 0, 0]
EXPIRY_SECONDS = 300
PAST_EXPIRY = {"seconds": EXPIRY_SECONDS + 1, "blocks": 2}  # two: the first of them is final


class Desk:
    """One wallet, three holders to pay, and what the devnet's own books say of them."""

    def __init__(self, devnet: DevnetProcess) -> None:
        self.devnet, self.control = devnet, devnet.control
        self.wallet = devnet.genesis.accounts[0].address
        self.gateway = self.connect(devnet.address)

    def connect(self, *endpoints: str, max_behind_seconds: float | None = None) -> ConcordiumGateway:
        return ConcordiumGateway(
            endpoints=endpoints,
            signer_factory=lambda: KeyFileSigner(self.devnet.wallet_keys_file),
            timeout_seconds=5,
            max_behind_seconds=max_behind_seconds,
        )

    def sign(self, number: int = 1, amounts: Sequence[int] = AMOUNTS) -> SignedTransaction:
        """A batch to the three holders that expires by chain time."""
        now = datetime.fromtimestamp(self.control.state()["now_ms"] / 1000, UTC)
        return self.gateway.sign_transfers(
            sender=self.wallet,
            token_id="EURD",
            decimals=6,
            transfers=[Transfer(holder, amount, b"") for holder, amount in zip(HOLDERS, amounts, strict=True)],
            sequence_number=number,
            expires_at=now + timedelta(seconds=EXPIRY_SECONDS),
        )

    def sent(self, number: int = 1) -> SignedTransaction:
        batch = self.sign(number)
        assert self.gateway.submit(batch.raw) == SubmitHint(Hint.ACCEPTED, "")
        return batch

    def stage(self, batch: SignedTransaction, gateway: ConcordiumGateway | None = None) -> Stage:
        return (gateway or self.gateway).states([batch.transaction_hash])[batch.transaction_hash].stage

    def rejection(self, batch: SignedTransaction) -> Rejection | None:
        """Why the batch, which is final, had no effect."""
        state = self.gateway.states([batch.transaction_hash])[batch.transaction_hash]
        assert (state.stage, state.transfers) == (Stage.FINALIZED, ())
        return state.rejection

    def is_dead(self, batch: SignedTransaction, gateway: ConcordiumGateway | None = None) -> bool:
        return (gateway or self.gateway).provably_dead(
            sender=self.wallet,
            sequence_number=batch.sequence_number,
            expires_at=batch.expires_at,
            transaction_hashes=[batch.transaction_hash],
        )

    def next_number(self) -> int:
        return self.gateway.next_sequence_number(self.wallet)

    def paid(self) -> list[int]:
        balances = self.control.balances("EURD", HOLDERS)
        return [balances[holder] for holder in HOLDERS]


@pytest.fixture
def desk(devnet) -> Desk:
    devnet.control.create_accounts([(holder, None) for holder in HOLDERS])
    return Desk(devnet)


@pytest.fixture
def second(devnet) -> str:
    """The address of a second node of the same chain."""
    return devnet.control.add_node("second")


def assert_paid_once(desk: Desk, batch: SignedTransaction) -> None:
    desk.control.advance(blocks=2)
    state = desk.gateway.states([batch.transaction_hash])[batch.transaction_hash]
    assert (state.stage, state.rejection) == (Stage.FINALIZED, None)
    assert state.transfers == tuple(
        TokenTransferred("EURD", desk.wallet, holder, amount, 6, None)
        for holder, amount in zip(HOLDERS, AMOUNTS, strict=True)
    )
    assert desk.paid() == AMOUNTS
    assert desk.next_number() == batch.sequence_number + 1
    assert not desk.is_dead(batch)


# ---- between us and the node ------------------------------------------------------------------------------------------


def test_a_lost_reply_is_unreachable_and_the_transaction_is_there(desk):
    desk.control.lose_reply_next()
    batch = desk.sign()
    hint = desk.gateway.submit(batch.raw)
    assert (hint.hint, "the connection broke" in hint.detail) == (Hint.UNREACHABLE, True)
    assert desk.stage(batch) is Stage.RECEIVED
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.KNOWN, "Duplicate entry")
    assert_paid_once(desk, batch)


def test_after_a_lost_reply_the_second_node_is_offered_the_same_bytes_and_knows_them(desk, second):
    desk.control.lose_reply_next()
    batch = desk.sign()
    hint = desk.connect(desk.devnet.address, second).submit(batch.raw)
    assert hint == SubmitHint(Hint.KNOWN, "Duplicate entry")
    assert_paid_once(desk, batch)


def test_a_dropped_request_is_accepted_and_not_found_and_not_dead_before_its_expiry(desk):
    desk.control.drop_next_submits()
    batch = desk.sent()
    desk.control.advance(blocks=2)
    assert desk.stage(batch) is Stage.NOT_FOUND
    assert not desk.is_dead(batch)
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.ACCEPTED, "")
    assert_paid_once(desk, batch)


def test_a_request_delivered_twice_is_known_and_pays_once(desk):
    desk.control.duplicate_next_submits()
    batch = desk.sign()
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.KNOWN, "Duplicate entry")
    assert_paid_once(desk, batch)


def test_bytes_delivered_again_after_finality_change_nothing(desk):
    batch = desk.sent()
    assert desk.control.deliver_again(batch.transaction_hash) == "Duplicate entry"
    assert_paid_once(desk, batch)
    assert desk.control.deliver_again(batch.transaction_hash) == "Duplicate nonce"
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.KNOWN, "Duplicate nonce")
    assert_paid_once(desk, batch)


# ---- on the way into a block ------------------------------------------------------------------------------------------


def test_a_slow_transaction_stays_received_and_is_not_dead(desk):
    desk.control.slow_inclusion(3)
    batch = desk.sent()
    desk.control.advance(blocks=3)
    assert desk.stage(batch) is Stage.RECEIVED
    assert (desk.paid(), desk.next_number(), desk.is_dead(batch)) == (NOBODY, 1, False)
    desk.control.advance()
    assert desk.stage(batch) is Stage.COMMITTED
    assert desk.next_number() == 1  # committed is not final
    assert_paid_once(desk, batch)


def test_a_successor_waits_for_a_slow_transaction(desk):
    desk.control.slow_inclusion(3)
    slow = desk.sent(1)
    desk.control.slow_inclusion(0)
    successor = desk.sent(2)
    desk.control.advance(blocks=3)
    assert [desk.stage(slow), desk.stage(successor)] == [Stage.RECEIVED, Stage.RECEIVED]
    desk.control.advance(blocks=2)
    assert [desk.stage(slow), desk.stage(successor)] == [Stage.FINALIZED, Stage.FINALIZED]
    assert desk.paid() == [2 * amount for amount in AMOUNTS]


def test_a_transaction_no_block_takes_is_dead_after_its_expiry_and_its_number_is_free(desk, second):
    both = desk.connect(desk.devnet.address, second)
    desk.control.withhold_inclusion()
    batch = desk.sent()
    desk.control.advance(seconds=EXPIRY_SECONDS - 10, blocks=2)
    assert desk.stage(batch) is Stage.RECEIVED
    assert (desk.is_dead(batch), desk.is_dead(batch, both)) == (False, False)
    desk.control.advance(**PAST_EXPIRY)
    assert desk.stage(batch) is Stage.NOT_FOUND
    assert (desk.is_dead(batch), desk.is_dead(batch, both)) == (True, True)
    assert (desk.paid(), desk.next_number()) == (NOBODY, 1)
    desk.control.withhold_inclusion(False)
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.REFUSED, "Stale")
    assert_paid_once(desk, desk.sent())  # signed anew with the same number
    assert desk.stage(batch) is Stage.NOT_FOUND


def test_a_purged_transaction_is_not_found_yet_not_dead_for_it_may_turn_up_again(desk, second):
    both = desk.connect(desk.devnet.address, second)
    first, successor = desk.sent(1), desk.sent(2)
    assert desk.control.purge([first.transaction_hash]) == [first.transaction_hash, successor.transaction_hash]
    desk.control.advance(blocks=2)
    assert [desk.stage(first), desk.stage(successor)] == [Stage.NOT_FOUND, Stage.NOT_FOUND]
    assert (desk.is_dead(first), desk.is_dead(first, both), desk.next_number()) == (False, False, 1)
    assert desk.gateway.submit(successor.raw) == SubmitHint(Hint.TOO_EARLY, "Nonce too large")
    assert desk.control.deliver_again(first.transaction_hash) == "received"  # another node had kept it
    assert desk.stage(first) is Stage.RECEIVED
    assert_paid_once(desk, first)


def test_a_purged_transaction_is_dead_after_its_expiry_and_never_comes_back(desk):
    batch = desk.sent()
    assert desk.control.purge() == [batch.transaction_hash]
    desk.control.advance(**PAST_EXPIRY)
    assert desk.is_dead(batch)
    assert desk.control.deliver_again(batch.transaction_hash) == "Stale"
    desk.control.advance(blocks=2)
    assert (desk.stage(batch), desk.paid(), desk.next_number()) == (Stage.NOT_FOUND, NOBODY, 1)


# ---- forks ------------------------------------------------------------------------------------------------------------


def test_a_committed_transaction_falls_back_to_received_and_is_final_in_another_block(desk):
    batch = desk.sent()
    desk.control.advance()
    orphan, final = desk.control.state()["block_hash"], desk.gateway.head()
    assert desk.stage(batch) is Stage.COMMITTED
    assert desk.control.fork() == [batch.transaction_hash]
    assert desk.stage(batch) is Stage.RECEIVED
    assert (desk.paid(), desk.is_dead(batch), desk.gateway.head()) == (NOBODY, False, final)
    desk.control.advance()
    assert desk.stage(batch) is Stage.COMMITTED
    assert_paid_once(desk, batch)
    state = desk.gateway.states([batch.transaction_hash])[batch.transaction_hash]
    assert (state.block_height, state.block_hash == orphan) == (final.height + 1, False)
    blocks = list(desk.gateway.blocks(0, desk.gateway.head().height, []))  # raises where two do not join
    assert orphan not in {block.block_hash for block in blocks}


def test_a_committed_transaction_that_vanishes_for_good_is_dead_only_after_its_expiry(desk):
    batch = desk.sent()
    desk.control.advance()
    successor = desk.sent(2)
    assert desk.control.fork(reinclude=False) == [batch.transaction_hash]
    desk.control.advance(blocks=2)
    assert [desk.stage(batch), desk.stage(successor)] == [Stage.NOT_FOUND, Stage.NOT_FOUND]
    assert (desk.is_dead(batch), desk.next_number()) == (False, 1)
    desk.control.advance(**PAST_EXPIRY)
    assert (desk.is_dead(batch), desk.paid(), desk.next_number()) == (True, NOBODY, 1)


def test_the_bytes_of_a_transaction_that_vanished_can_be_sent_again_and_its_successor_is_too_early_until_then(desk):
    batch = desk.sent()
    desk.control.advance()
    successor = desk.sent(2)
    desk.control.fork(reinclude=False)
    assert [desk.stage(batch), desk.stage(successor)] == [Stage.NOT_FOUND, Stage.NOT_FOUND]
    assert desk.gateway.submit(successor.raw) == SubmitHint(Hint.TOO_EARLY, "Nonce too large")
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.ACCEPTED, "")
    assert_paid_once(desk, batch)


def test_what_waited_behind_a_forked_block_keeps_its_order(desk):
    first = desk.sent(1)
    desk.control.advance()
    second = desk.sent(2)
    desk.control.fork()
    desk.control.advance(blocks=2)
    assert [desk.stage(first), desk.stage(second)] == [Stage.FINALIZED, Stage.FINALIZED]
    assert desk.paid() == [2 * amount for amount in AMOUNTS]


def test_a_final_block_cannot_be_forked(desk):
    batch = desk.sent()
    desk.control.advance()
    desk.control.fork()
    before = desk.control.state()
    with pytest.raises(DevnetControlError, match="the last block is final"):
        desk.control.fork()
    assert {**desk.control.state(), "now_ms": 0} == {**before, "now_ms": 0}
    assert_paid_once(desk, batch)


def test_a_forked_chain_survives_a_restart_and_what_was_final_stays_final(tmp_path):
    with DevnetProcess(tmp_path, hold=True) as devnet:
        devnet.control.create_accounts([(holder, None) for holder in HOLDERS])
        desk = Desk(devnet)
        books, lost = desk.control.balances("EURD"), desk.sent()
        desk.control.advance()
        before = desk.gateway.head()
        desk.control.fork()
    with DevnetProcess(tmp_path, hold=True) as devnet:
        desk = Desk(devnet)
        assert desk.gateway.head() == before
        assert devnet.control.state()["height"] == before.height
        assert devnet.control.balances("EURD") == books
        desk.control.advance()
        assert desk.paid() == NOBODY
        assert desk.stage(lost) is Stage.NOT_FOUND  # what a node had only received is lost with it
        assert desk.gateway.submit(lost.raw) == SubmitHint(Hint.ACCEPTED, "")
        assert_paid_once(desk, lost)


def test_the_block_that_takes_anothers_place_is_another_even_within_one_millisecond(tmp_path):
    genesis = default_genesis(tmp_path)
    chain = Chain(tmp_path, genesis, clock_ms=lambda: genesis.genesis_time_ms + 1000)
    orphan = chain.produce()
    chain.fork(reinclude=True)
    instead = chain.produce()
    chain.close()
    assert (instead.height, instead.parent_hash) == (orphan.height, orphan.parent_hash)
    assert instead.block_hash != orphan.block_hash


def test_the_bell_of_new_blocks_tells_of_the_block_that_takes_anothers_place(devnet):
    devnet.producer.block_seconds = 0.05
    with DevnetUser.from_keys_file(devnet.address, devnet.wallet_keys_file) as user:
        stream = user.node.GetBlocks(pb.Empty(), timeout=60)
        devnet.control.resume()
        told = next(stream)
        devnet.control.hold()
        orphan = devnet.control.state()
        while told.hash.value.hex() != orphan["block_hash"]:
            told = next(stream)
        devnet.control.fork()
        devnet.control.advance()
        told = next(stream)
        stream.cancel()
    assert told.height.value == orphan["height"]
    assert told.hash.value.hex() == devnet.control.state()["block_hash"] != orphan["block_hash"]


# ---- nodes that are not in step ---------------------------------------------------------------------------------------


def test_a_lagging_node_is_passed_over_where_a_limit_is_set(desk, second):
    desk.control.advance(blocks=2)
    desk.control.lag(1000, node="second")  # behind the first block: 400 days
    lagging = desk.connect(second, max_behind_seconds=3600)
    batch = desk.sent()
    with pytest.raises(ChainUnavailable, match="its last finalised block is of"):
        lagging.head()
    with pytest.raises(ChainUnavailable, match="its last finalised block is of"):
        desk.stage(batch, lagging)
    assert lagging.submit(batch.raw).hint is Hint.UNREACHABLE
    assert not desk.is_dead(batch, lagging)
    both = desk.connect(second, desk.devnet.address, max_behind_seconds=3600)
    assert both.head() == desk.gateway.head()
    assert desk.stage(batch, both) is Stage.RECEIVED
    assert_paid_once(desk, batch)


def test_a_lagging_node_without_a_limit_does_not_find_what_is_final_and_takes_it_again_to_no_effect(desk, second):
    batch = desk.sent()
    assert_paid_once(desk, batch)
    desk.control.lag(4, node="second")
    lagging = desk.connect(second)
    assert desk.stage(batch, lagging) is Stage.NOT_FOUND
    assert lagging.next_sequence_number(desk.wallet) == 1
    assert lagging.submit(desk.sign(2).raw) == SubmitHint(Hint.TOO_EARLY, "Nonce too large")
    assert not desk.is_dead(batch, lagging)
    assert lagging.submit(batch.raw) == SubmitHint(Hint.ACCEPTED, "")
    assert desk.stage(batch, lagging) is Stage.RECEIVED
    assert_paid_once(desk, batch)
    desk.control.lag(0, node="second")
    assert desk.stage(batch, lagging) is Stage.FINALIZED


def test_a_transaction_is_not_dead_while_the_second_node_has_not_seen_the_time_pass(desk, second):
    desk.control.freeze(node="second")
    frozen, both = desk.connect(second), desk.connect(desk.devnet.address, second)
    stuck_at = frozen.head()
    desk.control.drop_next_submits()
    batch = desk.sent()
    desk.control.advance(**PAST_EXPIRY)
    assert frozen.head() == stuck_at
    assert desk.is_dead(batch)
    assert (desk.is_dead(batch, frozen), desk.is_dead(batch, both)) == (False, False)
    desk.control.freeze(False, node="second")
    assert frozen.head() == desk.gateway.head()
    assert desk.is_dead(batch, both)
    assert desk.paid() == NOBODY


def test_a_node_that_denies_a_hash_does_not_make_it_dead(desk, second):
    denying, both = desk.connect(second), desk.connect(second, desk.devnet.address)
    batch = desk.sent()
    desk.control.deny([batch.transaction_hash], node="second")
    assert (desk.stage(batch, denying), desk.stage(batch)) == (Stage.NOT_FOUND, Stage.RECEIVED)
    assert (desk.is_dead(batch, denying), desk.is_dead(batch, both)) == (False, False)
    assert denying.submit(batch.raw) == SubmitHint(Hint.ACCEPTED, "")  # it never heard of it, the network did
    assert_paid_once(desk, batch)
    desk.control.advance(**PAST_EXPIRY)
    assert (desk.stage(batch, denying), desk.stage(batch)) == (Stage.NOT_FOUND, Stage.FINALIZED)
    assert not desk.is_dead(batch, denying)  # for the number is used in its final block
    assert denying.submit(desk.sign(1).raw) == SubmitHint(Hint.KNOWN, "Duplicate nonce")
    desk.control.deny([], node="second")
    assert desk.stage(batch, denying) is Stage.FINALIZED


def test_one_node_that_lies_about_time_and_hash_is_believed_alone_but_not_beside_an_honest_one(desk, second):
    lying, both = desk.connect(second), desk.connect(second, desk.devnet.address)
    desk.control.withhold_inclusion()
    batch = desk.sent()
    desk.control.advance(blocks=2)
    desk.control.deny([batch.transaction_hash], node="second")
    desk.control.skew(EXPIRY_SECONDS + 60, node="second")
    assert lying.head().time > batch.expires_at > desk.gateway.head().time
    assert desk.is_dead(batch, lying)
    assert not desk.is_dead(batch, both)
    desk.control.withhold_inclusion(False)
    assert_paid_once(desk, batch)
    assert not desk.is_dead(batch, lying)  # it cannot deny that the number is used


def test_a_node_that_is_down_is_unavailable_and_the_other_one_answers(desk, second):
    batch = desk.sign()
    both = desk.connect(desk.devnet.address, second)
    desk.control.refuse()
    for ask in (desk.gateway.head, desk.next_number, lambda: desk.stage(batch), lambda: desk.is_dead(batch)):
        with pytest.raises(ChainUnavailable, match="UNAVAILABLE connection refused"):
            ask()
    assert desk.gateway.submit(batch.raw).hint is Hint.UNREACHABLE
    assert both.head() == desk.connect(second).head()
    assert both.submit(batch.raw) == SubmitHint(Hint.ACCEPTED, "")
    assert desk.stage(batch, both) is Stage.RECEIVED
    desk.control.refuse(False)
    assert_paid_once(desk, batch)


def test_nothing_is_dead_while_one_of_two_nodes_is_down(desk, second):
    both = desk.connect(desk.devnet.address, second)
    desk.control.drop_next_submits()
    batch = desk.sent()
    desk.control.advance(**PAST_EXPIRY)
    desk.control.close_port("second")
    assert desk.is_dead(batch)
    with pytest.raises(ChainUnavailable, match=f"^{second}: "):
        desk.is_dead(batch, both)
    desk.control.open_port("second")
    assert until_it_answers(lambda: desk.is_dead(batch, both))


def test_a_closed_port_is_unreachable_and_opens_again(desk, second):
    there, batch = desk.connect(second), desk.sign()
    assert there.head() == desk.gateway.head()
    desk.control.close_port("second")
    desk.control.close_port("second")
    assert desk.control.state()["nodes"]["second"]["open"] is False
    with pytest.raises(ChainUnavailable):
        there.head()
    assert there.submit(batch.raw).hint is Hint.UNREACHABLE
    assert desk.stage(batch) is Stage.NOT_FOUND
    desk.control.open_port("second")
    assert until_it_answers(there.head) == desk.gateway.head()
    assert there.submit(batch.raw) == SubmitHint(Hint.ACCEPTED, "")
    assert_paid_once(desk, batch)


def until_it_answers(ask):
    """The channel needs a moment to reconnect."""
    for _ in range(1000):
        try:
            return ask()
        except ChainUnavailable:
            Event().wait(0.02)
    raise AssertionError("the node never came back")


# ---- money, token and wallet ------------------------------------------------------------------------------------------


def test_money_taken_away_rejects_the_batch_at_the_first_payment_it_no_longer_covers(desk):
    batch = desk.sent()
    balance = desk.gateway.token_balance_units(desk.wallet, "EURD")
    desk.control.take_plt("EURD", desk.wallet, balance - AMOUNTS[0])
    assert desk.gateway.token_balance_units(desk.wallet, "EURD") == AMOUNTS[0]
    assert desk.next_number() == 1
    desk.control.advance(blocks=2)
    assert desk.rejection(batch) == Rejection(
        "tokenBalanceInsufficient", 1, "availableBalance 0.000000, requiredBalance 2.000002"
    )
    assert (desk.paid(), desk.next_number(), desk.is_dead(batch)) == (NOBODY, 2, False)


def test_what_is_taken_away_is_not_lost_to_the_supply(desk):
    supply = desk.control.supply("EURD")
    desk.control.take_plt("EURD", desk.wallet, 5)
    assert desk.control.supply("EURD") == supply == sum(desk.control.balances("EURD").values())


def test_a_wallet_without_ccd_is_refused_at_the_door(desk):
    desk.control.set_ccd(desk.wallet, 0)
    batch = desk.sign()
    words = "The sender did not have enough funds to cover the costs"
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.REFUSED, words)
    assert desk.gateway.fee_balance_microccd(desk.wallet) == 0
    assert (desk.stage(batch), desk.next_number()) == (Stage.NOT_FOUND, 1)


def test_a_paused_token_rejects_the_whole_batch(desk):
    desk.control.pause_token("EURD")
    assert desk.gateway.token("EURD").paused
    batch = desk.sent()
    desk.control.advance(blocks=2)
    assert desk.rejection(batch) == Rejection("operationNotPermitted", 0, "token operation transfer is paused")
    assert (desk.paid(), desk.next_number()) == (NOBODY, 2)
    desk.control.pause_token("EURD", False)
    assert not desk.gateway.token("EURD").paused
    assert_paid_once(desk, desk.sent(2))


def test_a_denied_recipient_rejects_the_batch_and_is_named_by_its_place(desk):
    desk.control.set_list("EURD", "deny", HOLDERS[1])
    batch = desk.sent()
    desk.control.advance(blocks=2)
    assert desk.rejection(batch) == Rejection("operationNotPermitted", 1, "recipient in deny list")
    assert (desk.paid(), desk.next_number()) == (NOBODY, 2)
    desk.control.set_list("EURD", "deny", HOLDERS[1], listed=False)
    assert_paid_once(desk, desk.sent(2))


def test_foreign_use_of_the_number_leaves_ours_not_found_and_never_dead(desk, second):
    both = desk.connect(desk.devnet.address, second)
    batch = desk.sent()
    desk.control.foreign_use("EURD", desk.wallet, HOLDERS[2], 7)
    assert desk.stage(batch) is Stage.NOT_FOUND
    assert (desk.next_number(), desk.paid()) == (2, [0, 0, 7])
    assert desk.gateway.submit(batch.raw) == SubmitHint(Hint.KNOWN, "Duplicate nonce")
    desk.control.advance(**PAST_EXPIRY)
    assert (desk.is_dead(batch), desk.is_dead(batch, both)) == (False, False)
    assert desk.stage(batch) is Stage.NOT_FOUND
    assert desk.paid() == [0, 0, 7]


# ---- the switches themselves ------------------------------------------------------------------------------------------


def test_healing_puts_every_switch_off(desk, second):
    before = desk.control.state()
    desk.control.refuse(node="second")
    desk.control.drop_next_submits(3)
    desk.control.lose_reply_next(3, node="second")
    desk.control.duplicate_next_submits(3)
    desk.control.lag(2, node="second")
    desk.control.freeze()
    desk.control.deny(["ab" * 32])
    desk.control.skew(-5)
    desk.control.slow_inclusion(4)
    desk.control.withhold_inclusion()
    desk.control.close_port("second")
    changed = desk.control.state()
    assert changed["network"] == {"slow_blocks": 4, "withholding": True}
    assert changed["nodes"] == {
        "main": {**switches_off(), "drop_submits": 3, "duplicate_submits": 3, "frozen": True}
        | {"denied": ["ab" * 32], "skew_seconds": -5},
        "second": {**switches_off(), "open": False, "refusing": True, "lose_replies": 3, "lag_blocks": 2},
    }
    desk.control.heal()
    assert {**desk.control.state(), "now_ms": 0} == {**before, "now_ms": 0}
    assert before["nodes"] == {"main": switches_off(), "second": switches_off()}
    assert_paid_once(desk, desk.sent())


def switches_off():
    counts = dict.fromkeys(("drop_submits", "lose_replies", "duplicate_submits", "lag_blocks", "skew_seconds"), 0)
    return {"open": True, "refusing": False, "frozen": False, "denied": [], **counts}


@pytest.mark.parametrize(
    ("verb", "arguments", "field"),
    [
        ("drop_next_submits", {"count": -1}, "count"),
        ("lose_reply_next", {"count": "two"}, "count"),
        ("duplicate_next_submits", {"count": True}, "count"),
        ("refuse", {"refusing": 1}, "refusing"),
        ("refuse", {"node": "third"}, "node"),
        ("add_node", {"name": "main"}, "name"),
        ("add_node", {"name": ""}, "name"),
        ("close_port", {"node": "main"}, "node"),
        ("open_port", {"node": "third"}, "node"),
        ("lag", {"blocks": -1}, "blocks"),
        ("lag", {"blocks": 1, "node": "third"}, "node"),
        ("freeze", {"frozen": "yes"}, "frozen"),
        ("deny", {"transaction_hashes": ["ab"]}, "hashes"),
        ("skew", {"seconds": 0.5}, "seconds"),
        ("slow_inclusion", {"blocks": 1.5}, "blocks"),
        ("withhold_inclusion", {"withholding": None}, "withholding"),
        ("purge", {"transaction_hashes": ["xy" * 32]}, "hashes"),
        ("deliver_again", {"transaction_hash": "ab"}, "hash"),
        ("deliver_again", {"transaction_hash": "ab" * 32}, "hash"),
        ("fork", {"reinclude": "no"}, "reinclude"),
        ("advance", {"seconds": -1}, "seconds"),
        ("advance", {"blocks": -1}, "blocks"),
        ("take_plt", {"token_id": "NONE", "address": HOLDERS[0], "units": 1}, "token_id"),
        ("take_plt", {"token_id": "EURD", "address": "x", "units": 1}, "address"),
        ("take_plt", {"token_id": "EURD", "address": account("stranger"), "units": 1}, "address"),
        ("take_plt", {"token_id": "EURD", "address": HOLDERS[0], "units": 1}, "units"),
        ("foreign_use", {"token_id": "EURD", "address": "x", "recipient": HOLDERS[0], "units": 1}, "address"),
        ("foreign_use", {"token_id": "EURD", "address": HOLDERS[0], "recipient": "x", "units": 1}, "recipient"),
        ("foreign_use", {"token_id": "EURD", "address": HOLDERS[0], "recipient": HOLDERS[1], "units": -1}, "units"),
        ("pause_token", {"token_id": "NONE"}, "token_id"),
        ("pause_token", {"token_id": "EURD", "paused": 0}, "paused"),
        ("set_list", {"token_id": "EURD", "which": "grey", "address": HOLDERS[0]}, "list"),
        ("set_list", {"token_id": "EURD", "which": "deny", "address": account("stranger")}, "address"),
        ("set_ccd", {"address": HOLDERS[0], "micro_ccd": 2**64}, "micro_ccd"),
    ],
)
def test_a_switch_that_makes_no_sense_is_refused_by_its_field_and_nothing_changes(desk, verb, arguments, field):
    before = desk.control.state(), desk.control.balances("EURD")
    with pytest.raises(DevnetControlError, match=f"^{verb}: {field}: "):
        getattr(desk.control, verb)(**arguments)
    after = desk.control.state(), desk.control.balances("EURD")
    assert ({**after[0], "now_ms": 0}, after[1]) == ({**before[0], "now_ms": 0}, before[1])


def test_foreign_use_by_an_account_that_cannot_pay_is_refused_and_makes_no_block(desk):
    before = desk.control.state()["height"]
    with pytest.raises(DevnetControlError, match="lacks CCD"):
        desk.control.foreign_use("EURD", HOLDERS[0], HOLDERS[1], 1)
    desk.control.set_ccd(HOLDERS[0], 10**9)
    with pytest.raises(DevnetControlError, match="the chain would reject this"):
        desk.control.foreign_use("EURD", HOLDERS[0], HOLDERS[1], 1)
    assert desk.control.state()["height"] == before + 2  # those of set_ccd
    assert desk.paid() == NOBODY
