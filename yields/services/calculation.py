"""Compute what a range of holders is owed, lot by lot, and store each line with everything needed to compute it again."""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from django.db.models import Count, QuerySet

from bonds.models import SnapshotLot
from yields.calculations import Lot, LotResult, Terms, compute_holder
from yields.models import YieldDistribution, YieldPayment
from yields.services import amounts, frozen_terms


def compute(run: YieldDistribution, *, first: int, last: int, account_key: Callable[[str], str]) -> int:
    """Store the lines of the snapshot's holders at positions first..last, in the caller's transaction; returns how many.

    Excluded addresses get no line. A range that has its lines already is left as it is. Raises CalculationError.
    """
    done = set(YieldPayment.objects.filter(run=run, position__range=(first, last)).values_list("position", flat=True))
    lots = _payable_lots(run, account_key).filter(position__range=(first, last)).order_by("position", "token_id")
    terms = frozen_terms.for_calculation(run.terms, _supply_raw(run))
    lines = [
        _line(run, [*rows], terms)
        for position, rows in groupby(lots.iterator(), key=lambda lot: lot.position)
        if position not in done
    ]
    YieldPayment.objects.bulk_create(lines, batch_size=500)
    return len(lines)


def is_complete(run: YieldDistribution, *, account_key: Callable[[str], str]) -> bool:
    """True when every holder of the snapshot who is not excluded has a line."""
    holders = _payable_lots(run, account_key).aggregate(count=Count("position", distinct=True))["count"]
    return bool(holders == YieldPayment.objects.filter(run=run).count())


def excluded_holders(terms: dict[str, Any], holders: Iterable[str], account_key: Callable[[str], str]) -> set[str]:
    """Those of `holders`, spelt as the contract spells them, that are excluded by the terms under any alias of theirs."""

    def key(address: str) -> str:
        return address if address.startswith("<") else account_key(address)

    excluded = {key(address) for address in terms["excluded_addresses"]}
    return {holder for holder in holders if key(holder) in excluded}


def _supply_raw(run: YieldDistribution) -> int:
    if run.snapshot is None:
        raise AssertionError("holders are computed from a snapshot")
    return int(run.snapshot.total_supply_raw)


def _payable_lots(run: YieldDistribution, account_key: Callable[[str], str]) -> QuerySet[SnapshotLot]:
    if run.snapshot is None:
        raise AssertionError("holders are computed from a snapshot")
    lots = SnapshotLot.objects.filter(snapshot=run.snapshot)
    holders = lots.values_list("holder", flat=True).distinct()
    return lots.exclude(holder__in=excluded_holders(run.terms, holders.iterator(), account_key))


def _line(run: YieldDistribution, rows: Sequence[SnapshotLot], terms: Terms) -> YieldPayment:
    result = compute_holder(terms, [Lot(int(row.token_id), int(row.balance_raw)) for row in rows])
    return YieldPayment(
        run=run,
        position=rows[0].position,
        holder=rows[0].holder,
        bond_tokens_held_raw=sum(int(row.balance_raw) for row in rows),
        exact_numerator=str(result.exact.numerator),
        exact_denominator=str(result.exact.denominator),
        amount_units=result.amount_units,
        calculation_details={
            "lots": [_lot_details(line, row) for line, row in zip(result.lines, rows, strict=True)],
            "exact": amounts.exact_text(result.exact),
            "residual": amounts.exact_text(result.residual),
        },
    )


def _lot_details(lot: LotResult, row: SnapshotLot) -> dict[str, Any]:
    """One lot's part of `calculation_details`: every figure exact, and the two people look at as decimals too."""
    return {
        "token_id": str(lot.token_id),
        "balance": amounts.shown_decimal(lot.balance, places=77),
        "balance_raw": f"{row.balance_raw:f}",
        "mint_date": lot.mint_date.isoformat(),
        "holding_period_days": lot.holding_period_days,
        "year_fraction": amounts.exact_text(lot.year_fraction),
        "fixed": amounts.exact_text(lot.fixed),
        "variable": amounts.exact_text(lot.variable),
        "yield_per_token": amounts.exact_and_shown(lot.yield_per_token),
        "total_yield": amounts.exact_and_shown(lot.total_yield),
    }
