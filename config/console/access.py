"""People and their tokens in the console: people are switched off, not deleted; tokens are only revoked."""

from typing import TYPE_CHECKING, Any

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest
from knox.models import AuthToken

if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
else:
    AdminBase = admin.ModelAdmin

SHOWN_KEY_LENGTH = 6


class PeopleAdmin(UserAdmin):
    """Switch `active` off instead of deleting: the books name people."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TokenAdmin(AdminBase):
    """Every bearer token there is; deleting one revokes it. People make their own on the API tokens page."""

    list_display = ("user", "starts_with", "created", "expiry")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    ordering = ("-created",)
    fields = ("user", "starts_with", "created", "expiry")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="token starts with")
    def starts_with(self, token: AuthToken) -> str:
        return f"{token.token_key[:SHOWN_KEY_LENGTH]}…"


def register() -> None:
    """Replace what the packages registered; runs after every app's own admin module."""
    admin.site.unregister([User, AuthToken, AccessLog, AccessFailureLog])
    admin.site.register(User, PeopleAdmin)
    admin.site.register(AuthToken, TokenAdmin)
