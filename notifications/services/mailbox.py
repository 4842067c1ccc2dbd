"""Reads mails that were written to files instead of sent (settings.MAILBOX_DIR), for the console. Never writes."""

import email
import email.policy
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from django.conf import settings

# Django's file backend ends each mail with a line of 79 dashes; one file may hold several mails (a connection sends
# several, and two connections of one second can share a name). Every mail starts with its Content-Type header.
_END = b"\n" + b"-" * 79 + b"\n"
_MAIL_END = re.compile(re.escape(_END) + rb"(?=Content-Type: |\Z)")


@dataclass(frozen=True)
class MailboxMessage:
    """One mail as it was written. `date` is the Date header as text; `text` the plain-text part."""

    to: str
    subject: str
    date: str
    message_id: str
    text: str


def count() -> int:
    """How many mails the mailbox holds; 0 when there is none yet."""
    return sum(len(_mails_in(*file)) for file in _files())


def messages(limit: int, offset: int = 0) -> list[MailboxMessage]:
    """One page, newest first. Files are read once and remembered while unchanged; only the page's mails are parsed."""
    newest_first = ((path, span) for path, size, stamp in _files() for span in reversed(_mails_in(path, size, stamp)))
    return [_parse(path, start, end) for path, (start, end) in islice(newest_first, offset, offset + limit)]


def _files() -> list[tuple[Path, int, int]]:
    """Path, size and time stamp of each mail file, newest first: the names start with the time."""
    try:
        found = sorted(Path(settings.MAILBOX_DIR).glob("*.log"), key=lambda path: path.name, reverse=True)
    except FileNotFoundError:
        return []
    return [(path, stat.st_size, stat.st_mtime_ns) for path in found if (stat := path.stat())]


@lru_cache(maxsize=20_000)
def _mails_in(path: Path, size: int, stamp: int) -> tuple[tuple[int, int], ...]:
    """Where each complete mail of a file starts and ends. A file that grew is read again: size and stamp are in the key."""
    spans, start = [], 0
    for found in _MAIL_END.finditer(path.read_bytes()):
        spans.append((start, found.start()))
        start = found.end()
    return tuple(spans)


def _parse(path: Path, start: int, end: int) -> MailboxMessage:
    with path.open("rb") as file:
        file.seek(start)
        mail = email.message_from_bytes(file.read(end - start), policy=email.policy.default)
    body = mail.get_body(preferencelist=("plain",))
    return MailboxMessage(
        to=str(mail["To"] or ""),
        subject=str(mail["Subject"] or ""),
        date=str(mail["Date"] or ""),
        message_id=str(mail["Message-ID"] or ""),
        text=str(body.get_content()) if body else "",
    )
