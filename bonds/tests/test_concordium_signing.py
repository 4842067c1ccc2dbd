"""What the Concordium gateway signs: the official SDK's bytes, with every key the account needs, and nothing that cannot be sent."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from bonds.chain.concordium import addresses, contracts, tokens, transactions
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.gateway import ChainMisconfigured, Contract, Transfer
from bonds.tests.fake_node import BOB, DOWN, VECTORS, connect

VECTORS_BY_NAME = json.loads((VECTORS / "plt_transactions.json").read_text())["transactions"]
VECTOR = VECTORS_BY_NAME["plt_transfer_single"]
UPDATE = json.loads((VECTORS / "contract_update_tx.json").read_text())["transactions"]["update_burn"]
SENDER = VECTOR["sender"]
EXPIRY = datetime.fromtimestamp(VECTOR["expiry"], UTC)
RECIPIENT = json.loads((VECTORS / "addresses.json").read_text())["addresses"][1]["base58"]


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps({"address": SENDER, "keys": VECTOR["keys"]}))
    return path


def sign(gateway: ConcordiumGateway, *transfers: Transfer, **changes: Any) -> Any:
    arguments = {"sender": SENDER, "token_id": "EUROe", "decimals": 6, "sequence_number": 42, "expires_at": EXPIRY}
    return gateway.sign_transfers(**(arguments | changes), transfers=transfers)


def test_signed_transfers_are_the_official_sdks_bytes(key_file):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    signed = sign(gateway, Transfer(RECIPIENT, 1_234_567_890, b""))
    assert signed.raw.hex() == VECTOR["block_item"]
    assert signed.transaction_hash == VECTOR["sha256_block_item"]
    assert (signed.energy, signed.sequence_number, signed.sender) == (VECTOR["energy"], 42, SENDER)
    assert signed.expires_at == EXPIRY
    assert sign(gateway, Transfer(RECIPIENT, 1_234_567_890, b"")) == signed


def test_a_batch_keeps_its_order_and_its_memos(key_file):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    transfers = [Transfer(RECIPIENT if n % 2 else BOB, n, b"%064d" % n) for n in range(1, 101)]
    signed = sign(gateway, *transfers, expires_at=EXPIRY + timedelta(milliseconds=999))
    transaction = transactions.parse_block_item(signed.raw)
    update = transactions.parse_payload(transaction.payload)
    assert [
        (addresses.encode(operation.recipient), operation.amount_units, operation.memo)
        for operation in tokens.decode_operations(update.operations)
    ] == [(transfer.recipient, transfer.amount_units, transfer.memo) for transfer in transfers]
    assert transaction.header.expiry_seconds == VECTOR["expiry"]
    assert signed.expires_at == EXPIRY


def test_keys_are_read_at_the_first_signature_and_only_then(key_file):
    opened = []

    def factory() -> KeyFileSigner:
        opened.append(key_file)
        return KeyFileSigner(key_file)

    gateway = connect(DOWN, signer_factory=factory)
    assert opened == []
    sign(gateway, Transfer(RECIPIENT, 1, b""))
    sign(gateway, Transfer(RECIPIENT, 2, b""))
    assert len(opened) == 1


def test_without_the_senders_key_nothing_is_signed(key_file):
    with pytest.raises(ChainMisconfigured, match="no signing keys"):
        sign(connect(DOWN), Transfer(RECIPIENT, 1, b""))
    with pytest.raises(ChainMisconfigured, match="no key for the account"):
        sign(connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file)), Transfer(RECIPIENT, 1, b""), sender=BOB)


@pytest.mark.parametrize(
    ("transfers", "changes"),
    [
        ([], {}),
        ([Transfer(RECIPIENT, 0, b"")], {}),
        ([Transfer(RECIPIENT, -1, b"")], {}),
        ([Transfer(RECIPIENT, 2**64, b"")], {}),
        ([Transfer("nobody", 1, b"")], {}),
        ([Transfer("<7,0>", 1, b"")], {}),
        ([Transfer(RECIPIENT, 1, bytes(65))], {}),
        ([Transfer(RECIPIENT, 1, b"")], {"expires_at": datetime(2026, 1, 1)}),  # noqa: DTZ001
        ([Transfer(RECIPIENT, 1, b"")], {"sequence_number": 2**64}),
        ([Transfer(RECIPIENT, 1, b"")], {"token_id": "EURO e"}),
    ],
)
def test_what_cannot_be_sent_is_not_signed(key_file, transfers, changes):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    with pytest.raises(ValueError, match=r"."):
        sign(gateway, *transfers, **changes)


def test_two_keys_of_one_credential_sign_the_official_sdks_bytes(tmp_path):
    vector = VECTORS_BY_NAME["plt_transfer_2keys"]
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(written(tmp_path, keys=vector["keys"])))
    payload = transactions.parse_payload(bytes.fromhex(vector["payload"]))
    (operation,) = tokens.decode_operations(payload.operations)
    signed = sign(
        gateway,
        Transfer(addresses.encode(operation.recipient), operation.amount_units, operation.memo or b""),
        sequence_number=vector["nonce"],
        decimals=operation.decimals,
        expires_at=datetime.fromtimestamp(vector["expiry"], UTC),
    )
    assert signed.raw.hex() == vector["block_item"]
    assert (signed.transaction_hash, signed.energy) == (vector["sha256_block_item"], vector["energy"])


# ---- thresholds ----

SEEDS = {"0": {"0": "01" * 32, "3": "02" * 32}, "2": {"1": "03" * 32, "0": "04" * 32}, "5": {"7": "05" * 32}}


def written(tmp_path: Path, **document: Any) -> Path:
    path = tmp_path / "wallet.json"
    path.write_text(json.dumps({"address": SENDER} | document))
    return path


@pytest.mark.parametrize(
    ("thresholds", "signing"),
    [
        ({}, {0: [0, 3], 2: [0, 1], 5: [7]}),
        ({"account_threshold": 2}, {0: [0, 3], 2: [0, 1]}),
        ({"account_threshold": 3, "credential_thresholds": {"0": 1, "2": 2}}, {0: [0], 2: [0, 1], 5: [7]}),
        ({"account_threshold": 1, "credential_thresholds": {"0": 1}}, {0: [0]}),
    ],
)
def test_as_many_keys_sign_as_the_thresholds_ask_lowest_first_and_each_is_paid_for(tmp_path, thresholds, signing):
    path = written(tmp_path, keys=SEEDS, **thresholds)
    signed = sign(connect(DOWN, signer_factory=lambda: KeyFileSigner(path)), Transfer(RECIPIENT, 1_234_567_890, b""))
    transaction = transactions.parse_block_item(signed.raw)
    assert {credential: sorted(keys) for credential, keys in transaction.signatures.items()} == signing
    digest = transactions.signing_digest(transaction.header, transaction.payload)
    for credential, keys in transaction.signatures.items():
        for index, signature in keys.items():
            seed = bytes.fromhex(SEEDS[str(credential)][str(index)])
            SigningKey(seed).verify_key.verify(digest, signature)
    signatures = sum(map(len, signing.values()))
    assert signed.energy == VECTOR["energy"] + 100 * (signatures - 1)


@pytest.mark.parametrize(
    ("thresholds", "field"),
    [
        ({"account_threshold": 4}, "account_threshold is no whole number from 1 to the 3 it holds"),
        ({"account_threshold": 0}, "account_threshold is no whole number"),
        ({"account_threshold": "2"}, "account_threshold is no whole number"),
        ({"account_threshold": True}, "account_threshold is no whole number"),
        ({"credential_thresholds": {"0": 3}}, "credential_thresholds of 0 is no whole number from 1 to the 2 it holds"),
        ({"credential_thresholds": {"0": 0}}, "credential_thresholds of 0 is no whole number"),
        ({"credential_thresholds": {"1": 1}}, "credential_thresholds names a credential without keys"),
        ({"credential_thresholds": 2}, "credential_thresholds names a credential without keys"),
    ],
)
def test_a_threshold_the_file_cannot_meet_is_refused_by_name(tmp_path, thresholds, field):
    with pytest.raises(ChainMisconfigured, match=field):
        KeyFileSigner(written(tmp_path, keys=SEEDS, **thresholds))


# ---- contract calls ----


def sign_update(gateway: ConcordiumGateway, **changes: Any) -> Any:
    burns = [(20_454, 1_500, RECIPIENT)]
    arguments = {
        "sender": UPDATE["sender"],
        "contract": Contract(*UPDATE["contract"]),
        "receive_name": contracts.BURN_RECEIVE_NAME,
        "parameter": contracts.burn_parameter(burns),
        "execution_energy": UPDATE["execution_energy"],
        "sequence_number": UPDATE["nonce"],
        "expires_at": datetime.fromtimestamp(UPDATE["expiry"], UTC),
    }
    return gateway.sign_update(**(arguments | changes))


def test_a_signed_burn_is_the_official_sdks_bytes(key_file):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    signed = sign_update(gateway)
    assert signed.raw.hex() == UPDATE["block_item"]
    assert signed.transaction_hash == UPDATE["sha256_block_item"]
    assert (signed.energy, signed.sequence_number, signed.sender) == (UPDATE["energy"], UPDATE["nonce"], SENDER)
    assert sign_update(gateway) == signed


def test_a_claim_names_the_fund_and_carries_no_ccd(key_file):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    parameter = contracts.claim_investment_parameter([(Contract(10), 20_454, RECIPIENT), (Contract(10), 20_454, BOB)])
    signed = sign_update(
        gateway, contract=Contract(12, 1), receive_name=contracts.CLAIM_INVESTMENT_RECEIVE_NAME, parameter=parameter
    )
    transaction = transactions.parse_block_item(signed.raw)
    assert transactions.parse_payload(transaction.payload) == transactions.ContractUpdate(
        Contract(12, 1), "security_mint_fund.claimInvestment", parameter, amount_microccd=0
    )
    assert signed.energy == 100 + 60 + len(transaction.payload) + UPDATE["execution_energy"]


@pytest.mark.parametrize(
    "changes",
    [
        {"execution_energy": 0},
        {"execution_energy": 2**64},
        {"contract": Contract(2**64)},
        {"receive_name": "security_sft_multi.bürn"},
        {"parameter": bytes(65_536)},
        {"sequence_number": -1},
        {"expires_at": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"sender": "nobody"},
    ],
)
def test_a_call_that_cannot_be_sent_is_not_signed(key_file, changes):
    gateway = connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file))
    with pytest.raises(ValueError, match=r"."):
        sign_update(gateway, **changes)


def test_without_the_senders_key_no_call_is_signed(key_file):
    with pytest.raises(ChainMisconfigured, match="no signing keys"):
        sign_update(connect(DOWN))
    with pytest.raises(ChainMisconfigured, match="no key for the account"):
        sign_update(connect(DOWN, signer_factory=lambda: KeyFileSigner(key_file)), sender=BOB)
