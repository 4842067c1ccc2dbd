"""How fast this product signs, builds its largest day of payments, and catches up with a chain; writes docs/chain-performance.md.

Run as `make bench-chain` (python -m bench.chain). Signing and building are one process on one core. Catching up is
`listen_events --once`, as it runs in production, on a PostgreSQL with every commit on disk, against a devnet in a process of its own.
"""

import argparse
import cProfile
import io
import os
import platform
import pstats
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from bonds.chain.concordium import addresses
from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.concordium.signer import KeyFileSigner
from bonds.chain.devnet.client import DevnetControl
from bonds.chain.devnet.genesis import new_account, write_private
from bonds.chain.gateway import Transfer

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "chain-performance.md"
SIGNED_AT_LEAST = 5_000  # transactions a second
BUILT_WITHIN_SECONDS = 5.0  # BATCHES of BATCH_SIZE
CAUGHT_UP_AT_LEAST = 200  # blocks a second
BATCHES, BATCH_SIZE = 1_000, 100
ROUNDS = 3
TOKEN_CONTRACT, REGISTRY_CONTRACT = 1000, 1001
HOLDERS = 200
BUSY_LOAD = 0.3  # above that much load per core before the start, the figures are provisional


@dataclass(frozen=True)
class Figure:
    """One line of the table. `good`: whether it keeps what the product promises."""

    what: str
    value: str
    wanted: str
    good: bool


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(_directory()))
        gateway, sender = _signing_gateway(directory)
        if options.profile:
            print(_profile(gateway, sender))
            return 0
        figures = [_signing(gateway, sender), _building(gateway, sender)]
        figures += _catching_up(stack, directory, blocks=options.blocks)
    text = document(figures, load=load)
    print(text)
    if options.out:
        Path(options.out).write_text(text)
        print(f"written to {options.out}")
    return 0 if all(figure.good for figure in figures) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.chain", description=__doc__)
    parser.add_argument("--blocks", type=int, default=4_000, help="blocks to catch up with, each way")
    parser.add_argument("--out", default=str(OUT), help="empty: print only")
    parser.add_argument(
        "--profile", action="store_true", help="where signing and building spend their time, and nothing else"
    )
    return parser.parse_args()


@contextmanager
def _directory() -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="bench-chain-")
    Path(directory).chmod(0o755)  # the database server's account must reach its data
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# ---- signing ----------------------------------------------------------------------------------------------------------


def _signing_gateway(directory: Path) -> tuple[ConcordiumGateway, str]:
    """A gateway that signs with a key file, as the worker's does; it never speaks to a node."""
    address, seed, _ = new_account()
    keys = directory / "keys.json"
    write_private(keys, f'{{"address": "{address}", "keys": {{"0": {{"0": "{seed}"}}}}}}')
    return ConcordiumGateway(endpoints=["127.0.0.1:1"], signer_factory=lambda: KeyFileSigner(keys)), address


def _transfers(count: int) -> list[Transfer]:
    """To as many different holders, each with a memo as long as a payment's id."""
    chance = random.Random(7)
    return [
        Transfer(addresses.encode(chance.randbytes(32)), chance.randrange(1, 2**48), chance.randbytes(16))
        for _ in range(count)
    ]


def _sign(gateway: ConcordiumGateway, sender: str, batches: list[list[Transfer]]) -> float:
    """Seconds for building and signing one transaction per batch."""
    expires_at = datetime.now(UTC) + timedelta(minutes=5)
    started = time.perf_counter()
    for number, transfers in enumerate(batches, start=1):
        gateway.sign_transfers(
            sender=sender,
            token_id="EURD",
            decimals=6,
            transfers=transfers,
            sequence_number=number,
            expires_at=expires_at,
        )
    return time.perf_counter() - started


def _singles() -> list[list[Transfer]]:
    return [[transfer] for transfer in _transfers(5_000)]


def _batches() -> list[list[Transfer]]:
    transfers = _transfers(BATCHES * BATCH_SIZE)
    return [transfers[start : start + BATCH_SIZE] for start in range(0, len(transfers), BATCH_SIZE)]


def _signing(gateway: ConcordiumGateway, sender: str) -> Figure:
    singles = _singles()
    _sign(gateway, sender, singles[:200])
    rate = statistics.median(len(singles) / _sign(gateway, sender, singles) for _ in range(ROUNDS))
    what = "transactions of one transfer, built and signed in one process"
    return Figure(what, f"{rate:,.0f} a second", f"at least {SIGNED_AT_LEAST:,}", rate >= SIGNED_AT_LEAST)


def _building(gateway: ConcordiumGateway, sender: str) -> Figure:
    batches = _batches()
    seconds = statistics.median(_sign(gateway, sender, batches) for _ in range(ROUNDS))
    what = f"{BATCHES:,} transactions of {BATCH_SIZE} transfers, built and signed"
    return Figure(what, f"{seconds:.2f} s", f"at most {BUILT_WITHIN_SECONDS:.0f} s", seconds <= BUILT_WITHIN_SECONDS)


def _profile(gateway: ConcordiumGateway, sender: str) -> str:
    out = io.StringIO()
    for name, batches in (("one transfer each", _singles()), (f"{BATCH_SIZE} transfers each", _batches()[:100])):
        profile = cProfile.Profile()
        profile.enable()
        _sign(gateway, sender, batches)
        profile.disable()
        out.write(f"== {name}\n")
        pstats.Stats(profile, stream=out).sort_stats("tottime").print_stats(18)
    return out.getvalue()


# ---- catching up --------------------------------------------------------------------------------------------------------


def _catching_up(stack: ExitStack, directory: Path, *, blocks: int) -> list[Figure]:
    """Empty blocks first, because most of a chain's are; then blocks of which every second mints lots."""
    address = stack.enter_context(_devnet(directory))
    stack.enter_context(_database(directory, address))
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    _bond()
    figures = []
    with DevnetControl(address, timeout_seconds=600) as control:
        call_command("listen_events", once=True)
        for what, make in (
            ("none with an event of a watched contract", _empty),
            ("half of them with six such events", _busy),
        ):
            before = control.state()["final_height"]
            make(control, blocks)
            count = control.state()["final_height"] - before
            started = time.perf_counter()
            call_command("listen_events", once=True)
            rate = count / (time.perf_counter() - started)
            _must_be_read(control)
            wanted = f"at least {CAUGHT_UP_AT_LEAST}"
            figures.append(
                Figure(
                    f"catching up with {count:,} blocks, {what}",
                    f"{rate:,.0f} a second",
                    wanted,
                    rate >= CAUGHT_UP_AT_LEAST,
                )
            )
    return figures


@contextmanager
def _devnet(directory: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "manage.py",
        "devnet",
        "--port",
        "0",
        "--hold",
        "--state",
        str(directory / "devnet"),
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if "answers at " not in line:
            raise RuntimeError("the devnet did not start")
        yield line.split("answers at ")[1].split(",")[0]
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


@contextmanager
def _database(directory: Path, address: str) -> Iterator[None]:
    """The product's settings on a database server of this run's own."""
    for name in ("DATABASE_URL", "CHAIN_GENESIS_HASH", "CHAIN_MODULES"):
        os.environ[name] = ""
    os.environ |= {
        "STATE_DIR": str(directory),
        "CHAIN_ENDPOINTS": address,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LOG_LEVEL": "ERROR",
        "CHAIN_MAX_BEHIND_SECONDS": "86400",  # the devnet makes blocks only when told to
    }
    import django
    from django.conf import settings

    django.setup()
    try:
        yield
    finally:
        settings.DEVDB.remove()


def _bond() -> Any:
    from bonds.models import Bond, Wallet

    today = datetime.now(UTC).date()
    return Bond.objects.create(
        name="Bench",
        face_value=1000,
        currency="EUR",
        plt_token_id="EURD",
        plt_decimals=6,
        issue_date=today - timedelta(days=300),
        subscription_period_end=today - timedelta(days=200),
        maturity_date=today + timedelta(days=300),
        postsale_contract_index=TOKEN_CONTRACT,
        registry_contract_index=REGISTRY_CONTRACT,
        wallet=Wallet.objects.create(name="Bench", address="bench", next_sequence_number=1),
    )


def _empty(control: DevnetControl, blocks: int) -> None:
    control.advance(blocks=blocks)


def _busy(control: DevnetControl, blocks: int) -> None:
    """Every second block of an issue is the child that makes it final, so half the blocks carry six events."""
    holders = [new_account()[0] for _ in range(HOLDERS)]
    control.mint(TOKEN_CONTRACT, [(holder, 20_000, 10**9) for holder in holders])
    chance = random.Random(7)
    for _ in range(blocks // 2):
        lots = [(chance.choice(holders), 20_000, chance.randrange(1, 1000)) for _ in range(6)]
        control.mint(TOKEN_CONTRACT, lots)


def _must_be_read(control: DevnetControl) -> None:
    """The figure counts only when the books are the chain."""
    from bonds.models import Holding, ListenerCursor

    books = {(row.holder, int(row.token_id)): int(row.balance_raw) for row in Holding.objects.exclude(balance_raw=0)}
    chain = {(owner, token_id): amount for owner, token_id, amount in control.lots(TOKEN_CONTRACT) if amount}
    if books != chain or ListenerCursor.objects.get().height != control.state()["final_height"]:
        raise RuntimeError("the listener's books are not the devnet's balances: nothing was measured")


# ---- the page -----------------------------------------------------------------------------------------------------------


def document(figures: list[Figure], *, load: float) -> str:
    rows = "\n".join(
        f"| {one.what} | {one.value} | {one.wanted} | {'yes' if one.good else '**no**'} |" for one in figures
    )
    provisional = ""
    if load > BUSY_LOAD:
        busy = f"the machine was busy with other work (load {load:.1f} per core at the start)"
        provisional = f"\n**Provisional**: {busy}, so these are lower bounds.\n"
    return f"""# Performance of the chain side

`make bench-chain` measures this and writes this page; `BENCH_ARGS=--profile` shows where signing spends its time.
Signing and building: the median of {ROUNDS} rounds, one process, one Ed25519 key, every recipient another account, memos of 16 bytes.
Catching up: `listen_events --once` on a PostgreSQL with every commit on disk, against a devnet in its own process on the same machine;
counted only when the holdings then equal the devnet's balances.
{provisional}
| what | measured | promised | kept |
| --- | --- | --- | --- |
{rows}

Measured on {datetime.now(UTC):%Y-%m-%d}: {psutil.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.
"""


if __name__ == "__main__":
    sys.exit(main())
