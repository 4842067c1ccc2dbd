"""Turns a type and its facts into words (templates/notifications/<type>/). Never guesses a missing fact."""

from collections.abc import Mapping
from typing import Any

from django.template.loader import render_to_string

from notifications.errors import BadNotice
from notifications.models import Notification, NotificationType

_MONEY = frozenset({"bond_name", "amount_units", "decimals", "token_symbol", "transaction_hash"})
_FREE_TEXT = frozenset({"title", "message"})

# The facts each type needs. Amounts: base units as text, with the token's decimals beside them. Dates and moments:
# ISO 8601. period_end does not count; the text names the last day that does.
REQUIRED_FACTS: Mapping[str, frozenset[str]] = {
    NotificationType.YIELD_DISTRIBUTED: _MONEY | {"paid_at", "period_start", "period_end"},
    NotificationType.BOND_MATURED: _MONEY | {"paid_at"},
    NotificationType.INVESTMENT_CONFIRMED: _MONEY,
    NotificationType.INVESTMENT_FAILED: _MONEY,
    NotificationType.KYC_STATUS_CHANGED: frozenset({"registry_state"}),
    NotificationType.BOND_STATUS_UPDATED: frozenset({"bond_name", "bond_status"}),
    NotificationType.BOND_AVAILABLE: frozenset({"bond_name"}),
    NotificationType.SYSTEM_ANNOUNCEMENT: _FREE_TEXT,
    NotificationType.MARKETING_UPDATE: _FREE_TEXT,
}


def render_text(notification_type: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """Title (one line) and message, both plain text. Pure. BadNotice when a fact is missing or unreadable."""
    missing = REQUIRED_FACTS[notification_type] - context.keys()
    if missing:
        raise BadNotice(f"{notification_type} lacks {', '.join(sorted(missing))}")
    folder = f"notifications/{notification_type}"
    try:
        subject = render_to_string(f"{folder}/subject.txt", dict(context))
        message = render_to_string(f"{folder}/body.txt", dict(context))
    except (ValueError, TypeError) as error:
        raise BadNotice(f"{notification_type} has an unreadable fact: {error}") from error
    # One line: a title becomes a mail header, where a line break would start another header.
    title = " ".join(subject.split())
    limit = Notification._meta.get_field("title").max_length or 0
    if not title or len(title) > limit:
        raise BadNotice(f"{notification_type} has a title of {len(title)} characters; 1 to {limit} fit")
    return title, message.strip()


def render_html(notification: Notification) -> str:
    """The HTML alternative of a notification's mail; every fact escaped."""
    facts = {**notification.context, "notification": notification}
    return render_to_string(f"notifications/{notification.notification_type}/body.html", facts)
