"""What staff see of the instrument, its holders and its money. Nothing here moves money or deletes."""

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bonds.chain.concordium import addresses
from bonds.models import (
    Bond,
    ChainTransaction,
    Holding,
    JournalEntry,
    ListenerCursor,
    LotChange,
    Payment,
    PaymentAttempt,
    Snapshot,
    SnapshotLot,
)
from notifications.templatetags.notification_formats import units

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
    InlineBase = admin.TabularInline[Any, Any]
    BondFormBase = forms.ModelForm[Bond]
else:
    AdminBase = admin.ModelAdmin
    InlineBase = admin.TabularInline
    BondFormBase = forms.ModelForm

CCD_DECIMALS = 6
ISIN_LENGTH = 12
CONTRACT_SPELLING = re.compile(r"<\s*(\d+)\s*,\s*(\d+)\s*>")
ADDRESS_SHOWN_WHOLE = 24


def chip(status: str, label: str = "") -> SafeString:
    """A status as the console shows it everywhere."""
    return format_html('<span class="chip chip-{}">{}</span>', status, label or status.replace("_", " "))


def hash_text(value: str) -> SafeString:
    return format_html('<span class="hash">{}</span>', value or "-")


def short_address(address: str) -> SafeString | str:
    """Both ends of an account address, the whole of it on hover; a contract's spelling is short enough as it is."""
    if len(address) < ADDRESS_SHOWN_WHOLE:
        return address
    return format_html('<span class="hash" title="{}">{}…{}</span>', address, address[:8], address[-6:])


def link(view: str, pk: object, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(f"admin:{view}", args=[pk]), text)


def as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


class NeverDelete:
    """Rows of this room are kept for ever."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnly(NeverDelete):
    """Lists and shows. Counting every row of a long table is left out of each page."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# --- the instrument --------------------------------------------------------------------------------------------------


def isin_is_valid(isin: str) -> bool:
    """Two letters, nine letters or digits, and the check digit of ISO 6166 (Luhn over the letters spelt as numbers)."""
    if len(isin) != ISIN_LENGTH or not isin.isascii() or not isin.isalnum() or not isin[:2].isalpha():
        return False
    if not isin[-1].isdigit():
        return False
    digits = "".join(str(int(character, 36)) for character in isin)
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def _known_spelling(address: str) -> str:
    contract = CONTRACT_SPELLING.fullmatch(address.strip())
    if contract:
        return f"<{int(contract[1])},{int(contract[2])}>"
    try:
        addresses.decode(address.strip())
    except ValueError:
        raise ValidationError(
            f"{address!r} is neither an account address nor a contract as <index,subindex>."
        ) from None
    return address.strip()


class BondForm(BondFormBase):
    """A bond as a person types it; each refusal names its field."""

    class Meta:
        model = Bond
        fields = "__all__"

    def clean_isin(self) -> str:
        isin = self.cleaned_data["isin"].strip().upper()
        if isin and not isin_is_valid(isin):
            raise ValidationError("This is not a valid ISIN: the check digit does not fit.")
        return str(isin)

    def clean_excluded_addresses(self) -> list[str]:
        """Each in the spelling that is compared: an account's own, a contract as <index,subindex>."""
        return [_known_spelling(address) for address in self.cleaned_data["excluded_addresses"]]

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).strip().upper()

    def clean_face_value(self) -> Any:
        if self.cleaned_data["face_value"] <= 0:
            raise ValidationError("The face value of a token is more than zero.")
        return self.cleaned_data["face_value"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        issued, matures = data.get("issue_date"), data.get("maturity_date")
        if issued and matures and issued >= matures:
            self.add_error("maturity_date", "The maturity date is after the issue date.")
        ends = data.get("subscription_period_end")
        if ends and matures and ends > matures:
            self.add_error("subscription_period_end", "The subscription period ends before the maturity date.")
        for name in ("postsale_contract_index", "presale_contract_index", "registry_contract_index"):
            if (data.get(name) or 0) < 0:
                self.add_error(name, "A contract index is zero or more.")
        return data


@admin.register(Bond)
class BondAdmin(NeverDelete, AdminBase):
    """Terms are typed once and then fixed; the descriptive fields and the status stay open."""

    form = BondForm
    list_display = ("name", "isin", "status_chip", "face", "plt_token_id", "issue_date", "maturity_date", "wallet")
    list_filter = ("status", "plt_token_id")
    list_select_related = ("wallet",)
    search_fields = ("name", "isin")
    ordering = ("name",)
    open_fields = ("name", "isin", "status", "description")
    fieldsets = (
        (None, {"fields": ("name", "isin", "status", "description", "bond_metadata_id")}),
        ("Terms", {"fields": ("face_value", "currency", "token_decimals", "plt_token_id", "plt_decimals", "wallet")}),
        ("Dates", {"fields": ("issue_date", "subscription_period_end", "maturity_date", "redemption_period_years")}),
        (
            "On the chain",
            {
                "fields": (
                    ("postsale_contract_index", "postsale_contract_subindex"),
                    ("presale_contract_index", "presale_contract_subindex"),
                    ("fund_contract_index", "fund_contract_subindex"),
                    ("registry_contract_index", "registry_contract_subindex"),
                    "listen_from_height",
                    "excluded_addresses",
                )
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("bond_metadata_id",)
        return tuple(field.name for field in Bond._meta.fields if field.name not in self.open_fields)

    @admin.display(description="status", ordering="status")
    def status_chip(self, bond: Bond) -> SafeString:
        return chip(bond.status, bond.get_status_display())

    @admin.display(description="face value", ordering="face_value")
    def face(self, bond: Bond) -> str:
        return f"{bond.face_value.normalize():,f} {bond.currency}"


# --- money -----------------------------------------------------------------------------------------------------------


class AttemptInline(ReadOnly, InlineBase):
    """The transactions a payment has been in."""

    model = PaymentAttempt
    extra = 0
    fields = readonly_fields = ("chain_transaction", "status", "position", "live")
    verbose_name_plural = "transactions"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaymentAttempt]:
        return super().get_queryset(request).select_related("transaction").defer("transaction__raw")

    @admin.display(description="transaction")
    def chain_transaction(self, attempt: PaymentAttempt) -> SafeString:
        found = attempt.transaction
        return link("bonds_chaintransaction_change", found.pk, f"#{found.sequence_number} {found.transaction_hash}")

    def status(self, attempt: PaymentAttempt) -> SafeString:
        return chip(attempt.transaction.status)


@admin.register(Payment)
class PaymentAdmin(ReadOnly, AdminBase):
    list_display = ("short_holder", "amount", "status_chip", "period", "paid_with", "paid_at", "kind", "bond")
    list_filter = ("status", "kind", "hold_reason", "bond")
    list_select_related = ("bond", "paid_by")
    search_fields = ("holder",)
    search_help_text = "A holder's address, or the id of a payment or a run"
    inlines = (AttemptInline,)
    fields = (
        "id", "bond", "kind", "period", "holder", "amount", "status_chip", "hold_reason", "held_at", "review_reason",
        "paid_at", "paid_with", "run", "position", "wallet", "created_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payment]:
        return super().get_queryset(request).defer("paid_by__raw")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        known_id = as_uuid(search_term)
        if known_id:
            return queryset.filter(pk=known_id) | queryset.filter(run=known_id), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="holder", ordering="holder")
    def short_holder(self, payment: Payment) -> SafeString | str:
        return short_address(payment.holder)

    @admin.display(description="amount", ordering="amount_units")
    def amount(self, payment: Payment) -> str:
        return f"{units(int(payment.amount_units), payment.plt_decimals)} {payment.plt_token_id}"

    @admin.display(description="status", ordering="status")
    def status_chip(self, payment: Payment) -> SafeString:
        return chip(payment.status)

    @admin.display(description="period", ordering="period_start")
    def period(self, payment: Payment) -> str:
        return f"{payment.period_start} to {payment.period_end}"

    @admin.display(description="transaction")
    def paid_with(self, payment: Payment) -> SafeString | str:
        if payment.paid_by is None:
            return "-"
        short = f"#{payment.paid_by.sequence_number} {payment.paid_by.transaction_hash[:12]}"
        return link("bonds_chaintransaction_change", payment.paid_by_id, short)


class MemberInline(ReadOnly, InlineBase):
    """The payments a transaction carries, in its own order."""

    model = PaymentAttempt
    extra = 0
    fields = readonly_fields = ("position", "payment_link", "amount", "status", "live")
    verbose_name_plural = "payments carried"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaymentAttempt]:
        return super().get_queryset(request).select_related("payment")

    @admin.display(description="payment")
    def payment_link(self, attempt: PaymentAttempt) -> SafeString:
        return link("bonds_payment_change", attempt.payment_id, short_address(attempt.payment.holder))

    def amount(self, attempt: PaymentAttempt) -> str:
        payment = attempt.payment
        return f"{units(int(payment.amount_units), payment.plt_decimals)} {payment.plt_token_id}"

    def status(self, attempt: PaymentAttempt) -> SafeString:
        return chip(attempt.payment.status)


@admin.register(ChainTransaction)
class ChainTransactionAdmin(ReadOnly, AdminBase):
    """Signed bytes are never shown: the hash names them."""

    list_display = (
        "sequence_number", "short_hash", "status_chip", "members_count", "block_height", "fee", "signed_at", "reject_reason",
    )  # fmt: skip
    list_filter = ("status", "wallet")
    search_fields = ("=transaction_hash",)
    search_help_text = "A whole transaction hash, or the id of a run"
    ordering = ("wallet", "-sequence_number", "-signed_at")
    inlines = (MemberInline,)
    fields = (
        "wallet", "sequence_number", "full_hash", "status_chip", "signed_at", "submitted_at", "expires_at", "closed_at",
        "block_height", "block_hash", "energy", "fee", "reject_reason", "reject_index", "registry_block_hash",
        "registry_block_time", "run",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[ChainTransaction]:
        counted = (
            PaymentAttempt.objects.filter(transaction=OuterRef("pk"))
            .order_by()
            .values("transaction")
            .annotate(n=Count("pk"))
        )
        return (
            super()
            .get_queryset(request)
            .defer("raw")
            .annotate(members_total=Coalesce(Subquery(counted.values("n"), output_field=IntegerField()), 0))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        run = as_uuid(search_term)
        if run:
            return queryset.filter(run=run), False
        return super().get_search_results(request, queryset, search_term.lower())

    @admin.display(description="hash")
    def short_hash(self, tx: ChainTransaction) -> SafeString:
        return format_html('<span class="hash" title="{}">{}…</span>', tx.transaction_hash, tx.transaction_hash[:16])

    @admin.display(description="hash")
    def full_hash(self, tx: ChainTransaction) -> SafeString:
        return hash_text(tx.transaction_hash)

    @admin.display(description="status", ordering="status")
    def status_chip(self, tx: ChainTransaction) -> SafeString:
        return chip(tx.status)

    @admin.display(description="payments")
    def members_count(self, tx: Any) -> int:
        return int(tx.members_total)

    @admin.display(description="fee (CCD)")
    def fee(self, tx: ChainTransaction) -> str:
        return "-" if tx.cost_microccd is None else units(tx.cost_microccd, CCD_DECIMALS)


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnly, AdminBase):
    list_display = (
        "id",
        "kind",
        "debit",
        "credit",
        "amount",
        "asset",
        "payment_link",
        "transaction_link",
        "created_at",
    )
    list_filter = ("kind", "asset", "wallet")
    list_select_related = ("payment", "transaction")
    ordering = ("-id",)
    fields = (
        "wallet", "kind", "asset", "debit", "credit", "amount", "payment_link", "transaction_link", "created_at"
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        return super().get_queryset(request).defer("transaction__raw")

    @admin.display(description="amount", ordering="amount_units")
    def amount(self, entry: JournalEntry) -> str:
        decimals = entry.payment.plt_decimals if entry.payment else CCD_DECIMALS
        return units(int(entry.amount_units), decimals)

    @admin.display(description="payment")
    def payment_link(self, entry: JournalEntry) -> SafeString | str:
        return (
            link("bonds_payment_change", entry.payment_id, short_address(entry.payment.holder))
            if entry.payment
            else "-"
        )

    @admin.display(description="transaction")
    def transaction_link(self, entry: JournalEntry) -> SafeString:
        return link("bonds_chaintransaction_change", entry.transaction_id, f"#{entry.transaction.sequence_number}")


# --- holders ---------------------------------------------------------------------------------------------------------


@admin.register(Holding)
class HoldingAdmin(ReadOnly, AdminBase):
    list_display = ("holder", "bond", "token_id", "amount")
    list_filter = ("bond",)
    list_select_related = ("bond",)
    search_fields = ("holder",)
    ordering = ("bond", "holder", "token_id")

    @admin.display(description="tokens", ordering="balance_raw")
    def amount(self, holding: Holding) -> str:
        return units(int(holding.balance_raw), holding.bond.token_decimals)


@admin.register(LotChange)
class LotChangeAdmin(ReadOnly, AdminBase):
    list_display = ("block_height", "bond", "kind", "token_id", "amount", "sender", "recipient", "block_time")
    list_filter = ("kind", "bond")
    list_select_related = ("bond",)
    search_fields = ("sender", "recipient")
    ordering = ("-id",)

    @admin.display(description="tokens", ordering="amount_raw")
    def amount(self, change: LotChange) -> str:
        return units(int(change.amount_raw), change.bond.token_decimals)


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly, AdminBase):
    list_display = ("bond", "record_at", "block_height", "block_time", "total_holders", "amount", "lots_link")
    list_filter = ("bond",)
    list_select_related = ("bond",)
    ordering = ("-created_at",)
    fields = (
        "bond", "record_at", "block_height", "block_hash", "block_time", "total_holders", "amount", "lots_link",
        "created_at",
    )  # fmt: skip

    @admin.display(description="supply", ordering="total_supply_raw")
    def amount(self, snapshot: Snapshot) -> str:
        return units(int(snapshot.total_supply_raw), snapshot.bond.token_decimals)

    @admin.display(description="holders")
    def lots_link(self, snapshot: Snapshot) -> SafeString:
        return format_html(
            '<a href="{}?snapshot__id__exact={}">lots</a>', reverse("admin:bonds_snapshotlot_changelist"), snapshot.pk
        )


@admin.register(SnapshotLot)
class SnapshotLotAdmin(ReadOnly, AdminBase):
    """Reached from its snapshot; not in the menu."""

    list_display = ("position", "holder", "token_id", "amount", "snapshot")
    list_select_related = ("snapshot__bond",)
    search_fields = ("holder",)
    ordering = ("snapshot", "position", "token_id")

    def get_model_perms(self, request: HttpRequest) -> dict[str, bool]:
        return {}

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        return lookup == "snapshot__id__exact" or super().lookup_allowed(lookup, value, request)

    @admin.display(description="tokens", ordering="balance_raw")
    def amount(self, lot: SnapshotLot) -> str:
        return units(int(lot.balance_raw), lot.snapshot.bond.token_decimals)


@admin.register(ListenerCursor)
class ListenerCursorAdmin(ReadOnly, AdminBase):
    list_display = ("bond", "height", "block_time", "head_height", "updated_at")
    list_select_related = ("bond",)
    ordering = ("-updated_at",)


from bonds import claims_admin, events_admin, lane_admin  # noqa: E402, F401 - they register their models, with the classes above
