"""Every row of the table of who is told what: types x preferences x (user, unmapped wallet)."""

import itertools

import pytest
from django.db import transaction

from jobs.models import Job
from notifications.models import Notification, UserNotificationPreferences
from notifications.services.notify import deliver
from notifications.services.preferences import preferences_of, save_preferences
from notifications.tests.conftest import ANY_FACTS

pytestmark = pytest.mark.django_db

ALWAYS = ("investment_confirmed", "investment_failed", "kyc_status_changed")
INVESTMENT = ("yield_distributed", "bond_matured", "bond_status_updated", "bond_available")
MARKETING = ("system_announcement", "marketing_update")
CHOICES = list(itertools.product((True, False), repeat=3))

# (type, email_notifications, investment_updates, marketing_communications, record due, mail due)
TABLE = (
    [(kind, *choice, True, True) for kind in ALWAYS for choice in CHOICES]
    + [(kind, mail, money, news, money, money and mail) for kind in INVESTMENT for mail, money, news in CHOICES]
    + [(kind, mail, money, news, news, news and mail) for kind in MARKETING for mail, money, news in CHOICES]
)


def tell(notification_type: str, address: str = "wallet-ada") -> str:
    payload = {
        "address": address,
        "notification_type": notification_type,
        "dedupe_key": f"{notification_type}:{address}",
        "context": ANY_FACTS,
    }
    with transaction.atomic():
        return deliver(payload)


@pytest.mark.parametrize(("kind", "mail", "money", "news", "record_due", "mail_due"), TABLE)
def test_preferences_decide_record_and_mail(make_investor, kind, mail, money, news, record_due, mail_due):
    ada = make_investor()
    save_preferences(ada, email_notifications=mail, investment_updates=money, marketing_communications=news)
    tell(kind)
    told = Notification.objects.filter(user=ada, notification_type=kind)
    assert told.count() == int(record_due)
    mails = Job.objects.filter(job_type="email_notification")
    assert mails.count() == int(mail_due)
    if record_due:
        assert told.get().status.mail_state == ("queued" if mail_due else "none")
    if mail_due:
        assert mails.get().payload == {"notification": str(told.get().id)}


@pytest.mark.parametrize("kind", [*ALWAYS, *INVESTMENT, *MARKETING])
def test_who_never_chose_is_told_everything(make_investor, kind):
    ada = make_investor()
    assert tell(kind) == "recorded, mail queued"
    assert Notification.objects.get(user=ada).status.mail_state == "queued"


@pytest.mark.parametrize("kind", [*ALWAYS, *INVESTMENT, *MARKETING])
def test_an_unmapped_wallet_has_a_record_and_no_recipient(kind):
    assert tell(kind, "wallet-of-nobody") == "no_recipient"
    told = Notification.objects.get()
    assert (told.user, told.address) == (None, "wallet-of-nobody")
    assert not hasattr(told, "status")
    assert Job.objects.count() == 0


@pytest.mark.parametrize(("kind", "priority"), [("yield_distributed", 3), ("bond_matured", 4)])
def test_priorities_of_payment_notices(make_investor, kind, priority):
    make_investor()
    tell(kind)
    assert Notification.objects.get().priority == priority


def test_reading_preferences_stores_nothing(make_investor):
    stored = preferences_of(make_investor())
    assert (stored.email_notifications, stored.investment_updates, stored.marketing_communications) == (True,) * 3
    assert UserNotificationPreferences.objects.count() == 0
