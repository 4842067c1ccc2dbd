"""NotificationsService: what the queue runs for this room. Loads nothing itself: one service function per job, then an outcome."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobs.errors import BadPayload
from jobs.service import Done, Fail, JobContext, JobType, Mode, Outcome, Retry
from notifications.errors import BadNotice, MailDelayed, MailRefused
from notifications.models import Notification
from notifications.services import email, notify
from notifications.services.rendering import render_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobs.models import Job

EVENT_JOB = "notification_event_processor"
FANOUT_JOB = "notification_fanout_processor"
# With the queue's exponential back-off, about two hours of a dead mail server before a person is asked.
MAIL_MAX_RETRIES = 12
_REFUSALS = {
    EVENT_JOB: "not built yet: turning chain events into notifications",
    FANOUT_JOB: "not built yet: sending an announcement to many users",
}


class NotificationsService:
    """Tells people. The event scan and the fan-out of announcements are registered and refuse: nothing enqueues them yet."""

    name = "NotificationsService"
    job_types = (
        JobType(EVENT_JOB),
        JobType(FANOUT_JOB),
        JobType(notify.INDIVIDUAL_JOB, mode=Mode.DATABASE, quick=True),
        JobType(email.MAIL_JOB, mode=Mode.STEPS, quick=True, max_retries=MAIL_MAX_RETRIES),
    )

    def process_job(self, job: "Job", context: JobContext) -> Outcome:
        """Do one job of this room; BadNotice and a payload that names nothing are terminal."""
        try:
            return self._process(job, context)
        except BadNotice as error:
            return Fail(str(error))

    def validate_payload(self, job_type: str, payload: "Mapping[str, Any]") -> None:
        """An edited payload can be told, or names a notification there is. BadPayload otherwise."""
        try:
            if job_type == notify.INDIVIDUAL_JOB:
                notice = notify.Notice.from_payload(payload)
                render_text(notice.notification_type, notice.context)
            elif job_type == email.MAIL_JOB:
                notification = _named(payload)
                if not Notification.objects.filter(pk=notification).exists():
                    raise BadPayload(f"notification: there is no {notification}")
            else:
                raise BadPayload(_REFUSALS[job_type])
        except (BadNotice, TypeError) as error:
            raise BadPayload(str(error)) from None

    def _process(self, job: "Job", context: JobContext) -> Outcome:
        if job.job_type == notify.INDIVIDUAL_JOB:
            return Done(notify.deliver(job.payload))
        if job.job_type == email.MAIL_JOB:
            return self._send_mail(job, context)
        return Fail(_REFUSALS.get(job.job_type, f"NotificationsService does not serve {job.job_type}"))

    def _send_mail(self, job: "Job", context: JobContext) -> Outcome:
        notification_id = _notification_id(job)
        try:
            return Done(email.send_mail(notification_id, context))
        except MailRefused as error:
            return Fail(str(error))
        except MailDelayed as error:
            if job.attempts > job.max_retries:  # the queue dead-letters this attempt: the record must show it
                email.record_failure(notification_id, context)
            return Retry(str(error))


def _notification_id(job: "Job") -> UUID:
    return _named(job.payload)


def _named(payload: "Mapping[str, Any]") -> UUID:
    try:
        return UUID(payload["notification"])
    except (KeyError, ValueError, TypeError, AttributeError):
        raise BadNotice("the payload names no notification") from None
