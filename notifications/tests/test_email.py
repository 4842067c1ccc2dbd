"""One mail per notification, over a real SMTP server: stable Message-ID, outages, refusals, crashes."""

from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from django.core.mail import get_connection
from django.db import connection, transaction
from django.utils import timezone

from jobs.models import Job
from jobs.service import Done, Fail, JobContext, LeaseLost, Retry
from notifications.models import Notification, UserNotificationStatus
from notifications.service import NotificationsService
from notifications.services.notify import deliver
from notifications.tests.conftest import COUPON_FACTS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def told(make_investor, silent_smtp) -> Notification:
    """A coupon told to ada, her mail queued."""
    make_investor()
    deliver(
        {
            "address": "wallet-ada",
            "notification_type": "yield_distributed",
            "dedupe_key": "payment:1",
            "context": COUPON_FACTS,
        }
    )
    return Notification.objects.get()


def send(notification_id: UUID, context: JobContext, *, attempts: int = 1):
    job = Job(
        job_type="email_notification", payload={"notification": str(notification_id)}, attempts=attempts, max_retries=12
    )
    return NotificationsService().process_job(job, context)


def status_of(notification: Notification) -> UserNotificationStatus:
    return UserNotificationStatus.objects.get(notification=notification)


def test_a_mail_reaches_the_server_and_is_recorded(told, smtp, job_context):
    before = timezone.now()
    assert send(told.id, job_context) == Done("sent")
    mail = smtp.accepted[0]
    assert smtp.recipients == ["ada@investors.test"]
    assert mail["Subject"] == "Coupon paid: 1,234.50 EURR for Harbour & Sons 2028"
    assert mail["Message-ID"] == f"<{told.id}@bonds.test>"
    assert mail["From"] == "Bond servicing <servicing@bonds.test>"
    assert mail.get_body(("plain",)).get_content().splitlines() == told.message.splitlines()
    html = mail.get_body(("html",)).get_content()
    assert "Harbour &amp; Sons 2028" in html
    assert "1,234.50" in html
    status = status_of(told)
    assert status.mail_state == "sent"
    assert before <= status.mailed_at <= timezone.now()


def test_a_mail_recorded_as_sent_is_not_sent_again(told, smtp, job_context):
    send(told.id, job_context)
    mailed_at = status_of(told).mailed_at
    assert send(told.id, job_context) == Done("nothing to send: sent before, or no mail is due")
    assert len(smtp.accepted) == 1
    assert status_of(told).mailed_at == mailed_at


def test_a_dead_server_only_delays(told, silent_smtp, job_context):
    outcome = send(told.id, job_context)
    assert outcome == Retry("the mail server cannot be used: ConnectionRefusedError")
    assert status_of(told).mail_state == "queued"
    assert Notification.objects.filter(pk=told.pk).exists()
    silent_smtp.start()
    assert send(told.id, job_context, attempts=2) == Done("sent")
    assert [mail["Message-ID"] for mail in silent_smtp.accepted] == [f"<{told.id}@bonds.test>"]


def test_the_last_failed_attempt_shows_on_the_record_and_a_later_one_still_sends(told, silent_smtp, job_context):
    assert isinstance(send(told.id, job_context, attempts=13), Retry)
    assert status_of(told).mail_state == "failed"
    silent_smtp.start()
    assert send(told.id, job_context, attempts=1) == Done("sent")
    assert status_of(told).mail_state == "sent"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"rcpt_reply": "550 no such user"}, "the mail server refuses the recipient (550)"),
        ({"data_reply": "554 refused"}, "the mail server refuses the message (554)"),
    ],
)
def test_a_refusal_is_final_and_recorded_without_the_address(told, smtp, job_context, reply, reason):
    vars(smtp).update(reply)
    assert send(told.id, job_context) == Fail(reason)
    assert status_of(told).mail_state == "failed"
    assert smtp.accepted == []


@pytest.mark.parametrize("reply", [{"rcpt_reply": "451 later"}, {"data_reply": "452 later"}])
def test_a_temporary_refusal_is_tried_again(told, smtp, job_context, reply):
    vars(smtp).update(reply)
    outcome = send(told.id, job_context)
    assert isinstance(outcome, Retry)
    assert "ada" not in outcome.reason
    assert status_of(told).mail_state == "queued"


def test_a_crash_after_the_servers_yes_repeats_under_the_same_message_id(told, smtp, job_context):
    fences = iter([transaction.atomic(durable=True), stale_fence()])
    with pytest.raises(LeaseLost):
        send(told.id, JobContext(mailer=get_connection, fence=lambda: next(fences)))
    assert status_of(told).mail_state == "queued"
    assert send(told.id, job_context) == Done("sent")
    assert [mail["Message-ID"] for mail in smtp.accepted] == [f"<{told.id}@bonds.test>"] * 2


def test_a_worker_whose_lease_is_lost_sends_nothing(told, smtp):
    with pytest.raises(LeaseLost):
        send(told.id, JobContext(mailer=get_connection, fence=stale_fence))
    assert smtp.accepted == []


def test_the_message_id_does_not_change_with_the_sender_address(told, smtp, job_context, settings):
    settings.DEFAULT_FROM_EMAIL = "other@elsewhere.test"
    send(told.id, job_context)
    assert smtp.accepted[0]["Message-ID"] == f"<{told.id}@bonds.test>"


def test_no_mail_is_handed_over_inside_a_transaction(told, smtp):
    seen = []

    def mailer():
        seen.append(connection.in_atomic_block)
        return get_connection()

    send(told.id, JobContext(mailer=mailer, fence=lambda: transaction.atomic(durable=True)))
    assert seen == [False]


def test_a_user_who_lost_the_mail_address_is_not_mailed(told, smtp, job_context):
    told.user.email = ""
    told.user.save()
    assert send(told.id, job_context) == Done("nothing to send: the user has no mail address")
    assert status_of(told).mail_state == "none"
    assert smtp.accepted == []


def test_an_address_that_would_forge_headers_is_refused(told, smtp, job_context):
    told.user.email = "ada@investors.test\nBcc: all@investors.test"
    told.user.save()
    assert send(told.id, job_context) == Fail("the user's mail address cannot be written in a mail")
    assert smtp.accepted == []


@pytest.mark.parametrize("payload", [{}, {"notification": "nonsense"}, {"notification": None}])
def test_a_payload_that_names_nothing_is_terminal(payload, job_context):
    job = Job(job_type="email_notification", payload=payload, attempts=1, max_retries=12)
    assert NotificationsService().process_job(job, job_context) == Fail("the payload names no notification")


def test_a_made_up_notification_is_terminal(db, job_context):
    made_up = uuid4()
    assert send(made_up, job_context) == Fail(f"notification {made_up} has no recipient to mail")


@contextmanager
def stale_fence():
    """The fence of a worker that was presumed dead."""
    raise LeaseLost
    yield
