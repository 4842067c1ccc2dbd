"""What the chain's events say beside the lots: investments, registry states, and events nobody could read. Evidence: kept as written."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bonds.chain.gateway import Contract, FundEventKind, RegistryState
from bonds.models.bond import UNITS, Bond
from bonds.models.holdings import TOKEN_ID


def sum_of_events(text: str) -> Any:
    """A column that adds up raw amounts of an investor's records."""
    return models.DecimalField(help_text=text, default=0, **UNITS)


class InvestmentKind(models.TextChoices):
    INVEST = FundEventKind.INVEST.value
    CLAIM = FundEventKind.CLAIM.value
    REFUND = FundEventKind.REFUND.value


class ChainEvent(models.Model):
    """Where on the chain a row comes from. `event_index` counts within the transaction, over every event of every contract."""

    block_height = models.BigIntegerField()
    block_hash = models.CharField(max_length=64)
    block_time = models.DateTimeField()
    transaction_hash = models.CharField(max_length=64)
    event_index = models.PositiveIntegerField()

    class Meta:
        abstract = True


class BondInvestor(models.Model):
    """Who has put money into a bond, and what came of it: derived from the investment records, so it can be derived again.

    `address`: canonical account key, the same text for every alias. Amounts are raw, as the sold token and the fund's currency count.
    """

    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="investors")
    address = models.CharField(max_length=60)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="bond_investors"
    )
    invested_security_raw = sum_of_events("tokens bought")
    invested_currency_raw = sum_of_events("money put in")
    claimed_security_raw = sum_of_events("tokens claimed after the raise")
    claimed_currency_raw = sum_of_events("money the claimed tokens cost")
    refunded_security_raw = sum_of_events("tokens given back")
    refunded_currency_raw = sum_of_events("money given back")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        db_table = "bond_investors"
        constraints = [
            models.UniqueConstraint(fields=["bond", "address"], name="bonds_bondinvestor_one_per_address"),
            models.CheckConstraint(name="bonds_bondinvestor_address_present", condition=~Q(address="")),
        ]

    def __str__(self) -> str:
        return self.address


class InvestmentRecord(ChainEvent):
    """One event of a fund about one investor. Never changed, but for `bond_investor`, set once by the job that derives it.

    `investor`: the address as the event spells it.
    """

    bond = models.ForeignKey(Bond, on_delete=models.PROTECT, related_name="investment_records")
    kind = models.CharField(max_length=8, choices=InvestmentKind)
    investor = models.CharField(max_length=60)
    bond_investor = models.ForeignKey(
        BondInvestor, null=True, blank=True, on_delete=models.PROTECT, related_name="records"
    )
    token_contract_index = models.BigIntegerField()
    token_contract_subindex = models.BigIntegerField()
    token_id = models.DecimalField(**TOKEN_ID)
    security_amount_raw = models.DecimalField(**UNITS)
    currency_amount_raw = models.DecimalField(**UNITS)

    class Meta:
        db_table = "bond_investment_records"
        constraints = [
            models.UniqueConstraint(fields=["transaction_hash", "event_index"], name="bonds_investmentrecord_once"),
            models.CheckConstraint(
                name="bonds_investmentrecord_kind_known", condition=Q(kind__in=InvestmentKind.values)
            ),
            models.CheckConstraint(
                name="bonds_investmentrecord_amounts_not_negative",
                condition=Q(security_amount_raw__gte=0, currency_amount_raw__gte=0),
            ),
            models.CheckConstraint(name="bonds_investmentrecord_investor_present", condition=~Q(investor="")),
        ]
        indexes = [models.Index(fields=["bond", "block_height"], name="bonds_investment_by_block")]

    def __str__(self) -> str:
        return f"{self.kind} by {self.investor}"


class RegistryChange(ChainEvent):
    """From that event on the address is in that state of that registry. What is paid never rests on it: the registry itself is asked."""

    contract_index = models.BigIntegerField()
    contract_subindex = models.BigIntegerField()
    address = models.CharField(max_length=60)
    state = models.CharField(max_length=15, choices=[(state.value, state.value) for state in RegistryState])

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["transaction_hash", "event_index"], name="bonds_registrychange_once"),
            models.CheckConstraint(
                name="bonds_registrychange_state_known", condition=Q(state__in=[state.value for state in RegistryState])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.address}: {self.state}"


class ParkedEvent(ChainEvent):
    """An event of a watched contract that could not be read. No snapshot of a bond of that contract from this block on until a
    person has looked and said, once, why it may go on."""

    contract_index = models.BigIntegerField()
    contract_subindex = models.BigIntegerField()
    module_ref = models.CharField(max_length=64)
    data = models.BinaryField()
    reason = models.TextField()
    parked_at = models.DateTimeField(db_default=Now(), editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    resolution_reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["transaction_hash", "event_index"], name="bonds_parkedevent_once"),
            models.CheckConstraint(
                name="bonds_parkedevent_resolved_by_somebody_for_a_reason",
                condition=Q(resolved_at__isnull=True, resolved_by__isnull=True, resolution_reason="")
                | (Q(resolved_at__isnull=False, resolved_by__isnull=False) & ~Q(resolution_reason="")),
            ),
        ]
        indexes = [
            models.Index(
                fields=["block_height"], condition=Q(resolved_at__isnull=True), name="bonds_parkedevent_unresolved"
            )
        ]

    def __str__(self) -> str:
        return f"event {self.event_index} of {self.transaction_hash}"

    @property
    def contract(self) -> Contract:
        return Contract(self.contract_index, self.contract_subindex)
