"""`manage.py devnet` as a process: it says when it answers, stops at once, and survives kill -9 with every final block."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bonds.chain.devnet.client import DevnetControl
from bonds.chain.devnet.genesis import new_account
from bonds.chain.devnet.user import DevnetUser
from bonds.chain.wire import node_pb2 as pb

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture
def start(tmp_path):
    running = []

    def run(*options):
        command = [sys.executable, "manage.py", "devnet", "--port", "0", "--state", str(tmp_path), *options]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        line = process.stdout.readline()
        assert "devnet answers at" in line, process.stderr.read()
        return process, line.split("answers at ")[1].split(",")[0]

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_answers_when_it_says_so_and_stops_when_told(start):
    process, address = start()
    with DevnetControl(address) as control:
        assert control.state()["height"] >= 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_port_in_use_is_one_clear_line_and_not_zero(start, tmp_path_factory):
    _, address = start()
    port, other = address.split(":")[1], tmp_path_factory.mktemp("other")
    command = [sys.executable, "manage.py", "devnet", "--port", port, "--state", str(other)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert done.stderr.strip() == f"CommandError: devnet: port {port} is in use"


def test_kill_9_at_any_moment_loses_no_final_block(start, tmp_path):
    holder = new_account()[0]
    hashes = {}
    paid = 0
    for _ in range(3):
        process, address = start("--block-seconds", "0.05")
        with (
            DevnetControl(address) as control,
            DevnetUser.from_keys_file(address, tmp_path / "cloud-wallet.json") as wallet,
        ):
            control.create_accounts([(holder, None)])
            assert control.balances("EURD", [holder]) == {holder: paid}
            for height, block_hash in hashes.items():
                assert block_at(wallet, height) == block_hash
            for _ in range(10):
                transaction_hash = wallet.send(wallet.pay("EURD", [(holder, 7)]))
                wait_final(wallet, transaction_hash)
                paid += 7
            final = control.state()["final_height"]
            hashes = {height: block_at(wallet, height) for height in range(final + 1)}
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    _, address = start("--hold")
    with DevnetControl(address) as control:
        balances = control.balances("EURD")
        assert balances[holder] == paid == 210
        assert sum(balances.values()) == control.supply("EURD") == 20_000_000_000_000


def block_at(wallet, height):
    return wallet.node.GetBlockInfo(pb.BlockHashInput(absolute_height=pb.U64(value=height))).hash.value


def wait_final(wallet, transaction_hash):
    deadline = time.monotonic() + 20
    while wallet.status(transaction_hash).WhichOneof("status") != "finalized":
        assert time.monotonic() < deadline
        time.sleep(0.01)
