"""What becomes of an event nobody could read: it waits until a person has said why the bond's snapshots may go on."""

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from bonds.errors import Conflict, Invalid
from bonds.models import Bond, ParkedEvent
from bonds.models.bond import watched_contracts
from bonds.services import audit


def unresolved(bond: Bond, *, up_to_height: int | None = None) -> QuerySet[ParkedEvent]:
    """The parked events of the bond's contracts that no person has settled, oldest first."""
    of_the_bond = Q()
    for contract in watched_contracts(bond):
        of_the_bond |= Q(contract_index=contract.index, contract_subindex=contract.subindex)
    rows = ParkedEvent.objects.filter(of_the_bond, resolved_at__isnull=True).order_by("block_height", "pk")
    return rows if up_to_height is None else rows.filter(block_height__lte=up_to_height)


def resolve(parked_id: int, *, actor: AbstractBaseUser, reason: str) -> ParkedEvent:
    """Settle one parked event, once and for good: `actor` has looked and says why it changes nothing the books must know.

    Raises Invalid without a reason and Conflict when somebody has settled it already; nothing is written then.
    """
    if not reason.strip():
        raise Invalid("Say why the snapshots may go on.", field="resolution_reason")
    with transaction.atomic():
        settled = ParkedEvent.objects.filter(pk=parked_id, resolved_at__isnull=True).update(
            resolved_at=timezone.now(), resolved_by=actor, resolution_reason=reason.strip()
        )
        if not settled:
            raise Conflict("The event is settled already.")
        parked = ParkedEvent.objects.get(pk=parked_id)
        audit.record(
            chain=f"contract:{parked.contract_index}.{parked.contract_subindex}",
            actor=actor.get_username(),
            act="parked event settled",
            subject=str(parked),
            reason=parked.resolution_reason,
            after={"block": parked.block_height},
        )
    return parked
