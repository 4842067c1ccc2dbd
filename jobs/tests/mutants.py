"""Mutation proof: takes away, one at a time, what the queue's promises rest on, and demands that the tests notice (`make mutants`).

Works on a copy of the tree with a PostgreSQL of its own. A guard is a text that must stand in the tree exactly once: when the code has
changed, this script says so and fails, rather than prove nothing. Ends with 1 when a mutant survives.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = (
    "bonds",
    "config",
    "conftest.py",
    "jobs",
    "manage.py",
    "maturity",
    "notifications",
    "pyproject.toml",
    "templates",
    "yields",
)
IGNORED = shutil.ignore_patterns("node_modules", "__pycache__")
TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Edit:
    """`old` stands exactly once in the files of `pattern`, and is replaced."""

    old: str
    new: str
    pattern: str = "jobs/*.py"


@dataclass(frozen=True)
class Mutant:
    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "lease check, at the end of an attempt",
        (Edit('fence = f" AND q.lease_token = {lease}" if transition.fenced else ""', 'fence = ""'),),
        ("test_outcomes", "kill/test_one_commit"),
    ),
    Mutant(
        "lease check, of a batch",
        (Edit('fence = f" AND q.lease_token = ANY({leases}::uuid[])" if transition.fenced else ""', 'fence = ""'),),
        ("test_packages",),
    ),
    Mutant(
        "lease check, before the work",
        (Edit(" AND q.lease_token = %s AND q.status", " AND %s::uuid IS NOT NULL AND q.status"),),
        ("test_outcomes", "kill/test_one_commit"),
    ),
    Mutant(
        "SKIP LOCKED, in the claim",
        (Edit("FOR NO KEY UPDATE SKIP LOCKED\n), claimed AS", "FOR NO KEY UPDATE\n), claimed AS"),),
        ("test_claim",),
    ),
    Mutant(
        "row lock, in the claim",
        (Edit("  FOR NO KEY UPDATE SKIP LOCKED\n), claimed AS", "), claimed AS"),),
        ("test_claim",),
    ),
    Mutant(
        "unique key",
        (
            Edit('fields=("job_type", "unique_key"),', 'fields=("id", "unique_key"),', "jobs/migrations/*.py"),
            # Without its index ON CONFLICT would not even be accepted: the mutant must be able to run.
            Edit("ON CONFLICT (job_type, unique_key) WHERE {_KEY_IS_HELD} DO NOTHING\nRETURNING", "RETURNING"),
        ),
        ("test_enqueue",),
    ),
    Mutant(
        "attempt counted before the work",
        (Edit('attempts="q.attempts + 1",', 'attempts="q.attempts",'),),
        ("test_outcomes", "test_rescue"),
    ),
    Mutant(
        "atomic completion, of one job",
        (Edit("with JobTransaction():\n        queue.fence(job)", "if True:\n        queue.fence(job)"),),
        ("test_outcomes",),
    ),
    Mutant(
        "atomic completion, of a quick job",
        (
            Edit(
                'return _send(self._django, b"BEGIN; " + self._first())',
                "touched = _send(self._django, first) if (first := self._first()) else 0; "
                '_send(self._django, b"BEGIN"); return touched',
            ),
        ),
        ("kill/test_one_commit",),
    ),
    Mutant(
        "atomic completion, of a batch",
        (Edit("with JobTransaction():\n        held =", "if True:\n        held ="),),
        ("kill/test_one_commit",),
    ),
)


class Workshop:
    """A copy of the tree in which one mutant lives at a time."""

    def __init__(self, directory: Path) -> None:
        self.tree = directory / "tree"
        self.tree.mkdir()
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, self.tree / name, ignore=IGNORED)
            else:
                shutil.copy2(source, self.tree / name)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "STATE_DIR": str(directory / "state"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def server(self, action: str) -> None:
        subprocess.run(
            [sys.executable, "-W", "ignore", "manage.py", "devdb", action],
            cwd=self.tree,
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
        )

    def first_red(self, tests: Sequence[str]) -> str | None:
        """The name of the first test that fails; None when all pass. SystemExit when pytest could not even run them."""
        paths = [f"jobs/tests/{name}.py" for name in tests]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *paths, "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"],
            cwd=self.tree,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        if done.returncode == 0:
            return None
        failed = re.search(r"^FAILED \S+::(\w+)", done.stdout, re.MULTILINE)
        if done.returncode != 1 or failed is None:
            sys.exit(f"pytest could not tell (exit code {done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-500:]}")
        return failed.group(1)

    def apply(self, edits: Sequence[Edit]) -> dict[Path, str]:
        """Make the edits; returns the files as they were. SystemExit when a guard is not where it was."""
        originals: dict[Path, str] = {}
        for edit in edits:
            holders = [path for path in sorted(self.tree.glob(edit.pattern)) if edit.old in path.read_text()]
            if len(holders) != 1 or (text := holders[0].read_text()).count(edit.old) != 1:
                sys.exit(f"{edit.old!r} is no longer exactly once in {edit.pattern}: write the mutant anew")
            originals.setdefault(holders[0], text)
            holders[0].write_text(text.replace(edit.old, edit.new))
        return originals

    def restore(self, originals: dict[Path, str]) -> None:
        for path, text in originals.items():
            path.write_text(text)


def hunt(shop: Workshop, mutants: Sequence[Mutant]) -> int:
    """Prints one line a mutant; returns how many survived."""
    survivors = 0
    for mutant in mutants:
        originals = shop.apply(mutant.edits)
        red = shop.first_red(mutant.tests)
        shop.restore(originals)
        survivors += red is None
        print(f"{mutant.name:40} {f'red: {red}' if red else 'SURVIVED'}", flush=True)  # noqa: T201
    return survivors


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        shop = Workshop(Path(directory))
        for mutant in MUTANTS:  # every guard is found before any time is spent
            shop.restore(shop.apply(mutant.edits))
        shop.server("start")
        try:
            if red := shop.first_red(sorted({name for mutant in MUTANTS for name in mutant.tests})):
                sys.exit(f"the tests are red without any mutant: {red}")
            survivors = hunt(shop, MUTANTS)
        finally:
            shop.server("remove")
    print(f"{len(MUTANTS) - survivors} of {len(MUTANTS)} mutants were noticed")  # noqa: T201
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
