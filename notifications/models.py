"""Who was told what, when, and who wants to be told. Holds rules as constraints; never sends, never decides."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class NotificationType(models.TextChoices):
    SYSTEM_ANNOUNCEMENT = "system_announcement"
    BOND_AVAILABLE = "bond_available"
    INVESTMENT_CONFIRMED = "investment_confirmed"
    INVESTMENT_FAILED = "investment_failed"
    YIELD_DISTRIBUTED = "yield_distributed"
    BOND_MATURED = "bond_matured"
    BOND_STATUS_UPDATED = "bond_status_updated"
    KYC_STATUS_CHANGED = "kyc_status_changed"
    MARKETING_UPDATE = "marketing_update"


class MailState(models.TextChoices):
    """What became of a notification's mail: none was due, it waits, the server took it, or a person must look."""

    NONE = "none"
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class Notification(models.Model):
    """The in-app record: one (payment, event or announcement, recipient), told once.

    `address` is a wallet in its canonical spelling, empty for a user who was addressed directly. `user` empty means
    that no user is known for the address: shown to staff as no_recipient. `title` and `message` are plain text, exactly
    as told.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    notification_type = models.CharField(max_length=32, choices=NotificationType.choices)
    title = models.CharField(max_length=200)
    message = models.TextField()
    priority = models.PositiveSmallIntegerField(help_text="1 (lowest) to 5 (highest)")
    address = models.CharField(max_length=100, blank=True, default="")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="notifications",
        db_index=False,
    )
    dedupe_key = models.CharField(max_length=200, help_text="what is told to whom; the same key is never told twice")
    context = models.JSONField(default=dict, help_text="the facts the text was made from")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "notifications"
        ordering: ClassVar = ["-created_at", "id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="notifications_notification_type_known", condition=Q(notification_type__in=NotificationType.values)
            ),
            models.CheckConstraint(
                name="notifications_notification_priority_range", condition=Q(priority__range=(1, 5))
            ),
            models.CheckConstraint(
                name="notifications_notification_text_present",
                condition=~Q(title="") & ~Q(message="") & ~Q(dedupe_key=""),
            ),
            models.CheckConstraint(
                name="notifications_notification_target_present", condition=~Q(address="") | Q(user__isnull=False)
            ),
            models.UniqueConstraint(name="notifications_notification_told_once", fields=["dedupe_key"]),
            # What the status row's composite foreign key points at: a status cannot name another user than its notification.
            models.UniqueConstraint(name="notifications_notification_user_of_id", fields=["id", "user"]),
        ]
        indexes: ClassVar = [
            models.Index(F("user"), F("created_at").desc(), name="notifications_own_newest"),  # an investor's page
            models.Index(F("created_at").desc(), F("id"), name="notifications_all_newest"),  # the console's page
        ]

    def __str__(self) -> str:
        return self.title


class UserNotificationStatus(models.Model):
    """What the recipient and the mail server did with one notification. Exists exactly when the notification has a user.

    `message_id` is fixed when the mail is queued, so that every attempt carries the same one.
    """

    notification = models.OneToOneField(Notification, on_delete=models.CASCADE, related_name="status")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    read_at = models.DateTimeField(null=True, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)
    mail_state = models.CharField(max_length=8, choices=MailState.choices, default=MailState.NONE)
    mailed_at = models.DateTimeField(null=True, blank=True)
    message_id = models.CharField(max_length=255, blank=True, default="")

    class Meta:
        db_table = "user_notification_status"
        verbose_name_plural = "user notification status"
        constraints: ClassVar = [
            models.CheckConstraint(
                name="notifications_usernotificationstatus_mail_state_known",
                condition=Q(mail_state__in=MailState.values),
            ),
            models.CheckConstraint(
                name="notifications_usernotificationstatus_mailed_iff_sent",
                condition=Q(mail_state=MailState.SENT, mailed_at__isnull=False)
                | (~Q(mail_state=MailState.SENT) & Q(mailed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="notifications_usernotificationstatus_mail_has_id",
                condition=Q(mail_state=MailState.NONE) | ~Q(message_id=""),
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user"], condition=Q(read_at__isnull=True), name="notifications_unread_of_user"),
        ]

    def __str__(self) -> str:
        return f"{self.notification_id} {self.mail_state}"


class UserNotificationPreferences(models.Model):
    """What a user wants to hear. No row means: everything."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="notification_preferences"
    )
    email_notifications = models.BooleanField(default=True, db_default=True)
    investment_updates = models.BooleanField(default=True, db_default=True)
    marketing_communications = models.BooleanField(default=True, db_default=True)

    class Meta:
        db_table = "user_notification_preferences"
        verbose_name_plural = "user notification preferences"

    def __str__(self) -> str:
        return f"preferences of user {self.user_id}"


class WalletLink(models.Model):
    """Whose wallet an address is. A user may have several wallets; a wallet has one user."""

    address = models.CharField(max_length=100, help_text="canonical account key: the same text for every alias")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="wallet_links")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "wallet_links"
        constraints: ClassVar = [
            models.UniqueConstraint(name="notifications_walletlink_one_user", fields=["address"]),
            models.CheckConstraint(name="notifications_walletlink_address_present", condition=~Q(address="")),
        ]

    def __str__(self) -> str:
        return self.address


class ProcessedEvent(models.Model):
    """An event that has been turned into notifications: written in the transaction that turns it, so that none is turned twice.

    `natural_key` names the event by what never changes about it: its source, transaction hash and event index.
    """

    natural_key = models.CharField(max_length=200)
    processed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "processed_events"
        constraints: ClassVar = [
            models.UniqueConstraint(name="notifications_processedevent_once", fields=["natural_key"]),
            models.CheckConstraint(name="notifications_processedevent_key_present", condition=~Q(natural_key="")),
        ]

    def __str__(self) -> str:
        return self.natural_key
