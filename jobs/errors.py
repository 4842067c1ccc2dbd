"""What can go wrong at the door of the queue; each class says who acts."""


class JobsError(Exception):
    """Anything the queue refuses."""


class UnknownJobType(JobsError):
    """No service of settings.JOB_SERVICES knows this type. The caller's bug; in the table, old data: a dead letter."""


class BadPayload(JobsError):
    """The payload cannot be worked on, now or ever. From enqueue the caller acts, from a handler an operator: a dead letter."""


class BadRegistry(JobsError):
    """settings.JOB_SERVICES cannot be used: a path that does not import, or two services with one type. The deployer acts."""


class UnsupportedTask(JobsError):
    """Django-Q2 was asked to run something other than jobs.enqueue. The caller's bug: job_queue is the only queue."""


class ParentFinished(JobsError):
    """A child was enqueued for a parent that has ended or does not exist. The caller's bug; nothing was written."""


class Refused(JobsError):
    """A person's decision about a job is not possible now; the message says why, and nothing changed."""


class BadFilter(JobsError):
    """A search among jobs that cannot be understood; `field` names the part at fault. The caller corrects it."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


class TooBroad(JobsError):
    """A search would read too much of the table and was stopped; the caller narrows it. Nothing was changed."""
