"""What staff see in the console: who was told, who has no recipient, which mails wait; nothing can be edited."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from notifications.models import Notification, UserNotificationPreferences, UserNotificationStatus, WalletLink

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("staff"), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def told(make_investor) -> dict[str, Notification]:
    """One notification mailed, one with its mail waiting, one for a wallet nobody knows."""
    ada = make_investor()
    rows = {
        name: Notification.objects.create(
            notification_type="yield_distributed" if name != "waiting" else "bond_matured",
            title=f"Title {name} <b>",
            message="Paid.",
            priority=3,
            address=f"wallet-{name}",
            user=None if name == "unmapped" else ada,
            dedupe_key=name,
        )
        for name in ("mailed", "waiting", "unmapped")
    }
    UserNotificationStatus.objects.create(
        notification=rows["mailed"], user=ada, mail_state="sent", mailed_at=timezone.now(), message_id="<1@x>"
    )
    UserNotificationStatus.objects.create(
        notification=rows["waiting"], user=ada, mail_state="queued", message_id="<2@x>"
    )
    return rows


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, {"mailed", "waiting", "unmapped"}),
        ({"recipient": "no_recipient"}, {"unmapped"}),
        ({"recipient": "user"}, {"mailed", "waiting"}),
        ({"mail": "queued"}, {"waiting"}),
        ({"mail": "sent"}, {"mailed"}),
        ({"notification_type__exact": "bond_matured"}, {"waiting"}),
        ({"q": "wallet-mailed"}, {"mailed"}),
    ],
)
def test_the_list_filters_by_type_recipient_and_mail(staff, told, query, shown):
    page = staff.get(reverse("admin:notifications_notification_changelist"), query)
    assert page.status_code == 200
    assert {row.dedupe_key for row in page.context["cl"].result_list} == shown


def test_an_unmapped_wallet_is_shown_as_no_recipient_and_titles_are_escaped(staff, told):
    page = staff.get(reverse("admin:notifications_notification_changelist")).content.decode()
    assert '<td class="field-recipient">no_recipient</td>' in page
    assert "Title unmapped &lt;b&gt;" in page
    assert "Title unmapped <b>" not in page


@pytest.mark.parametrize("name", ["mailed", "waiting", "unmapped"])
def test_a_notification_can_be_looked_at(staff, told, name):
    page = staff.get(reverse("admin:notifications_notification_change", args=[told[name].pk]))
    assert page.status_code == 200


@pytest.mark.parametrize("model", ["notification", "usernotificationpreferences", "walletlink"])
def test_nothing_can_be_added_changed_or_deleted(staff, told, model):
    rows = {"notification": Notification, "usernotificationpreferences": UserNotificationPreferences}.get(
        model, WalletLink
    )
    UserNotificationPreferences.objects.create(user=told["mailed"].user)
    row = rows.objects.first()
    before = rows.objects.count()
    assert staff.get(reverse(f"admin:notifications_{model}_changelist")).status_code == 200
    assert staff.post(reverse(f"admin:notifications_{model}_add"), {}).status_code == 403
    assert staff.post(reverse(f"admin:notifications_{model}_change", args=[row.pk]), {}).status_code == 403
    assert staff.post(reverse(f"admin:notifications_{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert rows.objects.count() == before


def test_an_investor_has_no_console(make_investor, told):
    client = Client()
    client.force_login(User.objects.get(username="ada"), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(reverse("admin:notifications_notification_changelist")).status_code == 302
