"""Record what a fund's events say about investors, and derive from the records who has put in how much."""

from collections.abc import Callable, Mapping

from django.db.models import Q, Sum

from bonds.chain.gateway import Block, Contract, FundEvent
from bonds.models import Bond, BondInvestor, InvestmentKind, InvestmentRecord
from jobs import queue
from notifications.models import WalletLink

INVESTMENT_JOB = "bond_investment"
_TOTALS = {
    InvestmentKind.INVEST: ("invested_security_raw", "invested_currency_raw"),
    InvestmentKind.CLAIM: ("claimed_security_raw", "claimed_currency_raw"),
    InvestmentKind.REFUND: ("refunded_security_raw", "refunded_currency_raw"),
}


def unsettled_count(bond: Bond) -> int:
    """Investors, as the fund's events spell them, who have put in more than was claimed or refunded: their post-sale lots do not exist."""
    added = Q(kind=InvestmentKind.INVEST)
    sums = (
        InvestmentRecord.objects.filter(bond=bond)
        .values("investor", "token_contract_index", "token_contract_subindex", "token_id")
        .annotate(
            invested=Sum("security_amount_raw", filter=added, default=0),
            settled=Sum("security_amount_raw", filter=~added, default=0),
        )
    )
    return len({row["investor"] for row in sums if row["invested"] > row["settled"]})


# --- by the listener, inside the block's transaction -------------------------------------------------------------------


def record(block: Block, by_fund: Mapping[tuple[Contract, Contract], Bond]) -> int:
    """Write one record per fund event that concerns one of these bonds and enqueue its job, in the caller's transaction; returns how
    many were new. An event about a token contract of none of them is another bond's. May be called twice with the same block.
    """
    events = {
        (event.transaction_hash, event.event_index): (event, by_fund[event.contract, event.token])
        for event in block.fund_events
        if (event.contract, event.token) in by_fund
    }
    if not events:
        return 0
    rows = InvestmentRecord.objects.filter(transaction_hash__in={key[0] for key in events})
    for known in rows.values_list("transaction_hash", "event_index"):
        events.pop(known, None)
    records = InvestmentRecord.objects.bulk_create(
        [_record(event, bond, block) for event, bond in events.values()], batch_size=1000
    )
    if records:
        queue.enqueue_many(INVESTMENT_JOB, [({"record": record.pk}, _job_key(record)) for record in records])
    return len(records)


def _job_key(record: InvestmentRecord) -> str:
    return f"{record.transaction_hash}:{record.event_index}"


def _record(event: FundEvent, bond: Bond, block: Block) -> InvestmentRecord:
    return InvestmentRecord(
        bond=bond,
        kind=InvestmentKind(event.kind.value),
        investor=event.investor,
        token_contract_index=event.token.index,
        token_contract_subindex=event.token.subindex,
        token_id=event.token_id,
        security_amount_raw=event.security_amount_raw,
        currency_amount_raw=event.currency_amount_raw,
        transaction_hash=event.transaction_hash,
        event_index=event.event_index,
        block_height=block.height,
        block_hash=block.block_hash,
        block_time=block.time,
    )


# --- by the job --------------------------------------------------------------------------------------------------------


def derive(record_id: int, *, account_key: Callable[[str], str]) -> BondInvestor:
    """Find or make the record's investor, link the two, and add the investor's records up anew, in the caller's transaction.

    Called any number of times, in any order of the records, it leaves the same rows. Raises InvestmentRecord.DoesNotExist, and
    ValueError for an address that is none.
    """
    record = InvestmentRecord.objects.select_related("bond").get(pk=record_id)
    address = record.investor if record.investor.startswith("<") else account_key(record.investor)
    made, _ = BondInvestor.objects.get_or_create(bond=record.bond, address=address)
    # Locked before its records are read: of two jobs about one investor the second sees what the first has linked.
    investor = BondInvestor.objects.select_for_update().get(pk=made.pk)
    InvestmentRecord.objects.filter(pk=record.pk, bond_investor__isnull=True).update(bond_investor=investor)
    if investor.user_id is None:
        investor.user_id = WalletLink.objects.filter(address=address).values_list("user", flat=True).first()
    _add_up(investor)
    investor.save()
    return investor


def _add_up(investor: BondInvestor) -> None:
    sums = {
        row["kind"]: (row["security"], row["currency"])
        for row in investor.records.values("kind").annotate(
            security=Sum("security_amount_raw"), currency=Sum("currency_amount_raw")
        )
    }
    for kind, names in _TOTALS.items():
        for name, total in zip(names, sums.get(kind.value, (0, 0)), strict=True):
            setattr(investor, name, total)
