"""Our gateway talks to a node built on the official SDK's generated protobuf: a witness that shares no line with our wire description."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from nacl.signing import SigningKey

from bonds.chain.concordium import contracts
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.contracts import Module
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.gateway import (
    ChainMisconfigured,
    ChainRefused,
    Contract,
    Hint,
    Rejection,
    Stage,
    Token,
    TokenTransferred,
    Transfer,
)
from bonds.chain.wire import node_pb2 as pb
from bonds.chain.wire import node_pb2_grpc as rpc
from bonds.tests.conftest import account

SDK = Path(__file__).parent / "sdk"
VECTORS = Path(__file__).parent / "vectors"
pytestmark = pytest.mark.node

WALLET, FIRST, SECOND = account("sdk wallet"), account("sdk first"), account("sdk second")
UNITS = 2**64 - 1  # the most a balance can be: read as a JavaScript number it would be another
MICRO_CCD = 5_000_000_000
TOKEN, DECIMALS = "EURD", 6
MODULE_REF = "ab" * 32
BLOCKS = 8
CALLED_AT = 3  # height of the block with a contract call
SEEDS = {"0": {"0": "11" * 32, "3": "22" * 32}, "2": {"1": "33" * 32}}
EVENTS = json.loads((VECTORS / "contract_events.json").read_text())["events"]


class SdkNode:
    """The running node and what it says of every transaction it is given."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._line()["address"]

    def _line(self) -> dict:
        line = self._process.stdout.readline()
        assert line, "the node ended"
        return json.loads(line)

    def received(self) -> dict:
        """The transaction just submitted, as the SDK read it."""
        return self._line()["received"]

    def tell(self, command: str) -> None:
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._line() == {"done": command.split(maxsplit=1)[0]}


@pytest.fixture
def sdk_node(tmp_path, node_binary) -> Iterator[SdkNode]:
    with (tmp_path / "node.log").open("w") as log:
        process = subprocess.Popen(
            [node_binary, "node.mjs", json.dumps(task())],
            cwd=SDK,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield SdkNode(process)
        finally:
            process.stdin.close()
            code = process.wait(20)
            process.stdout.close()
    assert code == 0, (tmp_path / "node.log").read_text()


@pytest.fixture
def node_binary() -> str:
    binary = shutil.which("node")
    if binary is None:
        pytest.skip("Node is not installed: the SDK node did not run")
    if not (SDK / "node_modules" / "@concordium" / "web-sdk").is_dir():
        pytest.skip("bonds/tests/sdk/node_modules is missing (npm ci there): the SDK node did not run")
    return binary


def task() -> dict:
    keys = {
        credential: {index: bytes(SigningKey(bytes.fromhex(seed)).verify_key).hex() for index, seed in seeds.items()}
        for credential, seeds in SEEDS.items()
    }
    return {
        "wallet": {"address": WALLET, "keys": keys, "units": str(UNITS), "microCcd": str(MICRO_CCD)},
        "accounts": [FIRST, SECOND],
        "token": {"id": TOKEN, "name": "Witness euro", "decimals": DECIMALS},
        "contract": {
            "index": 1000,
            "name": "security_sft_multi",
            "module": MODULE_REF,
            "events": [EVENTS[name]["hex"] for name in ("Mint", "Transfer", "Burn")],
        },
        "blocks": BLOCKS,
    }


@pytest.fixture
def gateway(sdk_node, tmp_path) -> ConcordiumGateway:
    keys_file = tmp_path / "keys.json"
    keys_file.write_text(json.dumps({"address": WALLET, "keys": SEEDS}))
    return ConcordiumGateway(
        endpoints=[sdk_node.address],
        signer_factory=lambda: KeyFileSigner(keys_file),
        timeout_seconds=10,
        modules={MODULE_REF: Module.SECURITY},
    )


def sign(gateway, transfers, *, number=1, expires_at=None):
    return gateway.sign_transfers(
        sender=WALLET,
        token_id=TOKEN,
        decimals=DECIMALS,
        transfers=[Transfer(*transfer) for transfer in transfers],
        sequence_number=number,
        expires_at=expires_at or datetime.now(UTC) + timedelta(minutes=5),
    )


def stage(gateway, signed):
    return gateway.states([signed.transaction_hash])[signed.transaction_hash]


def test_the_gateway_reads_what_the_sdk_writes(sdk_node, gateway):
    head = gateway.head()
    assert head.height == BLOCKS - 1
    assert gateway.last_block_at(head.time - timedelta(seconds=1)).height == BLOCKS - 2
    assert gateway.token("eurd") == Token(TOKEN, DECIMALS, UNITS, "Witness euro", paused=False)
    assert gateway.token_balance_units(WALLET, TOKEN) == UNITS
    assert gateway.token_balance_units(FIRST, TOKEN) == 0
    assert gateway.fee_balance_microccd(WALLET) == MICRO_CCD  # what is staked is not counted
    assert gateway.next_sequence_number(WALLET) == 1
    assert gateway.has_contract(Contract(1000), head.height)
    assert not gateway.has_contract(Contract(1001), head.height)


def test_what_the_node_does_not_know_is_refused_or_not_found(sdk_node, gateway):
    with pytest.raises(ChainRefused, match="Account not found"):
        gateway.next_sequence_number(account("nobody"))
    with pytest.raises(ChainRefused, match="Token not found"):
        gateway.token("USDX")
    unknown = "ab" * 32
    assert gateway.states([unknown])[unknown].stage is Stage.NOT_FOUND


def test_a_transaction_is_read_by_the_sdk_as_it_was_meant_and_followed_to_finality(sdk_node, gateway):
    signed = sign(gateway, [(FIRST, UNITS - 5, b"\x01" * 64), (SECOND, 2, b"payment 2"), (FIRST, 1, b"")])
    assert gateway.submit(signed.raw).hint is Hint.ACCEPTED
    read = sdk_node.received()
    assert read["hash"] == signed.transaction_hash
    assert (read["sender"], read["number"], read["token"]) == (WALLET, "1", TOKEN)
    assert int(read["expiry"]) == signed.expires_at.timestamp()
    assert int(read["energy"]) == int(read["sdkEnergy"]) == signed.energy
    assert read["transfers"] == [
        {"to": FIRST, "units": str(UNITS - 5), "decimals": DECIMALS, "memo": "01" * 64},
        {"to": SECOND, "units": "2", "decimals": DECIMALS, "memo": b"payment 2".hex()},
        {"to": FIRST, "units": "1", "decimals": DECIMALS, "memo": None},
    ]
    assert stage(gateway, signed).stage is Stage.RECEIVED
    sdk_node.tell("commit")
    assert stage(gateway, signed).stage is Stage.COMMITTED
    sdk_node.tell("finalize")
    final = stage(gateway, signed)
    assert (final.stage, final.rejection, final.energy) == (Stage.FINALIZED, None, signed.energy)
    assert (final.block_height, final.cost_microccd) == (BLOCKS, 10 * signed.energy)
    assert final.transfers == (
        TokenTransferred(TOKEN, WALLET, FIRST, UNITS - 5, DECIMALS, b"\x01" * 64),
        TokenTransferred(TOKEN, WALLET, SECOND, 2, DECIMALS, b"payment 2"),
        TokenTransferred(TOKEN, WALLET, FIRST, 1, DECIMALS, None),
    )
    assert [gateway.token_balance_units(who, TOKEN) for who in (WALLET, FIRST, SECOND)] == [2, UNITS - 4, 2]
    assert gateway.next_sequence_number(WALLET) == 2


def test_the_sdks_reject_details_say_which_transfer_failed_and_why(sdk_node, gateway):
    signed = sign(gateway, [(FIRST, UNITS - 1, b""), (SECOND, 1_500_000, b"")])
    assert gateway.submit(signed.raw).hint is Hint.ACCEPTED
    sdk_node.received()
    sdk_node.tell("commit")
    sdk_node.tell("finalize")
    final = stage(gateway, signed)
    facts = "availableBalance 0.000001, requiredBalance 1.500000"
    assert final.rejection == Rejection("tokenBalanceInsufficient", 1, facts)
    assert final.transfers == ()
    assert gateway.token_balance_units(WALLET, TOKEN) == UNITS
    assert gateway.next_sequence_number(WALLET) == 2  # spent all the same


def test_a_contract_call_is_read_by_the_sdk_as_it_was_meant_and_its_rejection_is_told(sdk_node, gateway):
    parameter = contracts.burn_parameter([(20454, 1500, FIRST), (20454, 1, Contract(5))])
    signed = gateway.sign_update(
        sender=WALLET,
        contract=Contract(1000, 7),
        receive_name="security_sft_multi.burn",
        parameter=parameter,
        execution_energy=30_000,
        sequence_number=1,
        expires_at=datetime.now(UTC) + timedelta(minutes=5),
    )
    assert gateway.submit(signed.raw).hint is Hint.ACCEPTED
    read = sdk_node.received()
    assert (read["hash"], read["contract"], read["amount"]) == (signed.transaction_hash, ["1000", "7"], "0")
    assert (read["receiveName"], read["parameter"]) == ("security_sft_multi.burn", parameter.hex())
    assert int(read["energy"]) == int(read["sdkEnergy"]) + 30_000 == signed.energy
    sdk_node.tell("commit")
    sdk_node.tell("finalize")
    rejection = stage(gateway, signed).rejection
    assert rejection.reason == "rejected_receive"
    assert "security_sft_multi.burn" in rejection.detail
    assert "-42000003" in rejection.detail


def test_answers_to_a_submit_are_told_apart(sdk_node, gateway):
    first, third = sign(gateway, [(FIRST, 1, b"")]), sign(gateway, [(FIRST, 1, b"")], number=3)
    assert gateway.submit(first.raw).hint is Hint.ACCEPTED
    sdk_node.received()
    assert gateway.submit(first.raw).hint is Hint.KNOWN  # ALREADY_EXISTS
    assert gateway.submit(third.raw).hint is Hint.TOO_EARLY
    sdk_node.tell("commit")
    sdk_node.tell("finalize")
    assert gateway.submit(first.raw).hint is Hint.KNOWN  # INVALID_ARGUMENT, Duplicate nonce
    damaged = bytearray(sign(gateway, [(FIRST, 1, b"")], number=2).raw)
    damaged[-1] ^= 1  # the last byte of a recipient: the signature no longer fits
    refused = gateway.submit(bytes(damaged))
    assert (refused.hint, refused.detail) == (Hint.REFUSED, "Verification failed")
    assert gateway.token_balance_units(FIRST, TOKEN) == 1


def test_death_is_proven_by_the_nodes_own_blocks(sdk_node, gateway):
    expires_at = datetime.now(UTC) + timedelta(minutes=1)
    lost = sign(gateway, [(FIRST, 1, b"")], expires_at=expires_at)
    question = {"sender": WALLET, "sequence_number": 1, "transaction_hashes": [lost.transaction_hash]}
    assert not gateway.provably_dead(expires_at=lost.expires_at, **question)
    sdk_node.tell(f"block {int(lost.expires_at.timestamp() * 1000)}")
    assert not gateway.provably_dead(expires_at=lost.expires_at, **question)  # a block of that very moment may hold it
    sdk_node.tell(f"block {int(lost.expires_at.timestamp() * 1000) + 1}")
    assert gateway.provably_dead(expires_at=lost.expires_at, **question)


def test_contract_events_in_blocks_are_those_that_took_effect(sdk_node, gateway):
    blocks = list(gateway.blocks(0, BLOCKS - 1, [Contract(1000)]))
    assert [block.height for block in blocks] == list(range(BLOCKS))
    events = {block.height: [event.kind.value for event in block.events] for block in blocks if block.events}
    assert events == {CALLED_AT: ["mint", "transfer", "burn"]}
    mint = blocks[CALLED_AT].events[0]
    value = EVENTS["Mint"]["value"]["Mint"]
    assert (mint.recipient, mint.amount_raw) == (value["owner"]["Account"][0], int(value["amount"]))
    assert mint.token_id == int.from_bytes(bytes.fromhex(value["token_id"]), "little")


def test_the_bell_rings_with_the_block_that_became_final(sdk_node, gateway):
    with grpc.insecure_channel(sdk_node.address) as channel:
        bell = rpc.QueriesStub(channel).GetFinalizedBlocks(pb.Empty(), timeout=30)
        bell.initial_metadata()  # it listens now
        sdk_node.tell("block " + str(int(datetime.now(UTC).timestamp() * 1000)))
        rung = next(bell)
        bell.cancel()
    head = gateway.head()
    assert (rung.height.value, rung.hash.value.hex()) == (head.height, head.block_hash) == (BLOCKS, head.block_hash)


def test_the_sdks_network_is_pinned_by_its_genesis_block(sdk_node, tmp_path):
    wrong = ConcordiumGateway(endpoints=[sdk_node.address], genesis_hash="00" * 32, timeout_seconds=10)
    with pytest.raises(ChainMisconfigured, match="another network"):
        wrong.head()
