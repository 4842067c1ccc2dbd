"""Facts that every log line of one job carries (job id, type, attempt, run …), set once at the worker's edge."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_fields: ContextVar[dict[str, object] | None] = ContextVar("log_fields", default=None)


def current() -> dict[str, object]:
    """The facts bound in this context, as a copy."""
    return dict(_fields.get() or {})


@contextmanager
def bind(**facts: object) -> Iterator[None]:
    """Add facts to every log line written inside the block."""
    token = _fields.set({**(_fields.get() or {}), **facts})
    try:
        yield
    finally:
        _fields.reset(token)
