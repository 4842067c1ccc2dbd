"""Tells the holder of a wallet that something happened: asked for in the caller's transaction, told once by a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from jobs import queue
from jobs.models import Job
from notifications.errors import BadNotice
from notifications.models import Notification, UserNotificationStatus, WalletLink
from notifications.services.email import queue_mail
from notifications.services.preferences import RULES, preferences_of
from notifications.services.rendering import render_text

INDIVIDUAL_JOB = "notification_individual_processor"


@dataclass(frozen=True)
class Notice:
    """What to tell whom. `address`: canonical account key. `dedupe_key`: what is told to whom, at most 200 characters.

    `context`: the facts of the type (rendering.REQUIRED_FACTS): JSON values, amounts as text in base units, times in
    ISO 8601.
    """

    address: str
    notification_type: str
    dedupe_key: str
    context: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.notification_type not in RULES:
            raise BadNotice(f"unknown notification type {self.notification_type!r}")
        if not self.address or not self.dedupe_key:
            raise BadNotice("a notice needs an address and a dedupe key")
        if not isinstance(self.context, Mapping):
            raise BadNotice("the context of a notice is an object of facts")

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> "Notice":
        try:
            return cls(**{key: payload[key] for key in ("address", "notification_type", "dedupe_key", "context")})
        except KeyError as error:
            raise BadNotice(f"the payload lacks {error.args[0]}") from None

    def payload(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "notification_type": self.notification_type,
            "dedupe_key": self.dedupe_key,
            "context": dict(self.context),
        }


def notify_address(*, address: str, notification_type: str, dedupe_key: str, context: Mapping[str, Any]) -> Job:
    """Ask that the holder of `address` is told. Joins the caller's transaction: rolled back, nobody hears of it.

    Raises BadNotice for an unknown type or an empty key; a fact that is missing shows as a dead letter instead, so that
    it cannot undo what the caller records. May be called twice with one `dedupe_key`: told once.
    """
    notice = Notice(address, notification_type, dedupe_key, context)
    return queue.enqueue(INDIVIDUAL_JOB, notice.payload(), unique_key=dedupe_key)


def notify_addresses(notices: Sequence[Notice]) -> int:
    """The same promise as notify_address for many at once; returns how many were new to the queue."""
    return queue.enqueue_many(INDIVIDUAL_JOB, [(notice.payload(), notice.dedupe_key) for notice in notices])


@transaction.atomic
def deliver(payload: Mapping[str, Any]) -> str:
    """Write the in-app record and open the mail where each is due; returns what happened, for the job's record.

    Writes Notification, its status, and the mail's job, all in the caller's transaction. An address without a user gets
    a record without a user, which staff see as no_recipient. BadNotice when it cannot be told. May be called twice:
    told once.
    """
    notice = Notice.from_payload(payload)
    user = _user_of(notice.address)
    rule = RULES[notice.notification_type]
    preferences = preferences_of(user) if user else None
    if preferences and not rule.is_record_due(preferences):
        return "not wanted"
    notification, is_new = _record_of(notice, user)
    if not is_new:
        return "already told"
    if user is None or preferences is None:
        return "no_recipient"
    UserNotificationStatus.objects.create(notification=notification, user=user)
    if user.email and rule.is_mail_due(preferences):
        queue_mail(notification)
        return "recorded, mail queued"
    return "recorded"


def _user_of(address: str) -> User | None:
    link = WalletLink.objects.select_related("user").filter(address=address).first()
    return link.user if link else None


def _record_of(notice: Notice, user: User | None) -> tuple[Notification, bool]:
    title, message = render_text(notice.notification_type, notice.context)
    notification, is_new = Notification.objects.get_or_create(
        dedupe_key=notice.dedupe_key,
        defaults={
            "notification_type": notice.notification_type,
            "title": title,
            "message": message,
            "priority": RULES[notice.notification_type].priority,
            "address": notice.address,
            "user": user,
            "context": dict(notice.context),
        },
    )
    if (notification.address, notification.notification_type) != (notice.address, notice.notification_type):
        # Silence here would mean that somebody is never told.
        raise BadNotice(f"the key {notice.dedupe_key!r} was used to tell something else")
    return notification, is_new
