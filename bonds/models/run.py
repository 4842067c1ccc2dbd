"""The life of a run, the same for a distribution and for a maturity: its statuses, what may follow what, the words shown outside."""

from django.db import models


class RunStatus(models.TextChoices):
    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting_approval"
    SCHEDULED = "scheduled"
    EXECUTING = "executing"
    PAUSED = "paused"
    INSUFFICIENT_LIQUIDITY = "insufficient_liquidity"
    COMPLETED = "completed"
    NEEDS_ATTENTION = "needs_attention"
    CANCELLED = "cancelled"


_OPEN_ENDS = frozenset({RunStatus.NEEDS_ATTENTION, RunStatus.CANCELLED})

# From which status a run may go where. A release after completion puts the run back to executing.
TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.DRAFT: frozenset({RunStatus.AWAITING_APPROVAL}) | _OPEN_ENDS,
    RunStatus.AWAITING_APPROVAL: frozenset({RunStatus.DRAFT, RunStatus.SCHEDULED}) | _OPEN_ENDS,
    RunStatus.SCHEDULED: frozenset({RunStatus.EXECUTING}) | _OPEN_ENDS,
    RunStatus.EXECUTING: frozenset({RunStatus.PAUSED, RunStatus.INSUFFICIENT_LIQUIDITY, RunStatus.COMPLETED})
    | _OPEN_ENDS,
    RunStatus.PAUSED: frozenset({RunStatus.EXECUTING}) | _OPEN_ENDS,
    RunStatus.INSUFFICIENT_LIQUIDITY: frozenset({RunStatus.EXECUTING}) | _OPEN_ENDS,
    RunStatus.COMPLETED: frozenset({RunStatus.EXECUTING}),
    RunStatus.NEEDS_ATTENTION: frozenset({RunStatus.EXECUTING, RunStatus.CANCELLED}),
    RunStatus.CANCELLED: frozenset(),
}
TERMINAL = (RunStatus.COMPLETED, RunStatus.CANCELLED)

# The words the outside world is told (the API's `status`).
SHOWN_STATUS: dict[RunStatus, str] = {
    RunStatus.DRAFT: "pending",
    RunStatus.AWAITING_APPROVAL: "pending",
    RunStatus.SCHEDULED: "pending",
    RunStatus.EXECUTING: "processing",
    RunStatus.PAUSED: "processing",
    RunStatus.INSUFFICIENT_LIQUIDITY: "processing",
    RunStatus.COMPLETED: "completed",
    RunStatus.NEEDS_ATTENTION: "failed",
    RunStatus.CANCELLED: "cancelled",
}
