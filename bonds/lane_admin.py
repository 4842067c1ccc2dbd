"""The wallets and the audit log, for staff. A halted lane is lifted here, with a reason; nothing else of either is ever written by hand."""

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.module_loading import import_string
from django.utils.safestring import SafeString

from bonds.admin import AdminBase, ReadOnly, chip
from bonds.errors import DomainError
from bonds.models import AuditEntry, Wallet
from bonds.services import halts


@admin.register(Wallet)
class WalletAdmin(ReadOnly, AdminBase):
    list_display = ("name", "address", "next_sequence_number", "lane")
    readonly_fields = ("lane",)

    def get_urls(self) -> list[URLPattern]:
        lift = self.admin_site.admin_view(self.lift_view)
        return [path("<int:wallet_id>/lift/", lift, name="bonds_wallet_lift"), *super().get_urls()]

    @admin.display(description="lane")
    def lane(self, wallet: Wallet) -> SafeString:
        if wallet.halted_at:
            url = reverse("admin:bonds_wallet_lift", args=[wallet.pk])
            return format_html('{} {} <a href="{}">Lift the halt</a>', chip("halted"), wallet.halt_reason, url)
        return chip("alive", "open")

    def lift_view(self, request: HttpRequest, wallet_id: int) -> HttpResponse:
        """What halted the lane and what was left open; on POST the halt is lifted, or the refusal is shown."""
        if not request.user.has_perm("bonds.lift_halt"):
            raise PermissionDenied
        wallet, refusal = get_object_or_404(Wallet, pk=wallet_id), ""
        if request.method == "POST":
            try:
                halts.lift(
                    wallet.pk,
                    actor=request.user.get_username(),
                    reason=request.POST.get("reason", ""),
                    chain=import_string(settings.JOB_CONTEXT_FACTORY)().chain,
                )
            except DomainError as error:
                refusal = error.message
            else:
                self.message_user(request, f"{wallet.name} signs again.", messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:bonds_wallet_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Lift the halt of {wallet.name}",
            "wallet": wallet,
            "refusal": refusal,
            "reason": request.POST.get("reason", ""),
            "reason_at_most": halts.REASON_AT_MOST,
            "opts": Wallet._meta,
        }
        return render(request, "admin/bonds/wallet/lift.html", context)


_FACTS = ("at", "actor", "act", "subject", "reason", "chain", "number")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, AdminBase):
    list_display = _FACTS
    list_filter = ("act",)
    search_fields = ("actor", "subject", "reason", "=chain")
    date_hierarchy = "at"
    ordering = ("-at", "-number")

    fields = (*_FACTS, "before", "after", "previous_hash", "hash")
