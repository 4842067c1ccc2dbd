"""Log formatters: constant messages with the bound facts behind them; JSON lines in production, readable in a terminal."""

import json
import logging
from datetime import UTC, datetime

from jobs import logs

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _facts(record: logging.LogRecord) -> dict[str, object]:
    extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {**logs.current(), **extra}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at, level, logger, message, the facts, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A line for a person: time, level, message, then key=value facts."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = " ".join(
            f"{key}={value}"
            for key, value in _facts(record).items()
            if key not in {"request", "server_time", "status_code"}
        )
        return f"{super().formatMessage(record)}  {facts}".rstrip()
