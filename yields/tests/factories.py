"""Rows and inputs for tests of coupons: a bond whose coupon for the first half of 2026 fell due in July."""

import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db.models import F

from bonds.models import Bond, Holding, InvestmentRecord, LotChange, Snapshot, SnapshotLot
from bonds.tests import factories
from yields.models import YieldConfig, YieldDistribution, YieldPayment
from yields.services.coupon_rules import CouponInput

START, END = date(2026, 1, 1), date(2026, 7, 1)
YIELD_TIME = datetime(2026, 7, 2, 9, tzinfo=UTC)
RECORD_AT = datetime(2026, 7, 1, 23, 59, 59, 999999, tzinfo=UTC)
JAN_1 = 20454  # 2026-01-01 in days since 1970-01-01
APR_1 = 20544  # 2026-04-01


def staff(*permissions: str, **fields: Any) -> User:
    """A staff user without a password and with exactly these permissions, spelt app.codename."""
    user = User.objects.create(**{"username": f"staff-{uuid.uuid4().hex[:8]}", "is_staff": True, **fields})
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return user


def coupon(bond: Bond, **fields: Any) -> CouponInput:
    """A valid fixed coupon of 5 % for the half-year; `fields` replace its terms."""
    values = {
        "bond_metadata_id": bond.pk,
        "yield_type": "fixed",
        "interest_period_start": START,
        "interest_period_end": END,
        "yield_time": YIELD_TIME,
        "coupon_rate": Decimal("0.05"),
        **fields,
    }
    return CouponInput(**values)


def variable(bond: Bond, **fields: Any) -> CouponInput:
    """A valid variable coupon: 10 % of a profit of 250,000 EUR."""
    values = {
        "yield_type": "variable",
        "coupon_rate": None,
        "variable_rate": Decimal("0.1"),
        "profits_before_tax": Decimal(250_000),
        "profit_basis": "total",
        "profit_currency": "EUR",
        **fields,
    }
    return coupon(bond, **values)


def config(bond: Bond, **fields: Any) -> YieldConfig:
    """A stored config, past every check."""
    values = {
        "bond": bond,
        "yield_type": "fixed",
        "interest_period_start": START,
        "interest_period_end": END,
        "yield_time": YIELD_TIME,
        "coupon_rate": Decimal("0.05"),
        "payment_sequence": 1,
        **fields,
    }
    if "created_by" not in values:
        values["created_by"] = staff()
    return YieldConfig.objects.create(**values)


def run(of: YieldConfig, **fields: Any) -> YieldDistribution:
    values = {
        "config": of,
        "bond": of.bond,
        "period_start": of.interest_period_start,
        "period_end": of.interest_period_end,
        "status": "scheduled",
        "terms": {"plt_decimals": 6, "token_decimals": 0, "plt_token_id": "EURD"},
        "terms_hash": "aa" * 32,
        "expected_recipients": 2,
        "expected_units": 5,
        "triggered_by": of.created_by,
        **fields,
    }
    return YieldDistribution.objects.create(**values)


def snapshot(bond: Bond, lots: list[tuple[int, str, int, int]] = (), **fields: Any) -> Snapshot:
    """A snapshot of (position, holder, token id, balance) rows."""
    values = {
        "bond": bond,
        "record_at": RECORD_AT,
        "block_height": 20,
        "block_hash": "bb" * 32,
        "block_time": datetime(2026, 7, 1, 23, 59, 50, tzinfo=UTC),
        "total_supply_raw": sum(lot[3] for lot in lots),
        "total_holders": len({lot[0] for lot in lots}),
        **fields,
    }
    frozen = Snapshot.objects.create(**values)
    SnapshotLot.objects.bulk_create(
        SnapshotLot(snapshot=frozen, position=position, holder=holder, token_id=token_id, balance_raw=balance)
        for position, holder, token_id, balance in lots
    )
    return frozen


def line(of: YieldDistribution, **fields: Any) -> YieldPayment:
    values = {
        "run": of,
        "position": 1,
        "holder": "A",
        "bond_tokens_held_raw": 10,
        "exact_numerator": "500",
        "exact_denominator": "1",
        "amount_units": 500_000_000,
        "calculation_details": {},
        **fields,
    }
    return YieldPayment.objects.create(**values)


def holding(bond: Bond, holder: str, balance: int, token_id: int = JAN_1) -> Holding:
    return Holding.objects.create(bond=bond, holder=holder, token_id=token_id, balance_raw=balance)


def mint(bond: Bond, holder: str, amount: int, token_id: int = JAN_1) -> LotChange:
    """A mint event before the record block, and what the listener makes of it."""
    held, _ = Holding.objects.get_or_create(bond=bond, holder=holder, token_id=token_id, defaults={"balance_raw": 0})
    Holding.objects.filter(pk=held.pk).update(balance_raw=F("balance_raw") + amount)
    return LotChange.objects.create(
        bond=bond,
        kind="mint",
        token_id=token_id,
        amount_raw=amount,
        recipient=holder,
        block_height=5,
        block_time=datetime(2026, 1, 2, tzinfo=UTC),
        transaction_hash=uuid.uuid4().hex * 2,
        event_index=0,
    )


def invested(bond: Bond, investor: str, amount: int, kind: str = "invest") -> None:
    """What a fund's event left in the books."""
    InvestmentRecord.objects.create(
        bond=bond,
        kind=kind,
        investor=investor,
        token_contract_index=bond.postsale_contract_index,
        token_contract_subindex=0,
        token_id=JAN_1,
        security_amount_raw=amount,
        currency_amount_raw=amount,
        block_height=3,
        block_hash="aa" * 32,
        block_time=RECORD_AT,
        transaction_hash=uuid.uuid4().hex * 2,
        event_index=0,
    )


bond = factories.bond
payment = factories.payment
transaction = factories.transaction
attempt = factories.attempt
