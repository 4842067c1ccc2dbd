"""Rows for tests: the smallest true instrument, with distinct keys at every call."""

import hashlib
import itertools
import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bonds.models import Bond, ChainTransaction, Payment, PaymentAttempt, Wallet

_serial = itertools.count(1)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def wallet(**fields: Any) -> Wallet:
    number = next(_serial)
    return Wallet.objects.create(
        **{"name": f"wallet {number}", "address": f"wallet-{number}", "next_sequence_number": 1, **fields}
    )


def bond(**fields: Any) -> Bond:
    defaults = {
        "name": "Harbour 5 % 2027",
        "status": "Success",
        "face_value": "1000",
        "currency": "EUR",
        "token_decimals": 0,
        "plt_token_id": "EURD",
        "plt_decimals": 6,
        "issue_date": date(2026, 1, 1),
        "subscription_period_end": date(2026, 2, 1),
        "maturity_date": date(2027, 1, 1),
        "postsale_contract_index": 10_000 + next(_serial),
        "registry_contract_index": 7,
    }
    if "wallet" not in fields:
        fields["wallet"] = wallet()
    return Bond.objects.create(**{**defaults, **fields})


def payment(of: Bond, **fields: Any) -> Payment:
    number = next(_serial)
    return Payment.objects.create(
        **{
            "run": uuid.uuid4(),
            "position": 1,
            "kind": "yield",
            "bond": of,
            "wallet": of.wallet,
            "period_start": date(2026, 2, 1),
            "period_end": date(2026, 8, 1),
            "holder": f"holder-{number}",
            "plt_token_id": "EURD",
            "plt_decimals": 6,
            "amount_units": 1_000_000,
            **fields,
        }
    )


def transaction(of: Wallet, **fields: Any) -> ChainTransaction:
    number = next(_serial)
    return ChainTransaction.objects.create(
        **{
            "wallet": of,
            "run": uuid.uuid4(),
            "sequence_number": 1,
            "transaction_hash": hashlib.sha256(f"tx {number}".encode()).hexdigest(),
            "raw": b"\x00",
            "energy": 600,
            "expires_at": NOW + timedelta(minutes=5),
            "registry_block_hash": "aa" * 32,
            "registry_block_time": NOW,
            **fields,
        }
    )


def attempt(of: Payment, inside: ChainTransaction, **fields: Any) -> PaymentAttempt:
    return PaymentAttempt.objects.create(**{"payment": of, "transaction": inside, "position": 0, **fields})


def bond_with_fund(number: int, **fields: Any) -> Bond:
    """A bond whose contracts are `number` (tokens), + 1 (registry), + 2 (pre-sale tokens) and + 3 (fund)."""
    contracts = {
        "postsale_contract_index": number,
        "registry_contract_index": number + 1,
        "presale_contract_index": number + 2,
        "fund_contract_index": number + 3,
    }
    return bond(**{**contracts, **fields})
