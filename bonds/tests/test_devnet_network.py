"""The devnet as a network: finality, chain time, purge, faults, back-dated seeding, contracts read at a block, restart."""

import json
import time
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from bonds.chain.devnet.client import DevnetControlError
from bonds.chain.devnet.contracts import lots_parameter
from bonds.chain.devnet.encoding import (
    ContractAddress,
    Reader,
    address_bytes,
    contract_party,
    contract_token_id,
    mint_event,
)
from bonds.chain.devnet.genesis import GenesisError, default_genesis, load, new_account
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.devnet.process import DevnetProcess, PortInUse
from bonds.chain.devnet.signer import contract_update
from bonds.chain.devnet.store import StoreError
from bonds.chain.devnet.user import DevnetUser
from bonds.chain.wire import node_pb2 as pb

BOND, REGISTRY = 1000, 1001
LAST_FINAL = pb.BlockHashInput(last_final=pb.Empty())


@pytest.fixture
def devnet(tmp_path):
    with DevnetProcess(tmp_path, hold=True) as node:
        yield node


@pytest.fixture
def wallet(devnet):
    with DevnetUser.from_keys_file(devnet.address, devnet.wallet_keys_file) as user:
        yield user


@pytest.fixture
def holder(devnet):
    address = new_account()[0]
    devnet.control.create_accounts([(address, None)])
    return address


def at_height(height):
    return pb.BlockHashInput(absolute_height=pb.U64(value=height))


def invoke(user, contract, name, parameter, block=LAST_FINAL):
    return user.node.InvokeInstance(
        pb.InvokeInstanceRequest(
            block_hash=block,
            instance=pb.ContractAddress(index=contract),
            entrypoint=pb.Str(value=name),
            parameter=pb.Bytes(value=parameter),
        )
    )


def balance_of(user, token_id, owner, block=LAST_FINAL):
    query = b"\x01\x00" + contract_token_id(token_id) + contract_party(address_bytes(owner))
    reader = Reader(invoke(user, BOND, "security_sft_multi.balanceOf", query, block).success.return_value)
    assert reader.little(2) == 1
    return reader.uleb128()


def is_verified(user, owner, block=LAST_FINAL):
    answer = invoke(user, REGISTRY, "rwa_identity_registry.isVerified", contract_party(address_bytes(owner)), block)
    return answer.success.return_value == b"\x01"


def contract_events(user, height):
    found = []
    for summary in user.node.GetBlockTransactionEvents(at_height(height)):
        for element in summary.account_transaction.effects.contract_update_issued.effects:
            found += [event.value for event in element.updated.events]
    return found


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


# ---- blocks and time --------------------------------------------------------------------------------------------------


def test_a_block_is_final_when_it_has_a_child(devnet, wallet):
    devnet.control.advance(blocks=3)
    info = wallet.node.GetConsensusInfo(pb.Empty())
    assert (info.best_block_height.value, info.last_finalized_block_height.value) == (3, 2)
    parent = wallet.node.GetBlockInfo(at_height(2))
    child = wallet.node.GetBlockInfo(at_height(3))
    assert child.parent_block.value == parent.hash.value == info.last_finalized_block.value
    assert (parent.finalized, child.finalized) == (True, False)
    assert child.slot_time.value > parent.slot_time.value
    (only,) = wallet.node.GetBlocksAtHeight(
        pb.BlocksAtHeightRequest(absolute=pb.AbsoluteHeightRequest(height=pb.U64(value=3)))
    ).blocks
    assert only.value == child.hash.value


def test_empty_blocks_keep_chain_time_moving(tmp_path):
    with DevnetProcess(tmp_path, block_seconds=0.05) as devnet:
        before = devnet.control.state()
        wait_until(lambda: devnet.control.state()["height"] >= before["height"] + 4)
        assert devnet.control.state()["block_time_ms"] > before["block_time_ms"]
        devnet.control.hold()
        height = devnet.control.state()["height"]
        time.sleep(0.2)
        assert devnet.control.state()["height"] == height


def test_an_unknown_block_or_transaction_is_not_found(wallet):
    for ask in (
        lambda: wallet.node.GetBlockInfo(at_height(99)),
        lambda: wallet.node.GetBlockInfo(pb.BlockHashInput(given=pb.Bytes(value=bytes(32)))),
        lambda: wallet.status(bytes(32)),
        lambda: wallet.node.GetTokenInfo(pb.TokenInfoRequest(block_hash=LAST_FINAL, token_id=pb.Str(value="NONE"))),
        lambda: list(wallet.node.GetBlockTransactionEvents(at_height(99))),
    ):
        with pytest.raises(grpc.RpcError) as caught:
            ask()
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_finalised_blocks_ring_a_bell(devnet, wallet):
    devnet.producer.block_seconds = 0.05
    devnet.control.resume()
    stream = wallet.node.GetFinalizedBlocks(pb.Empty())
    first, second = next(stream), next(stream)
    stream.cancel()
    assert second.height.value == first.height.value + 1
    assert first.hash.value == wallet.node.GetBlockInfo(at_height(first.height.value)).hash.value


def test_an_unincluded_transaction_dies_by_chain_time_and_leaves_its_number_free(devnet, wallet, holder):
    soon = int(time.time()) + 60
    first = wallet.pay("EURD", [(holder, 5)], expiry=soon)
    second = wallet.pay("EURD", [(holder, 6)], sequence_number=2)
    hashes = [wallet.send(first), wallet.send(second)]
    devnet.control.advance(seconds=62, blocks=2)
    for transaction_hash in hashes:  # the successor too: it could never be next
        with pytest.raises(grpc.RpcError):
            wallet.status(transaction_hash)
    assert wallet.next_number() == 1
    assert devnet.control.balances("EURD", [holder]) == {holder: 0}


def test_a_transaction_no_block_took_is_purged_after_ten_minutes_though_unexpired(devnet, wallet, holder):
    transaction_hash = wallet.send(wallet.pay("EURD", [(holder, 5)], expiry=int(time.time()) + 3600))
    devnet.control.advance(seconds=599, blocks=0)
    assert wallet.status(transaction_hash).WhichOneof("status") == "received"
    devnet.control.advance(seconds=2, blocks=1)
    with pytest.raises(grpc.RpcError):
        wallet.status(transaction_hash)
    assert devnet.control.balances("EURD", [holder]) == {holder: 0}


def test_what_is_not_final_is_told_by_account(devnet, wallet, holder):
    in_block = wallet.send(wallet.pay("EURD", [(holder, 5)]))
    devnet.control.advance()
    waiting = wallet.send(wallet.pay("EURD", [(holder, 6)]))

    def open_of(address):
        answer = wallet.node.GetAccountNonFinalizedTransactions(pb.Bytes(value=address_bytes(address)))
        return [item.value for item in answer]

    next_number = wallet.node.GetNextAccountSequenceNumber(pb.Bytes(value=address_bytes(wallet.address)))
    assert (next_number.sequence_number.value, next_number.all_final) == (3, False)
    assert open_of(wallet.address) == [in_block, waiting]
    assert open_of(holder) == []
    devnet.control.advance(blocks=2)
    assert open_of(wallet.address) == []
    next_number = wallet.node.GetNextAccountSequenceNumber(pb.Bytes(value=address_bytes(wallet.address)))
    assert (next_number.sequence_number.value, next_number.all_final) == (3, True)


# ---- faults -----------------------------------------------------------------------------------------------------------


def test_a_dropped_submit_was_accepted_and_is_forgotten(devnet, wallet, holder):
    devnet.control.drop_next_submits(1)
    raw = wallet.pay("EURD", [(holder, 5)])
    transaction_hash = wallet.send(raw)
    devnet.control.advance(blocks=2)
    with pytest.raises(grpc.RpcError) as caught:
        wallet.status(transaction_hash)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert wallet.next_number() == 1
    assert wallet.send(raw) == transaction_hash  # the same bytes again, and this time they stay
    devnet.control.advance(blocks=2)
    assert devnet.control.balances("EURD", [holder]) == {holder: 5}


def test_a_lost_reply_leaves_the_transaction_accepted(devnet, wallet, holder):
    devnet.control.lose_reply_next(1)
    raw = wallet.pay("EURD", [(holder, 5)])
    with pytest.raises(grpc.RpcError) as caught:
        wallet.send(raw)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    devnet.control.advance(blocks=2)
    assert devnet.control.balances("EURD", [holder]) == {holder: 5}
    assert devnet.control.state()["lose_replies"] == 0


def test_a_refusing_node_answers_nothing_and_comes_back(devnet, wallet):
    devnet.control.refuse()
    with pytest.raises(grpc.RpcError) as caught:
        wallet.next_number()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    devnet.control.refuse(False)
    assert wallet.next_number() == 1


# ---- seeding and contracts --------------------------------------------------------------------------------------------


def test_seeding_may_lie_in_the_past_and_live_blocks_jump_to_now(devnet, wallet, holder):
    now = datetime.now(UTC)
    with pytest.raises(DevnetControlError, match="past that already"):
        devnet.control.mint(BOND, [(holder, 20000, 7)], at=now - timedelta(days=1))
    with pytest.raises(DevnetControlError, match="still to come"):
        devnet.control.mint(BOND, [(holder, 20000, 7)], at=now + timedelta(days=1))
    assert devnet.control.lots(BOND) == []


def test_minting_yesterday_is_a_block_of_yesterday(devnet, wallet):
    yesterday = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    holder = new_account()[0]
    devnet.control.create_accounts([(holder, None)], at=yesterday)
    height = devnet.control.mint(BOND, [(holder, 20000, 7), (holder, 20001, 2**63)], at=yesterday)
    block = wallet.node.GetBlockInfo(at_height(height))
    assert timedelta() <= datetime.fromtimestamp(block.slot_time.value / 1000, UTC) - yesterday < timedelta(seconds=1)
    assert block.finalized
    assert devnet.control.lots(BOND) == [(holder, 20000, 7), (holder, 20001, 2**63)]
    devnet.control.advance()
    newest = wallet.node.GetBlockInfo(pb.BlockHashInput(best=pb.Empty())).slot_time.value
    assert abs(newest / 1000 - time.time()) < 5


def test_contract_changes_are_real_update_transactions_with_the_contracts_events(devnet, wallet, holder):
    other = new_account()[0]
    height = devnet.control.mint(BOND, [(holder, 20000, 1500)])
    (summary,) = wallet.node.GetBlockTransactionEvents(at_height(height))
    updated = summary.account_transaction.effects.contract_update_issued.effects[0].updated
    assert updated.receive_name.value == "security_sft_multi.mint"
    assert (updated.address.index, updated.address.subindex) == (BOND, 0)
    assert (
        updated.instigator.account.value
        == summary.account_transaction.sender.value
        == address_bytes(devnet.genesis.operator)
    )
    assert [event.value for event in updated.events] == [mint_event(20000, 1500, address_bytes(holder))]
    moved = devnet.control.transfer_lots(BOND, [(holder, other, 20000, 300), (holder, "<77,0>", 20000, 10)])
    burned = devnet.control.burn_lots(BOND, [(other, 20000, 100)])
    assert [event[:1] for event in contract_events(wallet, moved)] == [b"\xff", b"\xff"]
    assert [event[:1] for event in contract_events(wallet, burned)] == [b"\xfd"]
    assert sorted(devnet.control.lots(BOND)) == sorted(
        [(holder, 20000, 1190), (other, 20000, 200), (str(ContractAddress(77)), 20000, 10)]
    )


def test_contracts_answer_for_the_block_that_was_asked(devnet, wallet, holder):
    minted = devnet.control.mint(BOND, [(holder, 20000, 1500)])
    listed = devnet.control.set_registry(REGISTRY, [holder], "whitelisted")
    devnet.control.burn_lots(BOND, [(holder, 20000, 1500)])
    devnet.control.set_registry(REGISTRY, [holder], "blacklisted")
    assert (balance_of(wallet, 20000, holder, at_height(minted)), balance_of(wallet, 20000, holder)) == (1500, 0)
    assert not is_verified(wallet, holder, at_height(minted))
    assert is_verified(wallet, holder, at_height(listed))
    assert not is_verified(wallet, holder)


def test_a_burn_beyond_the_balance_changes_nothing(devnet, wallet, holder):
    devnet.control.mint(BOND, [(holder, 20000, 5)])
    height = devnet.control.state()["height"]
    with pytest.raises(DevnetControlError, match="reject"):
        devnet.control.burn_lots(BOND, [(holder, 20000, 3), (holder, 20000, 3)])
    assert devnet.control.lots(BOND) == [(holder, 20000, 5)]
    assert devnet.control.state()["height"] == height


def test_a_stranger_may_not_burn_for_others(devnet, holder):
    address, seed, key = new_account()
    devnet.control.create_accounts([(address, key)], micro_ccd=10**9)
    devnet.control.mint(BOND, [(holder, 20000, 5), (address, 20000, 4)])
    with DevnetUser(devnet.address, address=address, seeds={0: {0: seed}}) as stranger:
        for number, owner in enumerate((holder, address), start=1):
            payload = contract_update(
                BOND, "security_sft_multi.burn", lots_parameter([(20000, 1, address_bytes(owner))])
            )
            raw = stranger.signer.item(payload, sequence_number=number, energy=5000, expiry=int(time.time()) + 60)
            transaction_hash = stranger.send(raw)
            devnet.control.advance(blocks=2)
            effects = stranger.status(transaction_hash).finalized.outcome.outcome.account_transaction.effects
            if owner == holder:
                assert effects.none.reject_reason.rejected_receive.reject_reason == -42000003
            else:
                assert effects.WhichOneof("effect") == "contract_update_issued"
    assert sorted(devnet.control.lots(BOND)) == sorted([(holder, 20000, 5), (address, 20000, 3)])


def test_an_invocation_that_cannot_be_answered_says_why(wallet, holder):
    def reason(contract, name, parameter):
        return invoke(wallet, contract, name, parameter).failure.reason

    assert reason(5, "x.y", b"").invalid_contract_address.index == 5
    assert (
        reason(BOND, "security_sft_multi.nothing", b"").invalid_receive_method.receive_name.value
        == "security_sft_multi.nothing"
    )
    assert reason(REGISTRY, "rwa_identity_registry.isVerified", b"\x09").rejected_receive.reject_reason == -1
    unknown_token = b"\x01\x00" + contract_token_id(1) + contract_party(address_bytes(holder))
    assert reason(BOND, "security_sft_multi.balanceOf", unknown_token).rejected_receive.reject_reason == -42000001


def test_instances_name_their_module(wallet):
    request = pb.InstanceInfoRequest(block_hash=LAST_FINAL, address=pb.ContractAddress(index=REGISTRY))
    info = wallet.node.GetInstanceInfo(request).v1
    assert info.name.value == "init_rwa_identity_registry"
    assert info.source_module.value.hex() == MODULE_REFS["registry"]
    assert [address.index for address in wallet.node.GetInstanceList(LAST_FINAL)] == [BOND, REGISTRY]


def test_a_thousand_accounts_come_once(devnet, wallet):
    accounts = [(new_account()[0], None) for _ in range(1000)]
    devnet.control.create_accounts(accounts)
    devnet.control.create_accounts(accounts)
    assert len(list(wallet.node.GetAccountList(LAST_FINAL))) == 1002


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("mint", (7, [])),
        ("mint", (BOND, [("nobody", 1, 1)])),
        ("mint", (BOND, [("<1,0>", 1, -1)])),
        ("set_registry", (REGISTRY, [], "friendly")),
        ("fund_plt", ("NONE", "x", 1)),
        ("set_list", ("EURD", "grey", "x")),
        ("set_ccd", ("x", 1)),
        ("create_accounts", ([("x", None)],)),
    ],
)
def test_a_control_request_that_makes_no_sense_is_refused_and_makes_no_block(devnet, verb, arguments):
    before = devnet.control.state()["height"]
    if (verb, arguments) == ("mint", (7, [])):
        arguments = (7, [(devnet.genesis.operator, 1, 1)])
    with pytest.raises(DevnetControlError):
        getattr(devnet.control, verb)(*arguments)
    assert devnet.control.state()["height"] == before


# ---- restart ----------------------------------------------------------------------------------------------------------


def test_a_restart_keeps_every_block_balance_and_lot(tmp_path):
    holder = new_account()[0]
    with DevnetProcess(tmp_path, hold=True) as devnet:
        devnet.control.create_accounts([(holder, None)])
        devnet.control.mint(BOND, [(holder, 20000, 5)])
        with DevnetUser.from_keys_file(devnet.address, devnet.wallet_keys_file) as wallet:
            transaction_hash = wallet.send(wallet.pay("EURD", [(holder, 5)]))
            devnet.control.advance(blocks=2, seconds=100)
            before, books, status = (
                devnet.control.state(),
                devnet.control.balances("EURD"),
                wallet.status(transaction_hash),
            )
            forgotten = wallet.send(wallet.pay("EURD", [(holder, 6)]))
    with DevnetProcess(tmp_path, hold=True) as devnet:
        after = devnet.control.state()
        assert {**after, "now_ms": 0} == {**before, "now_ms": 0}
        assert after["now_ms"] >= before["now_ms"]
        assert devnet.control.balances("EURD") == books
        assert devnet.control.lots(BOND) == [(holder, 20000, 5)]
        with DevnetUser.from_keys_file(devnet.address, devnet.wallet_keys_file) as wallet:
            assert wallet.status(transaction_hash) == status
            assert wallet.next_number() == 2
            with pytest.raises(grpc.RpcError):  # what was only received is lost, as on a real node
                wallet.status(forgotten)


def test_two_nodes_cannot_share_a_state_directory(devnet):
    with pytest.raises(StoreError, match="another devnet"):
        DevnetProcess(devnet.state_dir)


def test_a_port_in_use_is_named(devnet, tmp_path_factory):
    with pytest.raises(PortInUse, match=f"port {devnet.port} is in use"):
        DevnetProcess(tmp_path_factory.mktemp("other"), port=devnet.port)


def test_another_genesis_over_the_same_blocks_is_refused(tmp_path):
    default_genesis(tmp_path)
    with DevnetProcess(tmp_path, hold=True):
        pass
    path = tmp_path / "genesis.json"
    path.write_text(path.read_text().replace("Devnet euro", "Other euro"))
    with pytest.raises(StoreError, match="another network"):
        DevnetProcess(tmp_path)


def test_the_default_genesis_is_written_once_for_its_owner_alone(tmp_path):
    first = default_genesis(tmp_path)
    assert default_genesis(tmp_path) == first
    keys = json.loads((tmp_path / "cloud-wallet.json").read_text())
    assert keys["address"] == first.accounts[0].address
    assert [path.stat().st_mode & 0o777 for path in sorted(tmp_path.iterdir())] == [0o600, 0o600]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"genesis_time_ms": "x"}'])
def test_an_unusable_genesis_names_its_file(tmp_path, text):
    path = tmp_path / "genesis.json"
    path.write_text(text)
    with pytest.raises(GenesisError, match=r"genesis\.json"):
        load(path)
