"""What a run's payments add up to, by status. Reads only; the figures are stored nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Sum

from bonds.models import Payment, PaymentStatus

OWED = (PaymentStatus.PLANNED, PaymentStatus.READY, PaymentStatus.SIGNED, PaymentStatus.SUBMITTED)


@dataclass(frozen=True)
class RunTotals:
    """Counts and units of a run's payments by status; a status nothing has is absent."""

    counts: dict[str, int]
    units: dict[str, int]

    def _sum(self, figures: dict[str, int], statuses: Sequence[str]) -> int:
        return sum(figures.get(status, 0) for status in statuses)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def total_units(self) -> int:
        return sum(self.units.values())

    @property
    def paid_count(self) -> int:
        return self.counts.get(PaymentStatus.PAID, 0)

    @property
    def paid_units(self) -> int:
        return self.units.get(PaymentStatus.PAID, 0)

    @property
    def held_count(self) -> int:
        return self.counts.get(PaymentStatus.HELD, 0)

    @property
    def held_units(self) -> int:
        return self.units.get(PaymentStatus.HELD, 0)

    @property
    def review_count(self) -> int:
        return self.counts.get(PaymentStatus.NEEDS_REVIEW, 0)

    @property
    def open_count(self) -> int:
        return self._sum(self.counts, OWED)

    @property
    def open_units(self) -> int:
        return self._sum(self.units, OWED)


def totals(run: UUID) -> RunTotals:
    """Counts and sums straight from the payments; never stored elsewhere."""
    rows = (
        Payment.objects.filter(run=run)
        .values("status")
        .annotate(count=Count("id"), units=Sum("amount_units"))
        .order_by()
    )
    return RunTotals({r["status"]: r["count"] for r in rows}, {r["status"]: int(r["units"]) for r in rows})
