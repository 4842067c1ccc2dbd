"""The devnet's chain on disk: one SQLite file, one transaction per block. Must never show a block without its state or the reverse.

A kill at any moment leaves the last committed block complete; what a node had only received is lost, as on a real node.
"""

import fcntl
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
    height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, parent BLOB NOT NULL, slot_time_ms INTEGER NOT NULL,
    items INTEGER NOT NULL, energy INTEGER NOT NULL, size INTEGER NOT NULL, state_hash BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS items (
    height INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE, account TEXT NOT NULL,
    raw BLOB NOT NULL, summary BLOB NOT NULL,
    PRIMARY KEY (height, position)
);
CREATE TABLE IF NOT EXISTS cells (height INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL);
"""


class StoreError(Exception):
    """The state directory cannot be used: of another network, or in use. A person acts."""


@dataclass(frozen=True)
class Block:
    height: int
    block_hash: bytes
    parent_hash: bytes
    slot_time_ms: int
    items: int
    energy: int
    size: int
    state_hash: bytes


@dataclass(frozen=True)
class Included:
    """A transaction in a block: its bytes and its rendered summary."""

    transaction_hash: bytes
    account: str
    raw: bytes
    summary: bytes


class Store:
    """Not for two processes: the directory is locked. Methods may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._lock_file = (directory / "lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise StoreError(f"another devnet is using {directory}") from None
        self._lock = threading.Lock()
        self._database = sqlite3.connect(directory / "chain.sqlite3", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._database.close()
            self._lock_file.close()

    def meta(self, key: str) -> str | None:
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def add_block(self, block: Block, items: Iterable[Included], writes: Iterable[tuple[str, Any]]) -> None:
        """Write a block, its transactions and its state changes: all of it or nothing."""
        rows = [
            (block.height, n, item.transaction_hash, item.account, item.raw, item.summary)
            for n, item in enumerate(items)
        ]
        cells = [(block.height, key, json.dumps(value)) for key, value in writes]
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.execute(
                    "INSERT INTO blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(vars(block).values())
                )
                self._database.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)", rows)
                self._database.executemany("INSERT INTO cells VALUES (?, ?, ?)", cells)
                self._database.execute("COMMIT")
            except sqlite3.Error:
                self._database.execute("ROLLBACK")
                raise

    def remove_block(self, height: int) -> list[str]:
        """Remove the last block with its transactions and state changes: all of it or nothing. Returns the names of the cells it wrote."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                keys = self._database.execute("SELECT key FROM cells WHERE height = ?", (height,)).fetchall()
                for table in ("cells", "items", "blocks"):
                    self._database.execute(f"DELETE FROM {table} WHERE height = ?", (height,))
                self._database.execute("COMMIT")
            except sqlite3.Error:
                self._database.execute("ROLLBACK")
                raise
        return [key for (key,) in keys]

    def head(self) -> Block | None:
        return self._block("ORDER BY height DESC LIMIT 1")

    def block_at(self, height: int) -> Block | None:
        return self._block("WHERE height = ?", height)

    def block_named(self, block_hash: bytes) -> Block | None:
        return self._block("WHERE hash = ?", block_hash)

    def summaries(self, height: int) -> list[bytes]:
        return [row[0] for row in self._all("SELECT summary FROM items WHERE height = ? ORDER BY position", height)]

    def hashes(self, height: int, *, sender: str) -> list[bytes]:
        """Hashes of one account's transactions in a block, in order."""
        rows = self._all("SELECT hash FROM items WHERE height = ? AND account = ? ORDER BY position", height, sender)
        return [row[0] for row in rows]

    def raws(self, height: int) -> list[bytes]:
        """A block's transactions, in order."""
        return [row[0] for row in self._all("SELECT raw FROM items WHERE height = ? ORDER BY position", height)]

    def raw(self, transaction_hash: bytes) -> bytes | None:
        row = self._one("SELECT raw FROM items WHERE hash = ?", transaction_hash)
        return row[0] if row else None

    def find(self, transaction_hash: bytes) -> tuple[int, bytes] | None:
        """Height and summary of an included transaction."""
        row = self._one("SELECT height, summary FROM items WHERE hash = ?", transaction_hash)
        return (row[0], row[1]) if row else None

    def cells(self) -> Iterator[tuple[int, str, Any]]:
        """Every write ever made, in the order of blocks."""
        for height, key, value in self._all("SELECT height, key, value FROM cells ORDER BY rowid"):
            yield height, key, json.loads(value)

    def _block(self, where: str, *arguments: Any) -> Block | None:
        row = self._one(f"SELECT * FROM blocks {where}", *arguments)
        return Block(*row) if row else None

    def _one(self, statement: str, *arguments: Any) -> tuple[Any, ...] | None:
        with self._lock:
            return self._database.execute(statement, arguments).fetchone()

    def _all(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(statement, arguments).fetchall()
