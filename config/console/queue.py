"""The queue's figures as the console words them; every number comes from jobs.metrics. Reads only."""

from dataclasses import dataclass

from django.urls import reverse

from jobs import metrics

LATE_SECONDS = 60.0


@dataclass(frozen=True)
class Health:
    """`counts`: status and its number of jobs as text; `is_late`: the oldest due job has waited longer than a minute."""

    counts: list[tuple[str, str]]
    workers_alive: int
    running: int
    due: int
    oldest_due_text: str
    is_late: bool
    dead_letters: int
    oldest_dead_letter_text: str
    dead_letters_url: str
    completed_last_minute: int


def health() -> Health:
    found = metrics.figures()
    return Health(
        counts=[(status, _count(found, status, number)) for status, number in found.by_status.items()],
        workers_alive=found.workers_alive,
        running=found.by_status["processing"],
        due=found.due,
        oldest_due_text=age(found.oldest_due_seconds),
        is_late=found.oldest_due_seconds > LATE_SECONDS,
        dead_letters=found.dead_letters,
        oldest_dead_letter_text=age(found.oldest_dead_letter_seconds),
        dead_letters_url=reverse("admin:jobs_dead_letters"),
        completed_last_minute=found.completed_last_minute,
    )


def _count(found: metrics.QueueFigures, status: str, number: int) -> str:
    return f"~{number:,}" if status == "completed" and found.is_completed_estimated else f"{number:,}"


def age(seconds: float) -> str:
    """A duration in the one unit that says enough: 41 s, 3 min, 2 h, 5 d."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
