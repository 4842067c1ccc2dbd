"""What the console's first page shows, read from the books alone so that it never waits for a node. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Sum
from django.urls import reverse
from django.utils import timezone

from bonds.models import Bond, ListenerCursor, ParkedEvent, Payment, PaymentStatus, Wallet
from bonds.services import payments
from config.console import queue
from maturity.models import MaturityRun
from notifications.models import Notification
from notifications.templatetags.notification_formats import units
from yields.models import YieldDistribution

RUNS_SHOWN = 8
NOTICES_SHOWN = 6
ENDED = ("completed", "cancelled")
LISTENER_STALE = timedelta(minutes=2)

OPEN = (PaymentStatus.PLANNED, PaymentStatus.READY, PaymentStatus.SIGNED, PaymentStatus.SUBMITTED)
OWED = (*OPEN, PaymentStatus.HELD, PaymentStatus.NEEDS_REVIEW)


@dataclass(frozen=True)
class RunRow:
    """One run as a line: `paid` of `total` payments, and why it waits or stopped ("" when it moves)."""

    title: str
    kind: str
    url: str
    status: str
    paid: int
    total: int
    paid_text: str
    reason: str
    created_at: datetime

    @property
    def status_text(self) -> str:
        return self.status.replace("_", " ")

    @property
    def bar_max(self) -> int:
        return max(1, self.total)

    @property
    def count_text(self) -> str:
        return f"{self.paid:,} of {self.total:,}"


@dataclass(frozen=True)
class OpenSum:
    """Payments of one PLT in one status that is not settled, in base units."""

    plt_token_id: str
    plt_decimals: int
    status: str
    count: int
    units: int


@dataclass(frozen=True)
class Owed:
    """What is owed in one PLT, as text in whole tokens, and how many payments stand behind each figure."""

    plt_token_id: str
    owed: str
    owed_count: int
    held: str
    held_count: int
    review: str
    review_count: int


@dataclass(frozen=True)
class Verdict:
    """One sentence on the state of things; `level` is good, busy, warn or bad."""

    level: str
    text: str


def runs() -> list[RunRow]:
    """Runs in progress first, then the last ended ones."""
    found = [*_newest(YieldDistribution), *_newest(MaturityRun)]
    found.sort(key=lambda run: (run.status in ENDED, -run.created_at.timestamp()))
    return [_row(run) for run in found[:RUNS_SHOWN]]


def _newest(model: Any) -> Sequence[Any]:
    rows = model.objects.select_related("bond")
    live = list(rows.exclude(status__in=ENDED).order_by("-created_at")[:RUNS_SHOWN])
    return live + list(rows.filter(status__in=ENDED).order_by("-created_at")[:RUNS_SHOWN])


def _row(run: Any) -> RunRow:
    totals = payments.totals(run.pk)
    meta = run._meta
    return RunRow(
        title=str(run),
        kind="coupon" if isinstance(run, YieldDistribution) else "redemption",
        url=reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[run.pk]),
        status=run.status,
        paid=totals.paid_count,
        total=totals.total,
        paid_text=f"{units(totals.paid_units, run.bond.plt_decimals)} {run.bond.plt_token_id}",
        reason=run.error_message or run.wait_reason,
        created_at=run.created_at,
    )


def open_by_status() -> list[OpenSum]:
    """Every obligation that is not settled, summed by PLT and status."""
    rows = (
        Payment.objects.filter(status__in=OWED)
        .values_list("plt_token_id", "plt_decimals", "status")
        .annotate(count=Count("pk"), units=Sum("amount_units"))
        .order_by("plt_token_id", "plt_decimals", "status")
    )
    return [OpenSum(token_id, decimals, status, count, int(total)) for token_id, decimals, status, count, total in rows]


def owed() -> list[Owed]:
    """Open obligations by PLT; a PLT with nothing open is absent."""
    by_token: dict[tuple[str, int], list[OpenSum]] = {}
    for row in open_by_status():
        by_token.setdefault((row.plt_token_id, row.plt_decimals), []).append(row)
    return [_owed_in(token_id, decimals, rows) for (token_id, decimals), rows in by_token.items()]


def _owed_in(token_id: str, decimals: int, rows: Sequence[OpenSum]) -> Owed:
    def part(statuses: Sequence[str]) -> tuple[str, int]:
        chosen = [row for row in rows if row.status in statuses]
        return units(sum(row.units for row in chosen), decimals), sum(row.count for row in chosen)

    return Owed(token_id, *part(OWED), *part([PaymentStatus.HELD]), *part([PaymentStatus.NEEDS_REVIEW]))


def notices() -> Sequence[Notification]:
    return list(Notification.objects.select_related("status", "user")[:NOTICES_SHOWN])


def halted_wallets() -> Sequence[Wallet]:
    return list(Wallet.objects.filter(halted_at__isnull=False))


def silent_listeners() -> Sequence[ListenerCursor]:
    """Bonds whose contract events have not been read for a while."""
    late = timezone.now() - LISTENER_STALE
    return list(ListenerCursor.objects.filter(updated_at__lt=late).select_related("bond"))


def never_read() -> Sequence[Bond]:
    """Bonds the listener has not begun to read: it is down, or refuses their first block."""
    late = timezone.now() - LISTENER_STALE
    return list(Bond.objects.filter(cursor__isnull=True, created_at__lt=late))


def parked_events() -> int:
    """Events nobody could read and no person has settled."""
    return ParkedEvent.objects.filter(resolved_at__isnull=True).count()


def verdict(*, health: queue.Health, halted: int, silent: int, rows: Sequence[RunRow], parked: int = 0) -> Verdict:
    """The first thing that needs someone, else what is going on."""
    going = [row for row in rows if row.status not in ENDED]
    stopped = [row for row in going if row.status == "needs_attention"]
    waiting = [row for row in going if row.reason]
    found = (
        (halted, "bad", "A cloud wallet is halted: nothing is paid until an operator looks."),
        (stopped, "bad", f"{_count(stopped, 'run')} stopped and waiting for a person."),
        (
            parked,
            "bad",
            "An event of a watched contract could not be read: no snapshot of its bond until a person settles it.",
        ),
        (not health.workers_alive, "bad", "No worker is alive: jobs wait, nothing is lost."),
        (
            health.dead_letters,
            "warn",
            f"{health.dead_letters} dead letter{'s' * (health.dead_letters != 1)} to look at.",
        ),
        (silent, "warn", "The listener has not read new blocks for two minutes: holdings may be out of date."),
        (waiting, "warn", f"{_count(waiting, 'run')} waiting."),
        (going, "busy", f"{_count(going, 'run')} in progress."),
    )
    calm = Verdict("good", "All quiet: no run in progress, nothing waits for a person.")
    return next((Verdict(level, text) for is_so, level, text in found if is_so), calm)


def _count(rows: Sequence[RunRow], noun: str) -> str:
    return f"{len(rows)} {noun}{'s' * (len(rows) != 1)}"
