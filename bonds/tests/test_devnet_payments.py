"""The devnet's token ledger over its wire: what it refuses at the door, what it rejects in a block, and what a payment costs."""

import dataclasses
import hashlib
import time

import grpc
import pytest

from bonds.chain.devnet import cbor
from bonds.chain.devnet.encoding import address_bytes, address_text
from bonds.chain.devnet.genesis import build_genesis, new_account
from bonds.chain.devnet.network import Account
from bonds.chain.devnet.process import DevnetProcess
from bonds.chain.devnet.signer import transfer
from bonds.chain.devnet.token_module import amount_cbor, holder_cbor
from bonds.chain.devnet.user import DevnetUser
from bonds.chain.wire import node_pb2 as pb

MICRO_CCD_PER_ENERGY = 1000
OPENING = 10_000_000_000_000


@pytest.fixture
def devnet(tmp_path):
    """A network whose blocks come only when asked for."""
    with DevnetProcess(tmp_path, hold=True) as node:
        yield node


@pytest.fixture
def wallet(devnet):
    with DevnetUser.from_keys_file(devnet.address, devnet.wallet_keys_file) as user:
        yield user


@pytest.fixture
def holders(devnet):
    addresses = [new_account()[0] for _ in range(3)]
    devnet.control.create_accounts([(address, None) for address in addresses])
    return addresses


@pytest.fixture
def books(devnet, wallet, holders):
    """Everything that could move: PLT of all, CCD and next number of the wallet."""

    def read():
        info = account_info(wallet)
        return devnet.control.balances("EURD"), info.amount.value, info.sequence_number.value

    return read


def account_info(user, address=None):
    identifier = pb.AccountIdentifier(address=pb.Bytes(value=address_bytes(address or user.address)))
    request = pb.AccountInfoRequest(block_hash=pb.BlockHashInput(best=pb.Empty()), account_identifier=identifier)
    return user.node.GetAccountInfo(request)


def refused(user, raw):
    """Code and text the node answers a submit with."""
    with pytest.raises(grpc.RpcError) as caught:
        user.send(raw)
    return caught.value.code(), caught.value.details()


def executed(devnet, user, raw):
    """The transaction's summary once its block is final."""
    transaction_hash = user.send(raw)
    assert user.status(transaction_hash).WhichOneof("status") == "received"
    devnet.control.advance()
    assert user.status(transaction_hash).WhichOneof("status") == "committed"
    devnet.control.advance()
    return user.status(transaction_hash).finalized.outcome.outcome


def token_reason(summary):
    """The token module's reason and its decoded details; nothing but number and fee may have changed."""
    reason = summary.account_transaction.effects.none.reject_reason
    assert reason.WhichOneof("reason") == "token_update_transaction_failed"
    failed = reason.token_update_transaction_failed
    assert failed.token_id.value == "EURD"
    return failed.type, cbor.loads(failed.details.value)


def assert_rejected_for(summary, before, books, reason, details):
    assert token_reason(summary) == (reason, details)
    assert_only_the_fee_moved(summary, before, books)


def assert_only_the_fee_moved(summary, before, books):
    cost = summary.account_transaction.cost.value
    assert cost == MICRO_CCD_PER_ENERGY * summary.energy_cost.value > 0
    assert books() == (before[0], before[1] - cost, before[2] + 1)


# ---- at the door ------------------------------------------------------------------------------------------------------


def test_a_wrong_signature_is_refused(devnet, wallet, holders, books):
    before = books()
    raw = wallet.pay("EURD", [(holders[0], 5)])
    stranger = DevnetUser(devnet.address, address=wallet.address, seeds={0: {0: "11" * 32}})
    with stranger:
        forged = stranger.pay("EURD", [(holders[0], 5)])
        assert refused(stranger, forged) == (grpc.StatusCode.INVALID_ARGUMENT, "Verification failed")
    tampered = raw[:-1] + bytes([raw[-1] ^ 1])
    assert refused(wallet, tampered) == (grpc.StatusCode.INVALID_ARGUMENT, "Verification failed")
    devnet.control.advance(blocks=2)
    assert books() == before


def test_only_the_exact_next_number_is_taken(devnet, wallet, holders, books):
    before = books()
    early = wallet.pay("EURD", [(holders[0], 5)], sequence_number=2)
    assert refused(wallet, early) == (grpc.StatusCode.INVALID_ARGUMENT, "Nonce too large")
    first = wallet.pay("EURD", [(holders[0], 5)], sequence_number=1)
    wallet.send(first)
    assert wallet.next_number() == 2
    other_first = wallet.pay("EURD", [(holders[0], 6)], sequence_number=1)
    assert refused(wallet, other_first) == (grpc.StatusCode.INVALID_ARGUMENT, "Duplicate nonce")
    wallet.send(early)
    devnet.control.advance(blocks=2)
    assert devnet.control.balances("EURD", holders[:1]) == {holders[0]: 10}
    assert books()[2] == before[2] + 2


def test_the_same_bytes_are_a_duplicate_entry_until_final_and_a_duplicate_nonce_after(devnet, wallet, holders):
    raw = wallet.pay("EURD", [(holders[0], 5)])
    transaction_hash = wallet.send(raw)
    assert transaction_hash == hashlib.sha256(raw).digest()
    assert refused(wallet, raw) == (grpc.StatusCode.ALREADY_EXISTS, "Duplicate entry")
    devnet.control.advance()
    assert refused(wallet, raw) == (grpc.StatusCode.ALREADY_EXISTS, "Duplicate entry")
    devnet.control.advance()
    assert refused(wallet, raw) == (grpc.StatusCode.INVALID_ARGUMENT, "Duplicate nonce")
    assert devnet.control.balances("EURD", holders[:1]) == {holders[0]: 5}


def test_an_expired_transaction_is_stale(devnet, wallet, holders, books):
    before = books()
    raw = wallet.pay("EURD", [(holders[0], 5)], expiry=int(time.time()) - 2)
    assert refused(wallet, raw) == (grpc.StatusCode.INVALID_ARGUMENT, "Stale")
    far = wallet.pay("EURD", [(holders[0], 5)], expiry=int(time.time()) + 8000)
    assert refused(wallet, far) == (grpc.StatusCode.INVALID_ARGUMENT, "Expiry too late")
    assert books() == before


def test_energy_must_cover_the_base_cost_and_fit_a_block(wallet, holders, books):
    before = books()
    little = wallet.pay("EURD", [(holders[0], 5)], energy=-1)
    assert refused(wallet, little) == (grpc.StatusCode.INVALID_ARGUMENT, "Too low energy")
    much = wallet.pay("EURD", [(holders[0], 5)], energy=3_000_000)
    text = "The stated energy of the transaction exceeds the maximum allowed"
    assert refused(wallet, much) == (grpc.StatusCode.INVALID_ARGUMENT, text)
    assert books() == before


def test_a_sender_without_ccd_or_account_is_refused(devnet, wallet, holders, books):
    devnet.control.set_ccd(wallet.address, 600_000)
    before = books()
    poor = wallet.pay("EURD", [(holders[0], 5)])
    text = "The sender did not have enough funds to cover the costs"
    assert refused(wallet, poor) == (grpc.StatusCode.INVALID_ARGUMENT, text)
    address, seed, _ = new_account()
    with DevnetUser(devnet.address, address=address, seeds={0: {0: seed}}) as nobody:
        assert nobody.next_number() == 1  # a node's habit, and a trap
        raw = nobody.pay("EURD", [(holders[0], 5)])
        assert refused(nobody, raw) == (grpc.StatusCode.INVALID_ARGUMENT, "Nonexisting sender account")
    assert books() == before


@pytest.mark.parametrize("raw", [b"", b"\x01", b"\x00", b"\x00\x01", b"\x00" * 100, b"\xff" * 300])
def test_bytes_that_are_no_transaction_are_refused(wallet, raw, books):
    before = books()
    assert refused(wallet, raw)[0] == grpc.StatusCode.INVALID_ARGUMENT
    assert books() == before


# ---- in a block -------------------------------------------------------------------------------------------------------


def test_a_batch_pays_everyone_in_order_with_its_memos(devnet, wallet, holders):
    operations = [transfer(address_bytes(holder), n + 1, 6, memo=bytes([n]) * 16) for n, holder in enumerate(holders)]
    summary = executed(devnet, wallet, wallet.sign("eurd", operations))
    events = summary.account_transaction.effects.token_update_effect.events
    told = [
        (address_text(e.transfer_event.to.account.value), e.transfer_event.amount.value, e.transfer_event.memo.value)
        for e in events
    ]
    assert told == [(holder, n + 1, bytes([n]) * 16) for n, holder in enumerate(holders)]
    assert {event.token_id.value for event in events} == {"EURD"}
    assert {event.transfer_event.amount.decimals for event in events} == {6}
    assert devnet.control.balances("EURD", holders) == {holder: n + 1 for n, holder in enumerate(holders)}


def test_the_fee_is_the_energy_of_what_ran(devnet, wallet, holders, books):
    before = books()
    raw = wallet.pay("EURD", [(holder, 1) for holder in holders], energy=100_000)
    summary = executed(devnet, wallet, raw)
    payload_bytes = len(raw) - 1 - 1 - 2 - 3 - 64 - 60
    assert summary.energy_cost.value == 100 + 60 + payload_bytes + 300 + 3 * 100
    assert summary.account_transaction.cost.value == MICRO_CCD_PER_ENERGY * summary.energy_cost.value
    assert books()[1] == before[1] - summary.account_transaction.cost.value


def test_an_unknown_recipient_undoes_the_whole_batch_and_is_named(devnet, wallet, holders, books):
    before, stranger = books(), new_account()[0]
    raw = wallet.pay("EURD", [(holders[0], 5), (stranger, 7), (holders[1], 9)])
    summary = executed(devnet, wallet, raw)
    details = {"index": 1, "address": holder_cbor(address_bytes(stranger))}
    assert_rejected_for(summary, before, books, "addressNotFound", details)
    payload_bytes = len(raw) - 131
    assert (
        summary.energy_cost.value == 100 + 60 + payload_bytes + 300 + 2 * 100
    )  # up to and including the one that failed
    assert summary.account_transaction.effects.none.transaction_type == 21


def test_too_little_balance_names_the_operation_and_its_own_amount(devnet, wallet, holders, books):
    before = books()
    raw = wallet.pay("EURD", [(holders[0], OPENING - 10), (holders[1], 11)])
    details = {"index": 1, "availableBalance": amount_cbor(10, 6), "requiredBalance": amount_cbor(11, 6)}
    assert_rejected_for(executed(devnet, wallet, raw), before, books, "tokenBalanceInsufficient", details)


def test_a_paused_token_moves_nothing(devnet, wallet, holders, books):
    devnet.control.pause_token("EURD")
    before = books()
    details = {"index": 0, "reason": "token operation transfer is paused"}
    summary = executed(
        devnet, wallet, wallet.pay("EURD", [(new_account()[0], 5)])
    )  # paused is seen before the recipient
    assert_rejected_for(summary, before, books, "operationNotPermitted", details)
    devnet.control.pause_token("EURD", False)
    executed(devnet, wallet, wallet.pay("EURD", [(holders[0], 5)]))
    assert devnet.control.balances("EURD", holders[:1]) == {holders[0]: 5}


@pytest.mark.parametrize("side", ["sender", "recipient"])
def test_the_deny_list_stops_either_side(devnet, wallet, holders, books, side):
    listed = wallet.address if side == "sender" else holders[1]
    devnet.control.set_list("EURD", "deny", listed)
    before = books()
    raw = wallet.pay("EURD", [(holders[1], 5)])
    details = {"index": 0, "reason": f"{side} in deny list", "address": holder_cbor(address_bytes(listed))}
    assert_rejected_for(executed(devnet, wallet, raw), before, books, "operationNotPermitted", details)
    state = account_info(wallet, listed).tokens[0].token_account_state.module_state.value
    assert cbor.loads(state) == {"denyList": True}
    devnet.control.set_list("EURD", "deny", listed, False)
    executed(devnet, wallet, wallet.pay("EURD", [(holders[1], 5)]))
    assert devnet.control.balances("EURD", [holders[1]]) == {holders[1]: 5}


def test_the_allow_list_is_asked_before_the_deny_list_and_the_sender_before_the_recipient(tmp_path):
    sender, seed, key = new_account()
    recipient = new_account()[0]
    account = Account(address=sender, micro_ccd=10**12, keys={"0": {"0": key}})
    plain = build_genesis(wallet=account, extra_accounts=(Account(address=recipient),))
    token = dataclasses.replace(plain.tokens[0], allow_list=True, denied=(sender, recipient))
    genesis = dataclasses.replace(plain, tokens=(token,))
    with (
        DevnetProcess(tmp_path, genesis, hold=True) as devnet,
        DevnetUser(devnet.address, address=sender, seeds={0: {0: seed}}) as user,
    ):

        def reason():
            _, details = token_reason(executed(devnet, user, user.pay("EURD", [(recipient, 5)])))
            return details["reason"], details["address"].value[3]

        assert reason() == ("sender not in allow list", address_bytes(sender))
        devnet.control.set_list("EURD", "allow", sender)
        assert reason() == ("recipient not in allow list", address_bytes(recipient))
        devnet.control.set_list("EURD", "allow", recipient)
        assert reason() == ("sender in deny list", address_bytes(sender))
        devnet.control.set_list("EURD", "deny", sender, False)
        assert reason() == ("recipient in deny list", address_bytes(recipient))
        assert devnet.control.balances("EURD", [recipient]) == {recipient: 0}
        devnet.control.set_list("EURD", "deny", recipient, False)
        executed(devnet, user, user.pay("EURD", [(recipient, 5)]))
        assert devnet.control.balances("EURD", [recipient]) == {recipient: 5}


def test_an_account_of_two_keys_needs_as_many_as_its_threshold(tmp_path):
    address, seed, key = new_account()
    _, second_seed, second_key = new_account()
    keys = {"0": {"0": key, "1": second_key}}
    account = Account(address=address, micro_ccd=10**12, keys=keys, credential_threshold=2)
    with DevnetProcess(tmp_path, build_genesis(wallet=account), hold=True) as devnet:
        with DevnetUser(devnet.address, address=address, seeds={0: {0: seed}}) as one:
            alone = one.pay("EURD", [(devnet.genesis.operator, 5)])
            assert refused(one, alone) == (grpc.StatusCode.INVALID_ARGUMENT, "Verification failed")
        with DevnetUser(devnet.address, address=address, seeds={0: {0: seed, 1: second_seed}}) as both:
            raw = both.pay("EURD", [(devnet.genesis.operator, 5)])
            summary = executed(devnet, both, raw)
            assert summary.account_transaction.effects.WhichOneof("effect") == "token_update_effect"
            assert summary.energy_cost.value == 2 * 100 + 60 + (len(raw) - 131 - 67) + 300 + 100


def test_an_amount_of_other_decimals_is_not_understood(devnet, wallet, holders, books):
    before = books()
    kind, details = token_reason(summary := executed(devnet, wallet, wallet.pay("EURD", [(holders[0], 5)], decimals=2)))
    assert kind == "deserializationFailure"
    assert set(details) == {"cause"}
    assert_only_the_fee_moved(summary, before, books)


def test_a_token_that_does_not_exist_is_named(devnet, wallet, holders, books):
    before = books()
    summary = executed(devnet, wallet, wallet.pay("NONE", [(holders[0], 5)]))
    reason = summary.account_transaction.effects.none.reject_reason
    assert reason.non_existent_token_id.value == "NONE"
    assert_only_the_fee_moved(summary, before, books)


def test_only_the_governance_account_mints(devnet, wallet, books):
    before = books()
    raw = wallet.sign("EURD", [{"mint": {"amount": amount_cbor(5, 6)}}])
    reason = "sender is not the token governance account"
    details = {"index": 0, "reason": reason, "address": holder_cbor(address_bytes(wallet.address))}
    assert_rejected_for(executed(devnet, wallet, raw), before, books, "operationNotPermitted", details)


def test_running_out_of_energy_costs_all_of_it_and_moves_nothing(devnet, wallet, holders, books):
    before = books()
    raw = wallet.pay("EURD", [(holders[0], 5), (holders[1], 5)], energy=300 + 150)
    summary = executed(devnet, wallet, raw)
    assert summary.account_transaction.effects.none.reject_reason.WhichOneof("reason") == "out_of_energy"
    assert summary.energy_cost.value == int.from_bytes(raw[71 + 40 : 71 + 48], "big")
    assert_only_the_fee_moved(summary, before, books)


def test_an_alias_names_the_same_account(devnet, wallet, holders):
    alias = address_text(address_bytes(holders[0])[:29] + b"\x01\x02\x03")
    summary = executed(devnet, wallet, wallet.pay("EURD", [(alias, 5)]))
    (event,) = summary.account_transaction.effects.token_update_effect.events
    assert address_text(event.transfer_event.to.account.value) == alias
    assert devnet.control.balances("EURD", holders[:1]) == {holders[0]: 5}


def test_the_sum_of_all_balances_is_the_supply_whatever_happens(devnet, wallet, holders):
    devnet.control.fund_plt("EURD", holders[2], 1_000)
    for amounts in ([1, 2, 3], [OPENING, 1, 1], [0, 0, 10]):
        wallet.send(wallet.pay("EURD", list(zip(holders, amounts, strict=True))))
        devnet.control.advance(blocks=2)
        balances = devnet.control.balances("EURD")
        assert sum(balances.values()) == devnet.control.supply("EURD") == 2 * OPENING + 1_000
    assert devnet.control.balances("EURD", holders) == {holders[0]: 1, holders[1]: 2, holders[2]: 1_013}
