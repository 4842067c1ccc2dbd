"""MaturityService: redemption on the queue. Its job types have their owner; each refuses, with the reason, until redemption exists."""

from jobs.models import Job
from jobs.service import Fail, JobContext, JobType, Mode, Outcome


class MaturityService:
    """Touches neither the chain nor the books: a refused job leaves everything as it was."""

    name = "MaturityService"
    job_types = (
        JobType("maturity_payment", mode=Mode.STEPS),
        JobType("maturity_liquidity_check", mode=Mode.STEPS),
        JobType("maturity_token_burn", mode=Mode.STEPS),
        JobType("maturity_plt_transfer", mode=Mode.STEPS),
    )

    def process_job(self, job: Job, context: JobContext) -> Outcome:
        return Fail(f"{job.job_type} is not available in this version: nothing was burned, paid or changed")
