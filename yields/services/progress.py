"""What a run looks like from outside: figures and lines as console and API show them. Reads only."""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery

from bonds.models import PaymentAttempt, PaymentStatus
from bonds.models.run import RunStatus
from bonds.services.totals import RunTotals, totals
from jobs.models import Job
from jobs.states import Status
from yields.models import YieldDistribution, YieldPayment
from yields.services import amounts

# The words the outside world is told about one payment.
SHOWN_PAYMENT_STATUS: dict[str, str] = {
    PaymentStatus.PLANNED: "scheduled",
    PaymentStatus.READY: "scheduled",
    PaymentStatus.HELD: "scheduled",
    PaymentStatus.SIGNED: "processing",
    PaymentStatus.SUBMITTED: "processing",
    PaymentStatus.PAID: "completed",
    PaymentStatus.NEEDS_REVIEW: "failed",
    PaymentStatus.CANCELLED: "cancelled",
    PaymentStatus.WRITTEN_OFF: "cancelled",
}
NOTHING_DUE = "nothing_due"
PAID_BEFORE = "paid_before"  # by an earlier run for the period that was cancelled
COMPUTED = "computed"  # not planned yet: nothing is owed before the plan is made
AWAITING_FINALITY = "waiting for finality"


@dataclass(frozen=True)
class Progress:
    """A run with what became of its payments, counted now. Amounts are decimal text in whole PLT."""

    run: YieldDistribution

    @cached_property
    def totals(self) -> RunTotals:
        return totals(self.run.pk)

    @property
    def is_planned(self) -> bool:
        return bool(self.run.plan_hash)

    @property
    def total_recipients(self) -> int:
        """Holders with a payment; before the plan, the estimate of the trigger."""
        planned = self.run.total_recipients
        return self.run.expected_recipients if planned is None else planned

    @property
    def total_amount(self) -> str:
        units = self.run.expected_units if self.run.total_units is None else self.run.total_units
        return self.text(int(units))

    @property
    def paid_amount(self) -> str:
        return self.text(self.totals.paid_units)

    @property
    def held_amount(self) -> str:
        return self.text(self.totals.held_units)

    @property
    def open_amount(self) -> str:
        return self.text(self.totals.open_units)

    @property
    def review_amount(self) -> str:
        return self.text(self.totals.units.get(PaymentStatus.NEEDS_REVIEW, 0))

    @property
    def computed_count(self) -> int:
        return YieldPayment.objects.filter(run=self.run).count()

    @property
    def nothing_due_count(self) -> int:
        return YieldPayment.objects.filter(run=self.run, amount_units=0).count()

    @property
    def in_flight_count(self) -> int:
        counts = self.totals.counts
        return counts.get(PaymentStatus.SIGNED, 0) + counts.get(PaymentStatus.SUBMITTED, 0)

    @property
    def is_moving(self) -> bool:
        """Whether watching it makes sense: it is neither closed nor waiting for a person."""
        return self.run.shown_status in ("pending", "processing")

    @cached_property
    def dead_job_errors(self) -> list[str]:
        """Why jobs of the run failed for good, of those that nobody has decided about."""
        own = Q(pk=self.run.job) | Q(parent=self.run.job)
        dead = Job.objects.filter(own, status=Status.FAILED, resolution="").order_by("pk")
        return list(dead.values_list("last_error", flat=True)) if self.run.job else []

    @property
    def shown_status(self) -> str:
        """pending, processing, completed, failed or cancelled. A run that lacks a job for good is failed until a person has looked."""
        is_open = self.run.shown_status in ("pending", "processing")
        return "failed" if is_open and self.dead_job_errors else self.run.shown_status

    @property
    def error_message(self) -> str:
        """What is wrong, in the run's own words or those of its first dead job."""
        return self.run.error_message or next(iter(self.dead_job_errors), "")

    @property
    def wait_reason(self) -> str:
        """Why nothing moves: what the run itself waits for, or else what its first stuck batch of payments does."""
        if self.run.wait_reason or not self.run.job:
            return self.run.wait_reason
        waiting = Job.objects.filter(parent=self.run.job, job_type="yield_payment", status=Status.PENDING)
        stuck = waiting.exclude(wait_reason__in=["", AWAITING_FINALITY]).order_by("pk")
        return stuck.values_list("wait_reason", flat=True).first() or ""

    def text(self, units: int) -> str:
        return amounts.units_text(units, int(self.run.terms["plt_decimals"]))


def lines_of_run(run_id: UUID) -> QuerySet[YieldPayment]:
    """The run's lines in order, each with its payment and, as `transaction_hash`, the hash of what carries it (None without)."""
    return _with_hash(YieldPayment.objects.filter(run=run_id).select_related("run")).order_by("position")


def lines_of_bond(bond_metadata_id: UUID) -> QuerySet[YieldPayment]:
    """Every line of every run of the bond, newest run first."""
    rows = YieldPayment.objects.filter(run__bond=bond_metadata_id).select_related("run__config")
    return _with_hash(rows).order_by("-run__created_at", "run", "position")


def payment_status(line: YieldPayment) -> str:
    """The payment's own status. A line without one owes nothing, is computed and not planned yet, or was paid by an earlier run."""
    if line.payment is not None:
        return line.payment.status
    if not line.amount_units:
        return NOTHING_DUE
    return PAID_BEFORE if line.run.plan_hash else COMPUTED


def shown_payment_status(line: YieldPayment) -> str:
    """scheduled, processing, completed, failed or cancelled; a line that owes nothing has nothing left to do."""
    if line.payment is not None:
        return SHOWN_PAYMENT_STATUS[line.payment.status]
    if line.amount_units and not line.run.plan_hash:
        return "cancelled" if line.run.status == RunStatus.CANCELLED else "scheduled"
    return "completed"


def transaction_hash(line: YieldPayment) -> str:
    """The hash that lines_of_run or lines_of_bond put beside the line; empty while nothing carries its payment."""
    return getattr(line, "transaction_hash", None) or ""


def _with_hash(lines: QuerySet[YieldPayment]) -> QuerySet[YieldPayment]:
    live = PaymentAttempt.objects.filter(payment=OuterRef("payment"), live=True)
    carried_by = Subquery(live.values("transaction__transaction_hash")[:1])
    return lines.select_related("payment").annotate(transaction_hash=carried_by)
