"""What a devnet starts from: time, accounts, tokens and contracts, read from one JSON file. Must never change once blocks stand on it.

Keys in a genesis are for this machine only; the files holding them are written for their owner alone (mode 0600).
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from bonds.chain.devnet.encoding import EncodingError, address_bytes, address_text
from bonds.chain.devnet.network import Account, Contract, Genesis, Token, dump
from bonds.chain.devnet.seed import first_cells

GENESIS_FILE = "genesis.json"
WALLET_FILE = "cloud-wallet.json"
DEFAULT_AGE = timedelta(days=400)  # room for seeding holders whose lots began to accrue long ago
MICRO_CCD = 1_000_000


class GenesisError(Exception):
    """The file cannot be used as a genesis. Whoever wrote it corrects it."""


def load(path: Path) -> Genesis:
    """The genesis in `path`. GenesisError naming the file when it is missing or unusable."""
    try:
        data = json.loads(path.read_text())
        genesis = Genesis(
            genesis_time_ms=data["genesis_time_ms"],
            operator=data["operator"],
            operator_seed=data["operator_seed"],
            accounts=tuple(Account(**item) for item in data["accounts"]),
            tokens=tuple(Token(**{**item, **_tuples(item, "allowed", "denied")}) for item in data["tokens"]),
            contracts=tuple(Contract(**{**item, **_tuples(item, "agents")}) for item in data["contracts"]),
            **_tuples(data, "euro_per_energy", "micro_ccd_per_euro"),
            block_energy_limit=data.get("block_energy_limit", 3_000_000),
        )
        first_cells(genesis)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GenesisError(f"{path} is not a usable genesis: {error}") from error
    return genesis


def _tuples(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: tuple(data[name]) for name in names if name in data}


def write_genesis(path: Path, genesis: Genesis) -> None:
    """Write the file for its owner alone; never over an existing one."""
    first_cells(genesis)
    write_private(path, dump(genesis))


def write_private(path: Path, text: str) -> None:
    """Create `path` with mode 0600, complete or not at all. FileExistsError when it is there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        os.link(partial, path)
    finally:
        partial.unlink()


def new_account() -> tuple[str, str, str]:
    """A fresh account: address, seed and verification key in hex."""
    seed = secrets.token_bytes(32)
    key = bytes(SigningKey(seed).verify_key)
    return address_text(hashlib.sha256(b"devnet account" + key).digest()), seed.hex(), key.hex()


def build_genesis(  # what a small network needs, each part replaceable
    *,
    wallet: Account,
    genesis_at: datetime | None = None,
    wallet_plt_units: int = 10_000_000_000_000,
    extra_accounts: tuple[Account, ...] = (),
    token_id: str = "EURD",  # noqa: S107 - a currency, not a secret
) -> Genesis:
    """A network with the wallet, an issuer that governs everything, one 6-decimal PLT, token contract <1000,0> and registry <1001,0>.

    `wallet_plt_units` (10 million tokens unless told) are the wallet's opening balance; the issuer holds as much again.
    """
    issuer, issuer_seed, issuer_key = new_account()
    moment = genesis_at or datetime.now(UTC) - DEFAULT_AGE
    issuer_account = Account(address=issuer, micro_ccd=10_000_000 * MICRO_CCD, keys={"0": {"0": issuer_key}})
    return Genesis(
        genesis_time_ms=int(moment.timestamp() * 1000),
        operator=issuer,
        operator_seed=issuer_seed,
        accounts=(wallet, issuer_account, *extra_accounts),
        tokens=(
            Token(
                token_id=token_id,
                name="Devnet euro",
                decimals=6,
                governance=issuer,
                balances={wallet.address: wallet_plt_units, issuer: wallet_plt_units},
            ),
        ),
        contracts=(
            Contract(index=1000, kind="token", owner=issuer, agents=(issuer, wallet.address)),
            Contract(index=1001, kind="registry", owner=issuer, agents=(issuer,)),
        ),
    )


def default_genesis(
    directory: Path, *, genesis_at: datetime | None = None, wallet_plt_units: int = 10_000_000_000_000
) -> Genesis:
    """The genesis of this state directory; made, with the cloud wallet's keys file beside it, when there is none. Safe to call again."""
    path = directory / GENESIS_FILE
    if path.exists():
        return load(path)
    address, key = _wallet_keys(directory / WALLET_FILE)
    wallet = Account(address=address, micro_ccd=1_000_000 * MICRO_CCD, keys={"0": {"0": key}})
    write_genesis(path, build_genesis(wallet=wallet, genesis_at=genesis_at, wallet_plt_units=wallet_plt_units))
    return load(path)


def _wallet_keys(path: Path) -> tuple[str, str]:
    """Address and verification key of the cloud wallet in `path`, written first when missing."""
    if not path.exists():
        address, seed, _ = new_account()
        write_private(path, json.dumps({"address": address, "keys": {"0": {"0": seed}}}, indent=1))
    try:
        data = json.loads(path.read_text())
        address_bytes(data["address"])
        return data["address"], bytes(SigningKey(bytes.fromhex(data["keys"]["0"]["0"])).verify_key).hex()
    except (ValueError, KeyError, TypeError, EncodingError) as error:
        raise GenesisError(f"{path} holds no usable key: {error}") from error
