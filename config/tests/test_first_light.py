"""The main job, whole: a coupon for many holders, by real processes, on a devnet; and the same with its worker killed in the middle."""

import email
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import policy
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from bonds.chain.concordium.adapter import ConcordiumGateway
from bonds.chain.devnet.process import DevnetProcess
from bonds.models import ChainTransaction, JournalEntry, Payment, Snapshot
from config import seed
from jobs.models import Job
from notifications.models import Notification
from yields.models import YieldDistribution
from yields.services import runs

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

HOLDERS = 60


@dataclass
class World:
    """A seeded devnet and database, and the processes that work on them."""

    node: DevnetProcess
    environment: dict[str, str]
    mailbox: Path
    config: object
    opening: int
    processes: list[subprocess.Popen]

    def start(self, *command: str) -> subprocess.Popen:
        arguments = [sys.executable, "manage.py", *command]
        process = subprocess.Popen(arguments, cwd=settings.BASE_DIR, env=self.environment, start_new_session=True)
        self.processes.append(process)
        return process

    def start_worker(self) -> subprocess.Popen:
        return self.start("qcluster")

    def balances(self) -> dict[str, int]:
        return self.node.control.balances(seed.PLT)


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    with DevnetProcess(tmp_path / "devnet", hold=True, block_seconds=0.2) as node:
        now = timezone.now()
        seed.on_chain(node.control, HOLDERS, now=now)
        wallet = node.genesis.accounts[0].address
        gateway = ConcordiumGateway(endpoints=[node.address])
        config = seed.in_books(
            wallet_address=wallet, next_sequence_number=gateway.next_sequence_number(wallet), holders=HOLDERS, now=now
        )
        node.control.resume()
        environment = {
            **os.environ,
            "DEVDB_NAME": connection.settings_dict["NAME"],
            "CHAIN_ENDPOINTS": node.address,
            "CLOUD_WALLET_KEYS_FILE": str(node.wallet_keys_file),
            "MAILBOX_DIR": str(tmp_path / "mail"),
            "PAYMENT_BATCH_SIZE": "10",
            "JOB_LEASE_SECONDS": "3",
            "JOB_HEARTBEAT_SECONDS": "0.5",
            "JOB_RESCUE_SECONDS": "0.5",
            "JOB_SLICE_SECONDS": "0.5",
            "JOB_POLL_SECONDS": "0.2",
        }
        opening = node.control.balances(seed.PLT)[wallet]
        made = World(node, environment, tmp_path / "mail", config, opening, [])
        try:
            made.start("listen_events", "--every", "0.2")
            yield made
        finally:
            for process in made.processes:
                kill_all(process)


def family(worker: subprocess.Popen) -> list[psutil.Process]:
    try:
        parent = psutil.Process(worker.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_all(worker: subprocess.Popen) -> None:
    for process in family(worker):
        if process.is_running():
            process.send_signal(signal.SIGKILL)
    worker.wait(10)


def until(
    condition: Callable[[], object], what: str, seconds: float = 60, worker: subprocess.Popen | None = None
) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if worker is not None and worker.poll() is not None:
            pytest.fail(f"the worker ended with {worker.returncode} before {what}")
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s: {what}; {_standing()}")
        time.sleep(0.05)


def _standing() -> dict[str, object]:
    return {
        "runs": list(YieldDistribution.objects.values_list("status", "wait_reason", "error_message")),
        "jobs": list(
            Job.objects.exclude(status="completed").values_list("job_type", "status", "wait_reason", "last_error")[:10]
        ),
    }


def trigger(world: World) -> YieldDistribution:
    staff = get_user_model().objects.get(username=seed.DEMO_USER)
    return runs.start(world.config.pk, actor=staff)


def assert_everyone_paid_once(world: World, run: YieldDistribution) -> None:
    run.refresh_from_db()
    assert run.status == "completed"
    payments = list(Payment.objects.filter(run=run.pk))
    assert len(payments) == HOLDERS
    assert {payment.status for payment in payments} == {"paid"}
    on_chain = world.balances()
    wallet = world.node.genesis.accounts[0].address
    assert {p.holder: on_chain[p.holder] for p in payments} == {p.holder: int(p.amount_units) for p in payments}
    total = sum(int(payment.amount_units) for payment in payments)
    assert on_chain[wallet] == world.opening - total
    assert JournalEntry.objects.filter(kind="pay").count() == HOLDERS
    assert ChainTransaction.objects.filter(status="finalized").count() >= HOLDERS // 10
    assert Snapshot.objects.get().total_holders == HOLDERS
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_q_ormq")
        assert cursor.fetchone() == (0,)


def mails(world: World) -> list[str]:
    """Message-ID of every mail in the mailbox."""
    found = []
    for file in world.mailbox.glob("*.log"):
        for text in file.read_bytes().split(b"-" * 79 + b"\n"):
            if text.strip():
                found.append(email.message_from_bytes(text.strip(), policy=policy.default)["Message-ID"])
    return found


def test_a_coupon_is_paid_final_recorded_told_and_closed(world):
    worker = world.start_worker()
    run = trigger(world)
    until(
        lambda: YieldDistribution.objects.get(pk=run.pk).status == "completed",
        "the run is completed",
        worker=world.processes[-1],
    )
    assert_everyone_paid_once(world, run)
    until(lambda: len(mails(world)) >= HOLDERS, "a mail for every holder")
    assert len(mails(world)) == len(set(mails(world))) == HOLDERS
    assert Notification.objects.filter(notification_type="yield_distributed", user__isnull=False).count() == HOLDERS
    processes = family(worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("paid_before_the_kill", [0, 20])
def test_a_worker_killed_in_the_middle_still_pays_everyone_once(world, paid_before_the_kill):
    worker = world.start_worker()
    run = trigger(world)
    until(
        lambda: (
            ChainTransaction.objects.exists()
            and Payment.objects.filter(run=run.pk, status="paid").count() >= paid_before_the_kill
        ),
        "some transactions are out",
        worker=worker,
    )
    processes = family(worker)
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    until(
        lambda: not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE],
        "its children died with it",
    )
    world.start_worker()
    until(
        lambda: YieldDistribution.objects.get(pk=run.pk).status == "completed",
        "the run is completed",
        worker=world.processes[-1],
    )
    assert_everyone_paid_once(world, run)
    until(lambda: len(set(mails(world))) >= HOLDERS, "a mail for every holder")
    assert len(set(mails(world))) == HOLDERS
