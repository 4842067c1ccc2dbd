"""A private PostgreSQL for one state directory, shared by every process that uses it.

It listens on a unix socket only, knows its users by the operating system's word (peer), and is started by whoever
connects first. It never touches a server or a directory that is not this state directory's.
"""

import errno
import fcntl
import hashlib
import os
import platform
import pwd
import shlex
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from config.devdb.binaries import Account, locate, runnable
from config.devdb.errors import DevDBError

SUPERUSER = "postgres"
PORT = 5432  # names the socket file; no TCP port is opened
START_SECONDS = 60.0  # recovery after a kill, and the end of the killed server's last backends, fit well inside
LOCK_SECONDS = 120.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05
SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
# The killed server's backends still hold its memory: they notice within moments, then a start succeeds.
PREDECESSOR_REMAINS = ("is still in use", "already exists")
CONFIGURATION = """
listen_addresses = ''
max_connections = 200
jit = off
log_min_duration_statement = 500
"""


class DevDB:
    """The server of `state`. Creating one does nothing; `ensure()` starts it.

    Everything lies in `tree`: `state` itself, or, when root runs this and the account it drops to cannot reach
    `state`, a directory of its own below /var/tmp that carries a digest of the state directory's path.
    """

    def __init__(self, state: Path, *, autostart: bool = True) -> None:
        self.state = state.resolve()
        self.autostart = autostart
        self.database = ""  # the one database created on demand; see settings()

    def settings(self, *, name: str) -> dict[str, Any]:
        """Django's settings for the database `name` on this server; the first connection starts it and creates `name`."""
        self.database = name
        return {
            "ENGINE": "config.devdb.backend",
            "NAME": name,
            "USER": SUPERUSER,
            "HOST": str(self.socket_directory),
            "PORT": PORT,
        }

    @cached_property
    def _tag(self) -> str:
        return hashlib.sha256(os.fsencode(self.state)).hexdigest()[:10]

    @cached_property
    def tree(self) -> Path:
        """The directory that holds data, socket, locks and copied programs."""
        if os.geteuid() == 0 and not _others_may_pass(self.state):
            return Path("/var/tmp") / f"devdb-{self._tag}"  # noqa: S108 - its ownership is checked before use
        return self.state

    @cached_property
    def socket_directory(self) -> Path:
        """Below `tree`, or in /tmp when that path is too long for a socket or would read as two hosts."""
        directory = self.tree / "run"
        fits = len(os.fsencode(directory / f".s.PGSQL.{PORT}.lock")) <= SOCKET_PATH_LIMIT
        if fits and "," not in str(directory):
            return directory
        # Not TMPDIR: every process must come to the same answer.
        return Path("/tmp") / f"devdb-{os.geteuid()}-{self._tag}"  # noqa: S108 - its ownership is checked before use

    @cached_property
    def _account(self) -> Account:
        return Account.current()

    def accepting(self) -> bool:
        """Whether the server takes connections now; one that is still starting or recovering does not."""
        return self._ping() == pq.Ping.OK

    def _ping(self) -> int:
        target = make_conninfo(
            host=str(self.socket_directory), port=PORT, user=SUPERUSER, dbname="postgres", connect_timeout=5
        )
        return pq.PGconn.ping(os.fsencode(target))

    def ensure(self) -> None:
        """Returns when the server accepts connections, having started it if need be. DevDBError when it cannot.

        Any number of processes may call it at once: one starts, the others wait for it.
        """
        if self.accepting():
            return
        if self.autostart:
            self.start()
        else:
            self._await_running_server()

    def start(self) -> None:
        """`ensure()` whatever `autostart` says."""
        with self._told_in_one_line():
            self._prepare_tree()
            with self._lock():
                self._bring_up()

    def ensure_database(self) -> None:
        """Creates the database named in `settings()` unless it exists. The server must be accepting."""
        server = make_conninfo(host=str(self.socket_directory), port=PORT, user=SUPERUSER, dbname="postgres")
        with self._lock(), psycopg.connect(server, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database]).fetchone()
            if not found:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(self.database)))

    def stop(self) -> None:
        """Stops this state directory's server if it runs; backends get the fast shutdown, stragglers the immediate one."""
        if not self.tree.exists():
            return
        with self._told_in_one_line(), self._lock():
            self._stop_running()

    def remove(self) -> None:
        """Stops the server and deletes its data, socket and copied programs. What else lies in the state directory stays."""
        if not self.tree.exists():
            return
        with self._told_in_one_line(), self._lock():
            self._stop_running()
            for path in [*self.tree.glob("pg[0-9]*"), *self.tree.glob("postgresql-*"), *self.tree.glob(".copying-*")]:
                shutil.rmtree(path)
            shutil.rmtree(self.tree / "initdb", ignore_errors=True)
            shutil.rmtree(self.socket_directory, ignore_errors=True)
        if self.tree != self.state:
            shutil.rmtree(self.tree)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it the server may be used; a server that was not running before is stopped by the last holder to leave.

        A holder that is killed leaves its server running: the next one joins it and stops it.
        """
        mark = self.tree / ".stop-after-last-holder"
        with self._told_in_one_line():
            self._prepare_tree()
            holders = open(self.tree / ".holders", "w")  # noqa: SIM115 - open as long as it is held
            fcntl.flock(holders, fcntl.LOCK_SH)
            if self._postmaster() is None:
                mark.touch()
        try:
            yield
        finally:
            with holders:
                if mark.exists() and _alone(holders.fileno()):
                    self.stop()
                    mark.unlink()

    # --- inside ------------------------------------------------------------------------------------------------

    @contextmanager
    def _told_in_one_line(self) -> Iterator[None]:
        try:
            yield
        except (OSError, subprocess.SubprocessError) as error:
            raise DevDBError(f"the embedded PostgreSQL in {self.tree} cannot be used: {error}") from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time starts, stops or creates. The kernel drops the lock of a process that is killed."""
        deadline = time.monotonic() + LOCK_SECONDS
        with open(self.tree / ".lock", "w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if error.errno not in {errno.EAGAIN, errno.EACCES}:
                        raise
                    if time.monotonic() > deadline:
                        raise DevDBError(f"another process has held {lock.name} for {LOCK_SECONDS:.0f} s") from error
                time.sleep(POLL_SECONDS)
            yield

    def _await_running_server(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while (answer := self._ping()) != pq.Ping.OK:
            if answer != pq.Ping.REJECT:
                raise DevDBError(
                    f"no embedded PostgreSQL runs in {self.tree} and DEVDB_AUTOSTART is off: start it with "
                    "`manage.py devdb start`, or set DATABASE_URL"
                )
            if time.monotonic() > deadline:
                raise DevDBError(f"the embedded PostgreSQL in {self.tree} is not ready after {START_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _prepare_tree(self) -> None:
        """Makes the tree. Directories made here can be passed by the server's account; existing ones stay as they are."""
        missing = [path for path in [self.tree, *self.tree.parents] if not path.exists()]
        for path in reversed(missing):
            try:
                path.mkdir()
            except FileExistsError:
                continue
            if self._account.drop:
                path.chmod(0o755)
        if self.tree != self.state:
            _require_owner(self.tree, os.geteuid())

    def _bring_up(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while (answer := self._ping()) != pq.Ping.OK:
            if time.monotonic() > deadline:
                raise DevDBError(
                    f"the embedded PostgreSQL in {self.tree} does not accept connections after {START_SECONDS:.0f} s"
                )
            running = self._postmaster()
            if running is None:
                self._launch()
            elif answer == pq.Ping.NO_RESPONSE and self._listens_elsewhere(running):
                self._stop_running()
            else:
                time.sleep(POLL_SECONDS)

    def _launch(self) -> None:
        """Starts the server once. Returns also when its killed predecessor still stands in the way: call again."""
        bindir, major = runnable(locate(), account=self._account, tree=self.tree)
        data = self.tree / f"pg{major}"
        if not (data / "PG_VERSION").exists():
            self._initialise(bindir, data)
        self._private_directory(self.socket_directory)
        self._clear_stale_locks(data)
        log = data / "server.log"
        log_start = log.stat().st_size if log.exists() else 0
        directories = '"' + str(self.socket_directory).replace('"', '""') + '"'
        socket_option = f"-c unix_socket_directories={shlex.quote(directories)} -p {PORT}"
        start: list[str | Path] = [
            bindir / "pg_ctl",
            "start",
            "-w",
            "-t",
            str(int(START_SECONDS)),
            "-D",
            data,
            "-l",
            log,
            "-o",
            socket_option,
        ]
        code, output = self._account.run(*start, timeout_seconds=START_SECONDS + 30)
        if code == 0 or self._postmaster():
            return
        said = log.read_bytes()[log_start:].decode(errors="replace") if log.exists() else ""
        if any(phrase in said for phrase in PREDECESSOR_REMAINS):
            time.sleep(POLL_SECONDS)
            return
        fatal = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
        raise DevDBError(f"the embedded PostgreSQL does not start: {(fatal or [output])[-1].strip()} (log: {log})")

    def _initialise(self, bindir: Path, data: Path) -> None:
        """Makes a new cluster beside `data` and renames it when complete: a killed initdb leaves nothing half made."""
        new = self.tree / "initdb"
        if new.exists():
            shutil.rmtree(new)
        self._private_directory(new)
        locale = "C.UTF-8" if platform.system() == "Linux" else "C"
        make: list[str | Path] = [
            bindir / "initdb",
            "-D",
            new,
            "-U",
            SUPERUSER,
            "-E",
            "UTF8",
            f"--locale={locale}",
            "--auth=reject",
        ]
        code, output = self._account.run(*make, timeout_seconds=300)
        if code:
            raise DevDBError(f"initdb failed: {' '.join(output.split())[-500:]}")
        names = {self._account.name, pwd.getpwuid(os.geteuid()).pw_name}
        (new / "pg_hba.conf").write_text("local all all peer map=devdb\n")
        (new / "pg_ident.conf").write_text("".join(f'devdb "{name}" {SUPERUSER}\n' for name in sorted(names)))
        with open(new / "postgresql.conf", "a") as configuration:
            configuration.write(CONFIGURATION)
        new.rename(data)

    def _private_directory(self, path: Path) -> None:
        """Makes `path` for the server's account alone. DevDBError when somebody else's stands there."""
        path_is_new = True
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            # Root's own is one that was killed before it could give it away.
            path_is_new = self._account.drop and path.lstat().st_uid == os.geteuid()
        if path_is_new and self._account.drop:
            os.chown(path, self._account.uid, self._account.gid, follow_symlinks=False)
        _require_owner(path, self._account.uid)

    def _postmaster(self) -> psutil.Process | None:
        """The live server of this tree. A process id alone proves nothing: it may be reused, unreaped, or of a copied tree."""
        for pid_file in self.tree.glob("pg[0-9]*/postmaster.pid"):
            try:
                recorded = pid_file.read_text().splitlines()
                process = psutil.Process(int(recorded[0]))
                if not _ended(process) and _serves(process, data=pid_file.parent, recorded_data=recorded[1]):
                    return process
            except (psutil.Error, OSError, ValueError, IndexError):
                continue
        return None

    def _listens_elsewhere(self, running: psutil.Process) -> bool:
        """Whether the state directory was moved under a running server whose socket lies outside it."""
        for pid_file in self.tree.glob("pg[0-9]*/postmaster.pid"):
            recorded = pid_file.read_text().splitlines()
            if recorded[0] == str(running.pid):
                return len(recorded) > 4 and recorded[4] not in {"", str(self.socket_directory)}
        return False

    def _clear_stale_locks(self, data: Path) -> None:
        """Removes lock files that name a process which lives but is not our server: PostgreSQL would take it for one.

        Those of a process that is gone it clears itself. That no backend of an older server still uses the data is
        guarded by its shared memory, not by these files.
        """
        lock_files = [data / "postmaster.pid", self.socket_directory / f".s.PGSQL.{PORT}.lock"]
        for path in lock_files:
            try:
                named = int(path.read_text().split()[0])
            except (FileNotFoundError, ValueError, IndexError):
                continue
            if psutil.pid_exists(named):
                path.unlink()

    def _stop_running(self) -> None:
        running = self._postmaster()
        if running is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and immediate shutdown
            deadline = time.monotonic() + STOP_SECONDS
            if not _ended(running):
                running.send_signal(number)
            while not _ended(running):
                if time.monotonic() > deadline:
                    break
                time.sleep(POLL_SECONDS)
            else:
                return
        raise DevDBError(f"the embedded PostgreSQL in {self.tree} (process {running.pid}) does not stop")


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _serves(process: psutil.Process, *, data: Path, recorded_data: str) -> bool:
    """Whether `process` is the server of `data`, and not of a directory that `data` was copied from."""
    try:
        return os.path.samefile(process.cwd(), data)
    except psutil.AccessDenied:
        # In most containers root may not look into other accounts' processes; the command line is open to all.
        moved_or_in_place = recorded_data == str(data) or not os.path.exists(recorded_data)
        return recorded_data in process.cmdline() and moved_or_in_place


def _others_may_pass(path: Path) -> bool:
    """Whether any account can reach `path`, or could once we have made what is missing of it."""
    return all(step.stat().st_mode & stat.S_IXOTH for step in [path, *path.parents] if step.exists())


def _require_owner(path: Path, uid: int) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o022:
        raise DevDBError(f"{path} is not a directory of our own: remove it, or choose another STATE_DIR")


def _alone(holders: int) -> bool:
    """Turns our shared hold into the only one, if it is."""
    try:
        fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
