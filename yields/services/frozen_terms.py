"""The terms of a run: everything its amounts depend on, frozen as text when it starts, and their digest."""

import hashlib
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from yields.calculations import Terms
from yields.models import YieldConfig
from yields.services import amounts
from yields.services.configs import record_moment


def freeze(config: YieldConfig) -> dict[str, Any]:
    """A JSON-ready copy of the config and of what it takes from the bond. Numbers are exact text, times ISO 8601."""
    bond = config.bond
    return {
        "config": str(config.pk),
        "version": config.version,
        "bond": str(bond.pk),
        "yield_type": config.yield_type,
        "period_start": config.interest_period_start.isoformat(),
        "period_end": config.interest_period_end.isoformat(),
        "face_value": amounts.plain(bond.face_value),
        "currency": bond.currency,
        "coupon_rate": _text(config.coupon_rate),
        "variable_rate": _text(config.variable_rate),
        "profits_before_tax": _text(config.profits_before_tax),
        "profit_basis": config.profit_basis,
        "profit_currency": config.profit_currency,
        "fx_rate": _text(config.fx_rate),
        "fx_source": config.fx_source,
        "day_count": config.day_count,
        "rounding": config.rounding,
        "payment_sequence": config.payment_sequence,
        "payment_frequency": config.payment_frequency,
        "yield_time": config.yield_time.isoformat(),
        "record_at": record_moment(config).isoformat(),
        "issue_date": bond.issue_date.isoformat(),
        "token_contract": [bond.postsale_contract_index, bond.postsale_contract_subindex],
        "token_decimals": bond.token_decimals,
        "plt_token_id": bond.plt_token_id,
        "plt_decimals": bond.plt_decimals,
        "wallet": bond.wallet.address,
        "excluded_addresses": sorted({*bond.excluded_addresses, bond.wallet.address}),
    }


def digest(terms: dict[str, Any]) -> str:
    """sha256 over the canonical JSON of the terms, in hex."""
    return hashlib.sha256(json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def for_calculation(terms: dict[str, Any], total_supply_raw: int) -> Terms:
    """What the calculation takes: the frozen text as exact numbers, the profit in the PLT's currency, the supply at the record block."""
    profit = _fraction(terms["profits_before_tax"])
    if profit is not None and terms["fx_rate"] is not None:
        profit *= Fraction(terms["fx_rate"])
    return Terms(
        yield_type=terms["yield_type"],
        day_count=terms["day_count"],
        token_decimals=terms["token_decimals"],
        plt_decimals=terms["plt_decimals"],
        payment_frequency=terms["payment_frequency"],
        face_value=_fraction(terms["face_value"]),
        coupon_rate=_fraction(terms["coupon_rate"]),
        variable_rate=_fraction(terms["variable_rate"]),
        profits_before_tax=profit,
        profit_basis=terms["profit_basis"] or None,
        total_supply_raw=total_supply_raw,
        period_start=date.fromisoformat(terms["period_start"]),
        period_end=date.fromisoformat(terms["period_end"]),
        rounding_mode=terms["rounding"],
        issue_date=date.fromisoformat(terms["issue_date"]),
        record_date=datetime.fromisoformat(terms["record_at"]).astimezone(UTC).date(),
    )


def _text(value: Decimal | None) -> str | None:
    return None if value is None else amounts.plain(value)


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
