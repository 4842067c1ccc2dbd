"""What the listener reads beside holdings, for staff: investments, registry states, and events nobody could read. Only the last are
ever written to: a person settles one, once, with a reason."""

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.safestring import SafeString

from bonds.admin import AdminBase, NeverDelete, ReadOnly, chip, hash_text, short_address
from bonds.models import BondInvestor, InvestmentRecord, ParkedEvent, RegistryChange
from bonds.services import parking
from notifications.templatetags.notification_formats import units

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    ParkedEventFormBase = forms.ModelForm[ParkedEvent]
else:
    ParkedEventFormBase = forms.ModelForm


@admin.register(InvestmentRecord)
class InvestmentRecordAdmin(ReadOnly, AdminBase):
    list_display = (
        "block_height",
        "bond",
        "kind",
        "short_investor",
        "token_id",
        "security",
        "currency_amount_raw",
        "block_time",
    )
    list_filter = ("kind", "bond")
    list_select_related = ("bond",)
    search_fields = ("investor", "=transaction_hash")
    ordering = ("-id",)

    @admin.display(description="investor", ordering="investor")
    def short_investor(self, record: InvestmentRecord) -> SafeString | str:
        return short_address(record.investor)

    @admin.display(description="tokens", ordering="security_amount_raw")
    def security(self, record: InvestmentRecord) -> str:
        return units(int(record.security_amount_raw), record.bond.token_decimals)


@admin.register(BondInvestor)
class BondInvestorAdmin(ReadOnly, AdminBase):
    list_display = ("short_investor", "bond", "user", "invested", "claimed", "refunded")
    list_filter = ("bond",)
    list_select_related = ("bond", "user")
    search_fields = ("address",)
    ordering = ("bond", "address")

    @admin.display(description="investor", ordering="address")
    def short_investor(self, investor: BondInvestor) -> SafeString | str:
        return short_address(investor.address)

    @admin.display(description="tokens bought", ordering="invested_security_raw")
    def invested(self, investor: BondInvestor) -> str:
        return units(int(investor.invested_security_raw), investor.bond.token_decimals)

    @admin.display(description="claimed", ordering="claimed_security_raw")
    def claimed(self, investor: BondInvestor) -> str:
        return units(int(investor.claimed_security_raw), investor.bond.token_decimals)

    @admin.display(description="refunded", ordering="refunded_security_raw")
    def refunded(self, investor: BondInvestor) -> str:
        return units(int(investor.refunded_security_raw), investor.bond.token_decimals)


@admin.register(RegistryChange)
class RegistryChangeAdmin(ReadOnly, AdminBase):
    list_display = ("block_height", "address", "state", "contract_index", "block_time")
    list_filter = ("state",)
    search_fields = ("address",)
    ordering = ("-id",)


class ParkedEventForm(ParkedEventFormBase):
    """Why the snapshots may go on: all a person can say of an event nobody could read."""

    class Meta:
        model = ParkedEvent
        fields = ("resolution_reason",)

    def clean_resolution_reason(self) -> str:
        reason = str(self.cleaned_data["resolution_reason"]).strip()
        if not reason:
            raise ValidationError("Say why the snapshots may go on.")
        return reason


@admin.register(ParkedEvent)
class ParkedEventAdmin(NeverDelete, AdminBase):
    """Kept as it came; settled once, with a reason."""

    form = ParkedEventForm
    list_display = ("block_height", "contract_text", "state", "reason", "block_time", "resolved_by", "resolved_at")
    list_filter = (("resolved_at", admin.EmptyFieldListFilter),)
    list_select_related = ("resolved_by",)
    ordering = ("-id",)
    evidence = (
        "contract_text", "module_ref", "bytes_text", "reason", "block_height", "block_hash", "block_time", "transaction_hash",
        "event_index", "parked_at", "resolved_by", "resolved_at",
    )  # fmt: skip
    fields = (*evidence, "resolution_reason")
    readonly_fields = evidence

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.resolved_at is None)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        parking.resolve(obj.pk, actor=cast("User", request.user), reason=form.cleaned_data["resolution_reason"])

    @admin.display(description="contract", ordering="contract_index")
    def contract_text(self, parked: ParkedEvent) -> str:
        return f"<{parked.contract_index},{parked.contract_subindex}>"

    @admin.display(description="bytes")
    def bytes_text(self, parked: ParkedEvent) -> SafeString:
        return hash_text(bytes(parked.data).hex())

    @admin.display(description="state", ordering="resolved_at")
    def state(self, parked: ParkedEvent) -> SafeString:
        return chip("completed", "settled") if parked.resolved_at else chip("needs_review", "waits for a person")
