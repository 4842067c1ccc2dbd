"""Every constraint of the room, broken once."""

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from notifications.models import (
    Notification,
    ProcessedEvent,
    UserNotificationPreferences,
    UserNotificationStatus,
    WalletLink,
)

pytestmark = pytest.mark.django_db


def notification(**changes) -> Notification:
    fields = {
        "notification_type": "yield_distributed",
        "title": "Coupon paid",
        "message": "Your coupon has been paid.",
        "priority": 3,
        "address": "wallet-ada",
        "dedupe_key": "payment:1",
    }
    return Notification.objects.create(**{**fields, **changes})


def refused_by(constraint: str):
    return pytest.raises(IntegrityError, match=f'"{constraint}"')


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"notification_type": "coupon"}, "notifications_notification_type_known"),
        ({"priority": 0}, "notifications_notification_priority_range"),
        ({"priority": 6}, "notifications_notification_priority_range"),
        ({"title": ""}, "notifications_notification_text_present"),
        ({"message": ""}, "notifications_notification_text_present"),
        ({"dedupe_key": ""}, "notifications_notification_text_present"),
        ({"address": "", "user": None}, "notifications_notification_target_present"),
    ],
)
def test_a_notification_that_breaks_a_rule_is_refused(changes, constraint):
    with refused_by(constraint), transaction.atomic():
        notification(**changes)
    assert Notification.objects.count() == 0


def test_the_same_key_is_never_told_twice():
    notification()
    with refused_by("notifications_notification_told_once"), transaction.atomic():
        notification(address="wallet-grace")
    assert Notification.objects.get().address == "wallet-ada"


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        (
            {"mail_state": "lost", "message_id": "<1@bonds.test>"},
            "notifications_usernotificationstatus_mail_state_known",
        ),
        (
            {"mail_state": "sent", "message_id": "<1@bonds.test>"},
            "notifications_usernotificationstatus_mailed_iff_sent",
        ),
        (
            {"mail_state": "queued", "message_id": "<1@bonds.test>", "mailed_at": timezone.now()},
            "notifications_usernotificationstatus_mailed_iff_sent",
        ),
        ({"mail_state": "queued"}, "notifications_usernotificationstatus_mail_has_id"),
    ],
)
def test_a_status_that_breaks_a_rule_is_refused(changes, constraint):
    ada = User.objects.create_user("ada")
    told = notification(user=ada)
    with refused_by(constraint), transaction.atomic():
        UserNotificationStatus.objects.create(notification=told, user=ada, **changes)
    assert UserNotificationStatus.objects.count() == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("recipient", ["grace", None])
def test_a_status_names_the_user_of_its_notification(recipient):
    ada, grace = User.objects.create_user("ada"), User.objects.create_user("grace")
    told = notification(user=grace if recipient else None)
    with refused_by("notifications_usernotificationstatus_same_user"):
        UserNotificationStatus.objects.create(notification=told, user=ada)
    assert UserNotificationStatus.objects.count() == 0
    if recipient:
        assert UserNotificationStatus.objects.create(notification=told, user=grace).pk


def test_a_wallet_has_one_user():
    ada, grace = User.objects.create_user("ada"), User.objects.create_user("grace")
    WalletLink.objects.create(address="wallet-ada", user=ada)
    with refused_by("notifications_walletlink_one_user"), transaction.atomic():
        WalletLink.objects.create(address="wallet-ada", user=grace)
    assert WalletLink.objects.get().user == ada


def test_a_wallet_link_names_an_address():
    ada = User.objects.create_user("ada")
    with refused_by("notifications_walletlink_address_present"), transaction.atomic():
        WalletLink.objects.create(address="", user=ada)


def test_an_event_is_processed_once():
    ProcessedEvent.objects.create(natural_key="investment:ab:0")
    with refused_by("notifications_processedevent_once"), transaction.atomic():
        ProcessedEvent.objects.create(natural_key="investment:ab:0")


def test_a_processed_event_has_a_key():
    with refused_by("notifications_processedevent_key_present"), transaction.atomic():
        ProcessedEvent.objects.create(natural_key="")


def test_a_user_has_one_set_of_preferences_and_all_are_on_by_default():
    ada = User.objects.create_user("ada")
    stored = UserNotificationPreferences.objects.create(user=ada)
    assert (stored.email_notifications, stored.investment_updates, stored.marketing_communications) == (True,) * 3
    with refused_by("user_notification_preferences_pkey"), transaction.atomic():
        UserNotificationPreferences.objects.create(user=ada)


def test_a_user_who_was_told_something_cannot_be_deleted():
    ada = User.objects.create_user("ada")
    notification(user=ada)
    with pytest.raises(ProtectedError):
        ada.delete()
    assert User.objects.filter(username="ada").exists()
