"""The official JavaScript SDK talks to the devnet: a witness that shares no line with it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bonds.chain.devnet.genesis import new_account
from bonds.chain.devnet.network import MODULE_REFS
from bonds.chain.devnet.process import DevnetProcess

SDK = Path(__file__).parent / "sdk"
pytestmark = pytest.mark.node
ALREADY_EXISTS, INVALID_ARGUMENT, NOT_FOUND = "ALREADY_EXISTS", "INVALID_ARGUMENT", "NOT_FOUND"


@pytest.fixture
def node_binary() -> str:
    binary = shutil.which("node")
    if binary is None:
        pytest.skip("Node is not installed: the SDK witness did not run")
    if not (SDK / "node_modules" / "@concordium" / "web-sdk").is_dir():
        pytest.skip("bonds/tests/sdk/node_modules is missing (npm ci there): the SDK witness did not run")
    return binary


def test_the_official_sdk_reads_sends_and_sees_its_transfer_finalised(node_binary, tmp_path):
    with DevnetProcess(tmp_path, block_seconds=0.1) as devnet:
        recipient = new_account()[0]
        devnet.control.create_accounts([(recipient, None)])
        devnet.control.mint(1000, [(recipient, 20454, 1500)])
        devnet.control.set_registry(1001, [recipient], "whitelisted")
        wallet = json.loads(devnet.wallet_keys_file.read_text())
        task = {
            "address": devnet.address,
            "wallet": wallet,
            "recipient": recipient,
            "token": "EURD",
            "decimals": 6,
            "units": "1234567",
            "tooMany": "18446744073709551615",
            "memo": "coupon 42",
            "registry": 1001,
            "bond": 1000,
            "lot": (20454).to_bytes(8, "little").hex(),
        }
        done = subprocess.run(
            [node_binary, "witness.mjs", json.dumps(task)],
            cwd=SDK,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        genesis = devnet.genesis
        final = devnet.control.balances("EURD", [wallet["address"], recipient])
    check_questions(seen, genesis)
    check_transfer(seen, wallet["address"], recipient)
    check_refusals(seen)
    check_contracts(seen)
    assert final == {wallet["address"]: 10_000_000_000_000 - 2 * 1234567, recipient: 2 * 1234567}


def check_questions(seen, genesis):
    assert seen["consensus"]["genesis"] == genesis.block_hash.hex()
    assert seen["consensus"]["protocol"] == "9"
    assert seen["next"] == {"number": "1", "allFinal": True}
    assert seen["token"]["decimals"] == 6
    assert seen["token"]["supply"] == "20000000000000"
    state = seen["token"]["state"]
    assert (state["name"], state["governanceAccount"]) == ("Devnet euro", genesis.operator)
    assert (state["paused"], state["denyList"], state["allowList"], state["mintable"]) == (False, True, False, True)
    assert seen["lists"] == [["EURD", {"denyList": False}]]
    assert seen["instance"] == {"name": "init_security_sft_multi", "module": MODULE_REFS["token"]}


def check_transfer(seen, sender, recipient):
    assert seen["hash"]["node"] == seen["hash"]["local"]
    assert seen["status"] == "finalized"
    assert seen["rung"] == "true"
    assert seen["inBlock"] == ["tokenUpdate"]
    assert seen["block"] == {"finalized": True, "items": "1"}
    event = {"tag": "TokenTransfer", "from": sender, "to": recipient, "units": "1234567", "decimals": 6}
    assert seen["outcome"]["events"] == [{**event, "memo": "coupon 42"}, {**event, "memo": None}]
    before, after, cost = seen["before"], seen["after"], int(seen["outcome"]["cost"])
    assert int(after["sender"]["units"]) == int(before["sender"]["units"]) - 2 * 1234567
    assert int(after["recipient"]["units"]) == int(before["recipient"]["units"]) + 2 * 1234567
    assert int(after["sender"]["ccd"]) == int(before["sender"]["ccd"]) - cost
    assert cost == 1000 * int(seen["outcome"]["energy"]) > 0
    assert after["sender"]["next"] == "2"


def check_refusals(seen):
    assert seen["duplicate"] == {"code": ALREADY_EXISTS, "message": "Duplicate entry"}
    assert seen["spent"] == {"code": INVALID_ARGUMENT, "message": "Duplicate nonce"}
    assert seen["tooEarly"] == {"code": INVALID_ARGUMENT, "message": "Nonce too large"}
    assert seen["unknown"] == {"code": NOT_FOUND, "message": "Transaction not found."}
    assert seen["rejected"]["tag"] == "TokenUpdateTransactionFailed"
    assert seen["rejected"]["type"] == "tokenBalanceInsufficient"
    assert seen["rejected"]["details"]["index"] == 0


def check_contracts(seen):
    assert seen["verified"] == {"tag": "success", "value": "01", "reason": None}
    assert seen["unverified"] == {"tag": "success", "value": "00", "reason": None}
    assert seen["lots"] == {"tag": "success", "value": "0100dc0b", "reason": None}
    assert seen["stranger"]["tag"] == "failure"
    assert seen["stranger"]["reason"]["rejectReason"] == -42000003
