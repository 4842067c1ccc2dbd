"""An investor's own notifications: what they may read and mark. Every query is bound to one user."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from notifications.errors import UnknownNotification
from notifications.models import Notification, UserNotificationStatus


def own_notifications(user: User, *, is_unread: bool | None = None) -> QuerySet[Notification]:
    """The user's notifications that are not dismissed, newest first, status joined. `is_unread` None: both kinds."""
    own = Notification.objects.filter(user=user, status__dismissed_at__isnull=True).select_related("status")
    if is_unread is not None:
        own = own.filter(status__read_at__isnull=is_unread)
    return own.order_by("-created_at", "id")


def mark_read(user: User, notification_ids: Collection[UUID], *, read_at: datetime) -> int:
    """Mark these as read; returns how many were unread.

    All or nothing: UnknownNotification when one is not the user's own.
    """
    wanted = set(notification_ids)
    with transaction.atomic():
        own = UserNotificationStatus.objects.filter(user=user, notification_id__in=wanted)
        if own.count() != len(wanted):
            raise UnknownNotification("No such notification.")
        return own.filter(read_at__isnull=True).update(read_at=read_at)


def mark_all_read(user: User, *, read_at: datetime) -> int:
    """Mark every unread notification of the user as read; returns how many were unread."""
    return UserNotificationStatus.objects.filter(user=user, read_at__isnull=True).update(read_at=read_at)
