"""Fetch what is slow to come while its user is busy with what has come. Knows nothing of what it carries."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.2  # how late a thread with nowhere to put its item notices that nobody wants it any more


class _End:
    """The last thing in the line: why there is no more, None when the source simply ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


@contextmanager
def fetched_ahead(source: Iterator[T], size: int) -> Iterator[Iterator[T]]:
    """The items of `source` in order, up to `size` of them taken from it by a thread before they are asked for.

    What the source raises is raised in its place, after every item before it. On leaving, the thread has ended: at most one item is
    still being fetched then, and waited for. The source must not use this thread's database connection.
    """
    line: queue.Queue[T | _End] = queue.Queue(size)
    unwanted = threading.Event()
    thread = threading.Thread(target=_fill, args=(line, source, unwanted), name="fetch-ahead", daemon=True)
    thread.start()
    try:
        yield _drain(line)
    finally:
        unwanted.set()
        thread.join()


def _fill(line: "queue.Queue[T | _End]", source: Iterator[T], unwanted: threading.Event) -> None:
    try:
        for item in source:
            if not _put(line, item, unwanted):
                return
        _put(line, _End(None), unwanted)
    except BaseException as error:  # noqa: BLE001 - raised where the items are used, which would wait for ever otherwise
        _put(line, _End(error), unwanted)


def _put(line: "queue.Queue[T | _End]", item: "T | _End", unwanted: threading.Event) -> bool:
    while not unwanted.is_set():
        try:
            line.put(item, timeout=LOOK_SECONDS)
        except queue.Full:
            continue
        return True
    return False


def _drain(line: "queue.Queue[T | _End]") -> Iterator[T]:
    while True:
        item = line.get()
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item
