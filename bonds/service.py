"""BondsService: what one finalised investment record means, and claims and refunds on chain."""

from jobs.models import Job
from jobs.service import Fail, JobContext, JobType, Mode, Outcome


class BondsService:
    """Registered so that its job types have an owner; each refuses, with its reason, until claims and refunds exist."""

    name = "BondsService"
    job_types = (
        JobType("bond_investment", mode=Mode.DATABASE, quick=True),
        JobType("bond_claim", mode=Mode.STEPS),
        JobType("bond_refund", mode=Mode.STEPS),
    )

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        return Fail(f"{job.job_type} is not available in this version: nothing was claimed, refunded or changed")
