"""The probe service, with an opinion on edited payloads and an objection that can fail."""

from collections.abc import Mapping
from typing import Any

from jobs.errors import BadPayload
from jobs.models import Job
from jobs.tests.services import ProbeService


class JudgingService(ProbeService):
    def validate_payload(self, job_type: str, payload: Mapping[str, Any]) -> None:
        if not isinstance(payload.get("run"), str):
            raise BadPayload("run must be the number of a run")

    def may_discard(self, job: Job) -> str | None:
        if job.payload.get("broken"):
            raise LookupError("the run cannot be read")
        return super().may_discard(job)
