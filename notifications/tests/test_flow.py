"""From a caller's commit to the mail server, through the real queue."""

import pytest
from django.core.mail import get_connection
from django.db import transaction

from jobs.models import Job
from jobs.service import JobContext
from jobs.worker import run_due
from notifications.models import Notification, UserNotificationStatus
from notifications.services.notify import Notice, notify_addresses
from notifications.tests.conftest import COUPON_FACTS

pytestmark = pytest.mark.django_db(transaction=True)


def ask(*names: str) -> None:
    with transaction.atomic():
        notify_addresses(
            [Notice(f"wallet-{name}", "yield_distributed", f"payment:{name}", COUPON_FACTS) for name in names]
        )


def work_off() -> None:
    while run_due(JobContext(mailer=get_connection)):
        pass


def test_paid_holders_are_told_and_mailed_once(make_investor, smtp):
    make_investor("ada")
    make_investor("grace")
    make_investor("kurt", email="")
    ask("ada", "grace", "kurt", "nobody")
    work_off()
    ask("ada", "grace", "kurt", "nobody")
    work_off()
    assert sorted(smtp.recipients) == ["ada@investors.test", "grace@investors.test"]
    assert len({mail["Message-ID"] for mail in smtp.accepted}) == 2
    told = {row.address: row.user and row.status.mail_state for row in Notification.objects.all()}
    assert told == {"wallet-ada": "sent", "wallet-grace": "sent", "wallet-kurt": "none", "wallet-nobody": None}
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}


def test_a_mail_server_that_is_down_leaves_the_record_and_is_caught_up(make_investor, silent_smtp):
    make_investor("ada")
    ask("ada")
    work_off()
    mail = Job.objects.get(job_type="email_notification")
    assert (mail.status, mail.attempts, mail.max_retries) == ("retrying", 1, 12)
    assert UserNotificationStatus.objects.get().mail_state == "queued"
    silent_smtp.start()
    Job.objects.filter(pk=mail.pk).update(run_at=mail.created_at)  # its back-off is over
    work_off()
    assert silent_smtp.recipients == ["ada@investors.test"]
    assert UserNotificationStatus.objects.get().mail_state == "sent"


def test_the_record_shows_failed_exactly_when_the_queue_gives_the_mail_up(make_investor, silent_smtp):
    make_investor("ada")
    ask("ada")
    states = []
    for _ in range(30):
        work_off()
        mail = Job.objects.get(job_type="email_notification")
        states.append((mail.status, UserNotificationStatus.objects.get().mail_state))
        if mail.status == "failed":
            break
        Job.objects.filter(pk=mail.pk).update(run_at=mail.created_at)
    assert states == [("retrying", "queued")] * 12 + [("failed", "failed")]
    assert Notification.objects.count() == 1


def test_a_bad_notice_is_a_dead_letter_that_wrote_nothing(make_investor):
    make_investor("ada")
    with transaction.atomic():
        notify_addresses([Notice("wallet-ada", "yield_distributed", "payment:ada", {})])
    work_off()
    job = Job.objects.get()
    assert (job.status, job.attempts) == ("failed", 1)
    assert "yield_distributed lacks amount_units" in job.last_error
    assert Notification.objects.count() == 0
