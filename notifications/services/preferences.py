"""Who wants to hear what: the one table of which preference gates the in-app record and which the mail."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import User

from notifications.models import NotificationType, UserNotificationPreferences


@dataclass(frozen=True)
class Rule:
    """`content_preference` gates the record, and with email_notifications the mail. None: both always."""

    content_preference: str | None
    priority: int

    def is_record_due(self, preferences: UserNotificationPreferences) -> bool:
        return self.content_preference is None or getattr(preferences, self.content_preference)

    def is_mail_due(self, preferences: UserNotificationPreferences) -> bool:
        return self.content_preference is None or (self.is_record_due(preferences) and preferences.email_notifications)


RULES: Mapping[str, Rule] = {
    NotificationType.INVESTMENT_CONFIRMED: Rule(None, priority=4),
    NotificationType.INVESTMENT_FAILED: Rule(None, priority=4),
    NotificationType.KYC_STATUS_CHANGED: Rule(None, priority=4),
    NotificationType.YIELD_DISTRIBUTED: Rule("investment_updates", priority=3),
    NotificationType.BOND_MATURED: Rule("investment_updates", priority=4),
    NotificationType.BOND_STATUS_UPDATED: Rule("investment_updates", priority=3),
    NotificationType.BOND_AVAILABLE: Rule("investment_updates", priority=2),
    NotificationType.SYSTEM_ANNOUNCEMENT: Rule("marketing_communications", priority=2),
    NotificationType.MARKETING_UPDATE: Rule("marketing_communications", priority=1),
}


def preferences_of(user: User) -> UserNotificationPreferences:
    """The user's preferences; the defaults (everything on), unsaved, when the user never chose. Reads only."""
    stored = UserNotificationPreferences.objects.filter(user=user).first()
    return stored or UserNotificationPreferences(user=user)


def save_preferences(
    user: User, *, email_notifications: bool, investment_updates: bool, marketing_communications: bool
) -> UserNotificationPreferences:
    """Replace the user's three choices. May be called twice."""
    chosen = {
        "email_notifications": email_notifications,
        "investment_updates": investment_updates,
        "marketing_communications": marketing_communications,
    }
    preferences, _ = UserNotificationPreferences.objects.update_or_create(user=user, defaults=chosen)
    return preferences
