"""Sends a notification's mail: record, act, record. Never inside a transaction, never again once recorded as sent."""

import logging
import smtplib
from dataclasses import dataclass
from email.utils import parseaddr
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db.models import QuerySet

from jobs import queue
from jobs.service import JobContext
from notifications.errors import BadNotice, MailDelayed, MailRefused
from notifications.models import MailState, Notification, UserNotificationStatus
from notifications.services.rendering import render_html

MAIL_JOB = "email_notification"
PERMANENT = 500  # SMTP replies from here on say: do not try again (RFC 5321, 4.2.1)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Mail:
    notification: Notification
    recipient: str
    message_id: str


def queue_mail(notification: Notification) -> None:
    """Open this notification's mail and enqueue it, in the caller's transaction. Once per notification."""
    UserNotificationStatus.objects.filter(notification=notification, mail_state=MailState.NONE).update(
        mail_state=MailState.QUEUED, message_id=message_id_of(notification.id)
    )
    queue.enqueue(MAIL_JOB, {"notification": str(notification.id)}, unique_key=f"mail:{notification.id}")


def message_id_of(notification_id: UUID) -> str:
    """The Message-ID (RFC 5322, 3.6.4) of a notification's mail: the same every time, so that servers can drop a repeat."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return f"<{notification_id}@{domain}>"


def send_mail(notification_id: UUID, context: JobContext) -> str:
    """Send this notification's mail unless it is recorded as sent; returns what happened, for the job's record.

    Writes mail_state and mailed_at under the job's fence. A mail that is refused is recorded as failed and raises
    MailRefused; MailDelayed means that nothing was accepted and nothing changed. May be called again: a crash between
    the server's yes and the record repeats one mail, under the same Message-ID.
    """
    with context.fenced():
        mail = _mail_to_send(notification_id)
    if mail is None:
        return "nothing to send: sent before, or no mail is due"
    if not mail.recipient:
        with context.fenced():
            _open_mail(notification_id).update(mail_state=MailState.NONE)
        return "nothing to send: the user has no mail address"
    try:
        _hand_over(_compose(mail), context)
    except MailRefused:
        record_failure(notification_id, context)
        raise
    with context.fenced():
        _open_mail(notification_id).update(mail_state=MailState.SENT, mailed_at=context.now())
    log.info("mail sent", extra={"notification": str(notification_id)})
    return "sent"


def record_failure(notification_id: UUID, context: JobContext) -> None:
    """Show on the in-app record that its mail needs a person. A mail recorded as sent stays sent."""
    with context.fenced():
        _open_mail(notification_id).update(mail_state=MailState.FAILED)


def _open_mail(notification_id: UUID) -> QuerySet[UserNotificationStatus]:
    # Failed counts as open: a person who retries the dead letter wants it sent.
    return UserNotificationStatus.objects.filter(
        notification_id=notification_id, mail_state__in=[MailState.QUEUED, MailState.FAILED]
    )


def _mail_to_send(notification_id: UUID) -> _Mail | None:
    status = (
        UserNotificationStatus.objects.select_related("notification", "user")
        .filter(notification_id=notification_id)
        .first()
    )
    if status is None:
        raise BadNotice(f"notification {notification_id} has no recipient to mail")
    if status.mail_state not in {MailState.QUEUED, MailState.FAILED}:
        return None
    return _Mail(status.notification, status.user.email, status.message_id)


def _compose(mail: _Mail) -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(
        subject=mail.notification.title,
        body=mail.notification.message,
        to=[mail.recipient],
        headers={"Message-ID": mail.message_id, "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(render_html(mail.notification), "text/html")
    return message


def _hand_over(message: EmailMultiAlternatives, context: JobContext) -> None:
    """Give the message to the server. Reasons name codes, never addresses: they are stored and logged."""
    message.connection = (context.mailer or get_connection)()
    try:
        accepted = message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if min(codes) >= PERMANENT:
            raise MailRefused(f"the mail server refuses the recipient ({codes[0]})") from None
        raise MailDelayed(f"the mail server does not take the recipient now ({codes[0]})") from None
    except smtplib.SMTPDataError as error:
        if error.smtp_code >= PERMANENT:
            raise MailRefused(f"the mail server refuses the message ({error.smtp_code})") from None
        raise MailDelayed(f"the mail server does not take the message now ({error.smtp_code})") from None
    except (smtplib.SMTPException, OSError) as error:
        raise MailDelayed(f"the mail server cannot be used: {type(error).__name__}") from None
    except ValueError:
        raise MailRefused("the user's mail address cannot be written in a mail") from None
    if accepted != 1:
        raise MailDelayed("the mail server took nothing")
