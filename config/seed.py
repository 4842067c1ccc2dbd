"""Demo data whose truth lives on the devnet: a bond, its holders with their lots and accounts, their users, and a coupon that is due.

Never touches a database or a chain that is not the demo's: it talks to the devnet's control service, which a real node does not have.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from bonds.chain.concordium import addresses
from bonds.chain.devnet.client import DevnetControl
from bonds.models import Bond, BondStatus, Wallet
from notifications.models import WalletLink
from yields.models import YieldConfig

EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()
TOKEN_CONTRACT, REGISTRY_CONTRACT = 1000, 1001
PLT, PLT_DECIMALS = "EURD", 6
DEMO_USER, DEMO_PASSWORD = "admin", "demo-console"


@dataclass(frozen=True)
class Lot:
    """`owner`: base58 account address; `token_id`: days since 1970-01-01; `amount`: whole tokens (the demo's bond has no decimals)."""

    owner: str
    token_id: int
    amount: int


def holder_address(number: int) -> str:
    """The address of demo holder 1, 2, 3 …: the same at every run."""
    return addresses.encode(hashlib.sha256(f"demo holder {number}".encode()).digest())


def lots(holders: int, *, first_day: int) -> list[Lot]:
    """One to three lots per holder, of different ages and sizes, so that no two amounts are alike by accident."""
    result = []
    for number in range(1, holders + 1):
        owner = holder_address(number)
        for part in range(1 + number % 3):
            result.append(Lot(owner, first_day + (number * 7 + part * 31) % 60, 1 + (number * 13 + part * 5) % 240))
    return result


def on_chain(control: DevnetControl, holders: int, *, now: datetime) -> None:
    """Create the holders' accounts, whitelist them and mint their lots in blocks of 40 days ago. Once: a second call changes nothing.

    The devnet must be held: it cannot go back behind a block of today.
    """
    if control.lots(TOKEN_CONTRACT):
        return
    minted_at = now - timedelta(days=40)
    owners = [holder_address(number) for number in range(1, holders + 1)]
    control.create_accounts([(owner, None) for owner in owners], at=minted_at - timedelta(hours=2))
    control.set_registry(REGISTRY_CONTRACT, owners, "whitelisted", at=minted_at - timedelta(hours=1))
    everyone = lots(holders, first_day=(minted_at.date() - EPOCH).days - 90)
    control.mint(TOKEN_CONTRACT, [(lot.owner, lot.token_id, lot.amount) for lot in everyone], at=minted_at)


@transaction.atomic
def in_books(*, wallet_address: str, next_sequence_number: int, holders: int, now: datetime) -> YieldConfig:
    """The bond, its wallet, the holders' users and a coupon due today. Once: a second call finds them."""
    wallet, _ = Wallet.objects.get_or_create(
        address=wallet_address, defaults={"name": "Cloud wallet", "next_sequence_number": next_sequence_number}
    )
    today = now.date()
    bond, _ = Bond.objects.get_or_create(
        postsale_contract_index=TOKEN_CONTRACT,
        defaults={
            "name": "Harbour Logistics 5.25 % 2029",
            "isin": "XS0000000009",
            "status": BondStatus.SUCCESS,
            "face_value": Decimal("1000"),
            "currency": "EUR",
            "plt_token_id": PLT,
            "plt_decimals": PLT_DECIMALS,
            "issue_date": today - timedelta(days=200),
            "subscription_period_end": today - timedelta(days=140),
            "maturity_date": today + timedelta(days=900),
            "registry_contract_index": REGISTRY_CONTRACT,
            "wallet": wallet,
            "description": "Demo bond: its tokens, its holders' accounts and the wallet live on the devnet of this machine.",
        },
    )
    _users(holders)
    staff = _staff()
    known = YieldConfig.objects.filter(bond=bond).order_by("payment_sequence", "version").first()
    return known or YieldConfig.objects.create(bond=bond, payment_sequence=1, **_first_coupon(now, staff))


def _first_coupon(now: datetime, staff: Any) -> dict[str, Any]:
    today = now.date()
    return {
        "yield_type": "fixed",
        "coupon_rate": Decimal("0.0525"),
        "interest_period_start": today - timedelta(days=140),
        "interest_period_end": today,
        "yield_time": datetime.combine(today, time(0), UTC),
        "created_by": staff,
    }


def _users(holders: int) -> None:
    """One user with a mail address per holder, and the link from wallet to user."""
    model = get_user_model()
    names = [f"investor{number:05d}" for number in range(1, holders + 1)]
    known = set(model.objects.filter(username__in=names).values_list("username", flat=True))
    fresh = [model(username=name, email=f"{name}@example.com", password="!") for name in names if name not in known]  # noqa: S106
    model.objects.bulk_create(fresh, batch_size=1000)
    ids = dict(model.objects.filter(username__in=names).values_list("username", "pk"))
    WalletLink.objects.bulk_create(
        [
            WalletLink(address=addresses.canonical(holder_address(number)), user_id=ids[name])
            for number, name in enumerate(names, start=1)
        ],
        ignore_conflicts=True,
        batch_size=1000,
    )


def _staff() -> Any:
    model = get_user_model()
    user, created = model.objects.get_or_create(
        username=DEMO_USER, defaults={"is_staff": True, "is_superuser": True, "email": "treasury@example.com"}
    )
    if created:
        user.set_password(DEMO_PASSWORD)
        user.save(update_fields=["password"])
    return user
