"""Start a redemption. Not available yet: every start is refused before anything is written."""

from decimal import Decimal
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser

from bonds.errors import Conflict, Invalid, NotFound
from bonds.models import Bond
from maturity.models import MaturityRun


def start(
    bond_metadata_id: UUID, *, plt_token_id: str, face_value_per_token: Decimal, actor: AbstractBaseUser
) -> MaturityRun:
    """Refuse. NotFound for an unknown bond, Invalid for a token or face value that is not the bond's, else Conflict ("not_available")."""
    bond = Bond.objects.filter(pk=bond_metadata_id).first()
    if bond is None:
        raise NotFound(f"no bond {bond_metadata_id}", code="bond_not_found", field="bond_metadata_id")
    if plt_token_id.casefold() != bond.plt_token_id.casefold():
        raise Invalid(f"the bond pays in {bond.plt_token_id}", code="plt_token_differs", field="plt_token_id")
    if face_value_per_token != bond.face_value:
        raise Invalid(
            f"the bond's face value is {bond.face_value} {bond.currency}",
            code="face_value_differs",
            field="face_value_per_token",
        )
    raise Conflict("redemption is not available in this version: nothing was started", code="not_available")
