"""The audit log: written in the transaction of what it tells of, chained per run or wallet, checked by `manage.py verify_audit`."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.utils import timezone

from bonds.models import AuditEntry, Wallet

GENESIS = "0" * 64
_LOCK_SPACE = "bonds.audit"


@dataclass(frozen=True)
class Break:
    """Where a chain no longer holds, and what is wrong there."""

    chain: str
    number: int
    fault: str


def of_run(run: UUID) -> str:
    """The chain of one run."""
    return f"run:{run}"


def of_wallet(wallet: Wallet) -> str:
    """The chain of one wallet."""
    return f"wallet:{wallet.pk}"


def record(
    *,
    chain: str,
    actor: str,
    act: str,
    subject: str,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Append one entry to its chain, in the caller's transaction: rolled back together, kept together.

    Writers of one chain wait for each other until their transactions end; writers of different chains never do.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("an audit entry is written in the transaction of what it tells of")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{_LOCK_SPACE}:{chain}"])
    last = AuditEntry.objects.filter(chain=chain).order_by("-number").values_list("number", "hash").first()
    entry = AuditEntry(
        chain=chain,
        number=last[0] + 1 if last else 1,
        at=timezone.now(),
        actor=actor,
        act=act,
        subject=subject,
        reason=reason,
        before=_plain(before),
        after=_plain(after),
        previous_hash=last[1] if last else GENESIS,
    )
    entry.hash = digest(entry)
    entry.save(force_insert=True)
    return entry


def digest(entry: AuditEntry) -> str:
    """SHA-256, in hex, of the entry's canonical JSON: every column but the hash itself, keys sorted, times in UTC to the microsecond."""
    names = ("chain", "number", "actor", "act", "subject", "reason", "before", "after", "previous_hash")
    facts = {name: getattr(entry, name) for name in names} | {"at": entry.at.isoformat(timespec="microseconds")}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def breaks() -> Iterator[Break]:
    """Every place where an entry was changed, removed from the middle, or put in beside the log's own way."""
    chain, number, previous = "", 0, GENESIS
    for entry in AuditEntry.objects.order_by("chain", "number").iterator(chunk_size=2000):
        if entry.chain != chain:
            chain, number, previous = entry.chain, 0, GENESIS
        number += 1
        if entry.number != number:
            yield Break(chain, number, f"entry {number} is missing: the next one is {entry.number}")
            number = entry.number
        if entry.previous_hash != previous:
            yield Break(chain, entry.number, "it does not follow the entry before it")
        if entry.hash != digest(entry):
            yield Break(chain, entry.number, "it is not what was written: its hash differs")
        previous = entry.hash


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """As the column gives it back, so that the hash of what is written is the hash of what is read."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values or {}), cls=DjangoJSONEncoder))
    return plain
