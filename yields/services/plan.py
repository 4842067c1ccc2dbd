"""Turn the computed lines of a run into what it owes: payments, totals and the hash an approval would cover. Written once."""

import hashlib
from collections.abc import Collection, Iterator
from fractions import Fraction

from django.db import connection

from bonds.models import HoldReason, Payment, PaymentStatus
from bonds.services import payments
from yields.models import YieldDistribution, YieldPayment
from yields.services import amounts


def make(run: YieldDistribution) -> None:
    """Plan the payments of every line that owes something, link them, and freeze hash and totals; in the caller's transaction.

    A line held by a contract is planned as held. Whom an earlier run for the period has paid before it was cancelled is owed nothing
    more: no payment, and neither in the totals. Raises PaymentsOverlap. A run that has a plan is left as it is.
    """
    locked = YieldDistribution.objects.select_for_update(of=("self",)).get(pk=run.pk)
    if locked.plan_hash:
        return
    lines = list(YieldPayment.objects.filter(run=run).order_by("position").defer("calculation_details"))
    paid_before = _paid_before(run)
    due = [line for line in lines if line.amount_units and line.holder not in paid_before]
    payments.plan(
        bond=run.bond,
        run=run.pk,
        kind=Payment.Kind.YIELD,
        period_start=run.period_start,
        period_end=run.period_end,
        lines=[
            payments.PaymentLine(line.position, line.holder, int(line.amount_units), hold_reason(line.holder))
            for line in due
        ],
    )
    _link(run)
    liability = sum((exact(line) for line in lines if line.holder not in paid_before), Fraction(0))
    units = sum(int(line.amount_units) for line in due)
    YieldDistribution.objects.filter(pk=run.pk).update(
        plan_hash=_digest(locked, lines, paid_before),
        total_recipients=len(due),
        total_units=units,
        exact_liability=amounts.exact_text(liability),
        rounding_residual=amounts.exact_text(liability - Fraction(units, 10**run.bond.plt_decimals)),
    )


def _paid_before(run: YieldDistribution) -> frozenset[str]:
    """Holders with a paid payment for the bond and period; one that is open in any other way is an overlap, for a person to look at."""
    paid = Payment.objects.filter(
        bond=run.bond_id,
        kind=Payment.Kind.YIELD,
        period_start=run.period_start,
        period_end=run.period_end,
        status=PaymentStatus.PAID,
    ).exclude(run=run.pk)
    return frozenset(paid.values_list("holder", flat=True))


def hold_reason(holder: str) -> str:
    """A PLT is paid to accounts only: what a contract ("<index,subindex>") holds is owed but not payable."""
    return HoldReason.CONTRACT_HELD if holder.startswith("<") else ""


def exact(line: YieldPayment) -> Fraction:
    """The line's amount before rounding, in whole PLT."""
    return Fraction(int(line.exact_numerator), int(line.exact_denominator))


def canonical(
    run: YieldDistribution, lines: list[YieldPayment], paid_before: Collection[str] = frozenset()
) -> Iterator[str]:
    """What the plan hash covers: the terms, the record block, and every line with its exact amount, its units and its hold."""
    if run.snapshot is None:
        raise AssertionError("a plan is made from a snapshot")
    yield f"terms {run.terms_hash}\n"
    yield f"block {run.snapshot.block_hash}\n"
    for line in lines:
        fraction = f"{line.exact_numerator}/{line.exact_denominator}"
        standing = "paid_before" if line.holder in paid_before else hold_reason(line.holder) or "-"
        yield f"{line.position} {line.holder} {fraction} {line.amount_units:f} {standing}\n"


def _digest(run: YieldDistribution, lines: list[YieldPayment], paid_before: Collection[str]) -> str:
    digest = hashlib.sha256()
    for text in canonical(run, lines, paid_before):
        digest.update(text.encode())
    return digest.hexdigest()


def _link(run: YieldDistribution) -> None:
    """Every line gets its payment in one statement: both carry the holder's position in the snapshot."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE yield_payments line SET payment_id = payment.id FROM bonds_payment payment"
            " WHERE line.run_id = %(run)s AND payment.run = %(run)s AND payment.position = line.position",
            {"run": run.pk},
        )
