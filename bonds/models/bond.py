"""The instrument: one row is one tranche, keyed off chain by UUID and on chain by its post-sale token contract."""

import uuid
from fractions import Fraction
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from bonds.chain.gateway import Contract

UNITS: dict[str, Any] = {"max_digits": 78, "decimal_places": 0}  # chain integers, u256 wide
RATE: dict[str, Any] = {"max_digits": 38, "decimal_places": 18}  # exact decimals people type


class BondStatus(models.TextChoices):
    ACTIVE = "Active"
    PAUSED = "Paused"
    SUCCESS = "Success"
    FAILED = "Failed"
    MATURED = "Matured"
    ARCHIVED = "Archived"


class Bond(models.Model):
    """A tokenised bond. `face_value` is per whole token in `currency`; PLT decimals are read from the chain once and pinned."""

    bond_metadata_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    isin = models.CharField("ISIN", max_length=12, blank=True)
    status = models.CharField(max_length=8, choices=BondStatus, default=BondStatus.ACTIVE)
    face_value = models.DecimalField(**RATE)
    currency = models.CharField(max_length=10)
    token_decimals = models.PositiveSmallIntegerField(default=0)
    plt_token_id = models.CharField("PLT symbol", max_length=128)
    plt_decimals = models.PositiveSmallIntegerField("PLT decimals")
    issue_date = models.DateField()
    subscription_period_end = models.DateField()
    maturity_date = models.DateField()
    redemption_period_years = models.PositiveSmallIntegerField(null=True, blank=True)
    postsale_contract_index = models.BigIntegerField("post-sale contract")
    postsale_contract_subindex = models.BigIntegerField(default=0)
    presale_contract_index = models.BigIntegerField("pre-sale contract", null=True, blank=True)
    presale_contract_subindex = models.BigIntegerField(default=0)
    fund_contract_index = models.BigIntegerField("fund contract", null=True, blank=True)
    fund_contract_subindex = models.BigIntegerField(default=0)
    registry_contract_index = models.BigIntegerField("identity registry")
    registry_contract_subindex = models.BigIntegerField(default=0)
    listen_from_height = models.BigIntegerField("first block to read", default=0)
    wallet = models.ForeignKey("bonds.Wallet", on_delete=models.PROTECT, related_name="bonds")
    excluded_addresses = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "bonds_metadata"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(name="bonds_bond_status_known", condition=Q(status__in=BondStatus.values)),
            models.CheckConstraint(name="bonds_bond_face_value_positive", condition=Q(face_value__gt=0)),
            models.CheckConstraint(
                name="bonds_bond_decimals_fit", condition=Q(token_decimals__lte=77, plt_decimals__lte=255)
            ),
            models.CheckConstraint(
                name="bonds_bond_dates_in_order", condition=Q(issue_date__lt=models.F("maturity_date"))
            ),
            models.UniqueConstraint(
                fields=["postsale_contract_index", "postsale_contract_subindex"], name="bonds_bond_one_per_contract"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def face_value_exact(self) -> Fraction:
        return Fraction(self.face_value)


def contract_of_registry(bond: Bond) -> Contract:
    """The identity registry this bond's holders are listed in."""
    return Contract(bond.registry_contract_index, bond.registry_contract_subindex)


def contract_of_tokens(bond: Bond) -> Contract:
    """The post-sale token contract whose lots earn interest."""
    return Contract(bond.postsale_contract_index, bond.postsale_contract_subindex)


def contract_of_presale(bond: Bond) -> Contract | None:
    """The pre-sale token contract, whose lots are claims on the post-sale ones; None when the books name none."""
    if bond.presale_contract_index is None:
        return None
    return Contract(bond.presale_contract_index, bond.presale_contract_subindex)


def contract_of_fund(bond: Bond) -> Contract | None:
    """The fund that raises the money for this bond, perhaps among others; None when the books name none."""
    if bond.fund_contract_index is None:
        return None
    return Contract(bond.fund_contract_index, bond.fund_contract_subindex)


def watched_contracts(bond: Bond) -> tuple[Contract, ...]:
    """The contracts whose events the listener reads for this bond: token, registry and, where there is one, fund."""
    fund = contract_of_fund(bond)
    return (contract_of_tokens(bond), contract_of_registry(bond), *((fund,) if fund else ()))
