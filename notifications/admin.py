"""What staff see of who was told what. Reads only: what was told is never edited."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from notifications.models import MailState, Notification, UserNotificationPreferences, WalletLink

if TYPE_CHECKING:
    NotificationAdminBase = admin.ModelAdmin[Notification]
else:
    NotificationAdminBase = admin.ModelAdmin


class ReadOnlyMixin:
    """Lists and shows; no button changes anything."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class RecipientFilter(admin.SimpleListFilter):
    title = "recipient"
    parameter_name = "recipient"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("user", "known user"), ("no_recipient", "no_recipient")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(user__isnull=self.value() == "no_recipient")


class MailStateFilter(admin.SimpleListFilter):
    title = "mail"
    parameter_name = "mail"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.label.lower()) for state in MailState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(status__mail_state=self.value())


@admin.register(Notification)
class NotificationAdmin(ReadOnlyMixin, NotificationAdminBase):
    list_display = ("title", "notification_type", "recipient", "address", "mail", "created_at")
    list_filter = ("notification_type", RecipientFilter, MailStateFilter)
    search_fields = ("address", "user__username", "dedupe_key")
    list_select_related = ("user", "status")
    ordering = ("-created_at", "id")
    list_per_page = 50
    show_full_result_count = False
    readonly_fields: ClassVar = ["recipient", "mail", "mailed_at", "message_id", "read_at"]

    @admin.display(description="recipient")
    def recipient(self, notification: Notification) -> str:
        return notification.user.get_username() if notification.user else "no_recipient"

    @admin.display(description="mail")
    def mail(self, notification: Notification) -> str:
        return notification.status.mail_state if notification.user_id else MailState.NONE.value

    @admin.display(description="mailed at")
    def mailed_at(self, notification: Notification) -> Any:
        return notification.status.mailed_at if notification.user_id else None

    @admin.display(description="Message-ID")
    def message_id(self, notification: Notification) -> str:
        return notification.status.message_id if notification.user_id else ""

    @admin.display(description="read at")
    def read_at(self, notification: Notification) -> Any:
        return notification.status.read_at if notification.user_id else None


@admin.register(UserNotificationPreferences)
class UserNotificationPreferencesAdmin(ReadOnlyMixin, admin.ModelAdmin):
    list_display = ("user", "email_notifications", "investment_updates", "marketing_communications")
    list_filter = ("email_notifications", "investment_updates", "marketing_communications")
    list_select_related = ("user",)
    search_fields = ("user__username",)


@admin.register(WalletLink)
class WalletLinkAdmin(ReadOnlyMixin, admin.ModelAdmin):
    list_display = ("address", "user", "created_at")
    list_select_related = ("user",)
    search_fields = ("address", "user__username")
