"""Who runs in the bench, with how many jobs, and the processes that make four workers of each."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.processes import ROOT

WORKERS = 4
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass(frozen=True)
class Contestant:
    """`drain`: jobs of one drain. `bulk`, `single`, `pickups`: enqueued to measure enqueueing and idle pick-up; 0: not measured.

    `gap`: seconds between two idle pick-ups. `database`: shared by contestants of one schema. `kill`: whether to measure kill -9.
    """

    name: str
    title: str
    client: tuple[str, ...]
    workers: tuple[tuple[str, ...], ...]
    drain: int
    bulk: int = 0
    single: int = 0
    pickups: int = 0
    gap: float = 0.06
    database: str = "bench_ours"
    environment: dict[str, str] = field(default_factory=dict)
    kill: bool = True
    needs_redis: bool = False
    is_peer: bool = False
    remark: str = ""


def ours() -> list[Contestant]:
    return [
        _ours("per_job", "this queue, a commit per job", 20_000, bulk=100_000, single=1_500, pickups=80),
        _ours("batch", "this queue, batch handler", 60_000, pickups=80),
        _ours("set_based", "this queue, set-based batch handler", 150_000),
    ]


def _ours(shape: str, title: str, drain: int, **measured: int) -> Contestant:
    return Contestant(
        name=f"ours_{shape}",
        title=title,
        client=(sys.executable, "-W", "ignore", "-m", "bench.ours"),
        workers=((sys.executable, "-W", "ignore", "manage.py", "qcluster"),),
        drain=drain,
        environment={
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "BENCH_JOB_TYPE": f"bench_{shape}",
            "JOB_CONCURRENCY": str(WORKERS),
            "LOG_LEVEL": "WARNING",
        },
        **measured,
    )


def ceilings() -> list[Contestant]:
    return [
        _ceiling("per_job", 20, "raw ceiling: claim 20, a commit per job", 20_000),
        _ceiling("batch", 20, "raw ceiling: claim 20, one commit", 60_000),
        _ceiling("set_based", 200, "raw ceiling: claim 200, set-based", 150_000),
    ]


def _ceiling(shape: str, size: int, title: str, drain: int) -> Contestant:
    loop = (sys.executable, "-m", "bench.ceilings", shape, str(size))
    return Contestant(
        name=f"raw_{shape}",
        title=title,
        client=(sys.executable, "-W", "ignore", "-m", "bench.ours"),
        workers=(loop,) * WORKERS,
        drain=drain,
        environment={"DJANGO_SETTINGS_MODULE": "bench.settings"},
        kill=False,
        remark="no heartbeat, no retries, no rescue",
    )


def peers() -> list[Contestant]:
    return [
        _peer(
            "django_q",
            "django-q2, stock (ORM broker)",
            [("-m", "django", "qcluster", "--settings", "bench.peers.django_settings")],
            drain=4_000,
            bulk=4_000,
            single=1_000,
            gap=0.25,
            remark="retry 60 s",
        ),
        _peer(
            "procrastinate",
            "procrastinate",
            [("-m", "procrastinate", "--app", "bench.peers.with_procrastinate.app", "worker", "-c", str(WORKERS))],
            drain=3_000,
            bulk=20_000,
            single=1_000,
            remark="one process, concurrency 4: the faster of its two shapes",
        ),
        _peer(
            "pgqueuer",
            "pgqueuer",
            [("-m", "bench.peers.with_pgqueuer", "work")] * WORKERS,
            drain=8_000,
            bulk=40_000,
            single=1_500,
            remark="asyncio: ten jobs at once in each process",
        ),
        _peer(
            "django_tasks",
            "django-tasks-db",
            [("-m", "django", "db_worker", "--settings", "bench.peers.django_settings")] * WORKERS,
            drain=2_000,
            bulk=3_000,
            single=1_000,
            gap=0.7,
            remark="polls every second",
        ),
        _peer(
            "celery",
            "celery with Redis, acks_late",
            [
                (
                    *("-m", "celery", "-A", "bench.peers.with_celery", "worker", "-c", str(WORKERS)),
                    *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
                )
            ],
            drain=6_000,
            bulk=6_000,
            single=2_000,
            needs_redis=True,
            remark="visibility_timeout 30 s",
        ),
        _peer(
            "dramatiq",
            "dramatiq with Redis",
            [("-m", "dramatiq", "bench.peers.with_dramatiq", "-p", str(WORKERS), "-t", "1")],
            drain=5_000,
            bulk=8_000,
            single=3_000,
            gap=0.2,
            needs_redis=True,
        ),
        _peer(
            "huey",
            "huey with Redis",
            [
                (
                    "-m",
                    "huey.bin.huey_consumer",
                    "bench.peers.huey_tasks.huey",
                    "-w",
                    str(WORKERS),
                    "-k",
                    "process",
                    "-q",
                )
            ],
            drain=20_000,
            bulk=20_000,
            single=5_000,
            needs_redis=True,
        ),
    ]


def _peer(name: str, title: str, workers: Sequence[tuple[str, ...]], **measured: object) -> Contestant:
    python = str(PEERS_PYTHON)
    module = {"django_q": "with_django_q", "django_tasks": "with_django_tasks"}.get(name, f"with_{name}")
    settings: dict[str, object] = {"pickups": 50, **measured}
    return Contestant(
        name=name,
        title=title,
        client=(python, "-m", f"bench.peers.{module}"),
        workers=tuple((python, *arguments) for arguments in workers),
        database=f"bench_{name}",
        environment={"DJANGO_SETTINGS_MODULE": "bench.peers.django_settings"},
        is_peer=True,
        **settings,  # type: ignore[arg-type]
    )
