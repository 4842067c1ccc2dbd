"""Redemptions on the console: to be read, not yet to be started."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from maturity.models import MaturityPayment, MaturityRun


class ReadOnlyAdmin(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(MaturityRun)
class MaturityRunAdmin(ReadOnlyAdmin):
    list_display = ("bond", "status", "face_value_per_token", "plt_token_id", "created_at", "completed_at")
    list_filter = ("status", "bond")
    list_select_related = ("bond",)
    change_list_template = "admin/maturity/change_list.html"


@admin.register(MaturityPayment)
class MaturityPaymentAdmin(ReadOnlyAdmin):
    list_display = ("run", "position", "holder", "amount_units", "burn_status", "payment_status")
    list_filter = ("burn_status",)
    list_select_related = ("run__bond", "payment")
    search_fields = ("holder",)
    change_list_template = "admin/maturity/change_list.html"

    @admin.display(description="payment")
    def payment_status(self, line: MaturityPayment) -> str:
        return line.payment.get_status_display() if line.payment else "-"
