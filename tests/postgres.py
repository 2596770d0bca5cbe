"""The Postgres that the tests run against: a given one, a container, or the one that comes along; never a mock."""

import gc
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import docker  # type: ignore[import-untyped]
import psycopg
from docker.errors import DockerException  # type: ignore[import-untyped]
from psycopg import sql
from sqlalchemy import URL, make_url
from testcontainers.community.postgres import PostgresContainer

from service.store.embedded import EmbeddedPostgres
from service.store.migration import migrate

Choice = Literal["given", "container", "embedded"]
IMAGE = "postgres:18"
OWNER, SERVICE, TEMPLATE = "tonnage_test_owner", "tonnage_test_service", "tonnage_test_template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One migrated database, as each of its roles reaches it."""

    admin_url: str
    owner_url: str
    service_url: str


def choose() -> tuple[Choice, str]:
    """Say which Postgres the tests will use, and why."""
    if os.environ.get("TONNAGE_TEST_DATABASE_URL"):
        return "given", "TONNAGE_TEST_DATABASE_URL"
    if daemon_answers():
        return "container", f"{IMAGE}, the Docker daemon answers"
    if os.environ.get("REQUIRE_CONTAINERS") == "1":
        raise RuntimeError("REQUIRE_CONTAINERS=1, and no Docker daemon answers.")
    return "embedded", "no Docker daemon answers"


def daemon_answers() -> bool:
    """Whether there is a daemon; a docker program on PATH proves nothing."""
    with warnings.catch_warnings():
        # The client leaves the socket open that nobody answered on.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            with closing(docker.from_env(timeout=2)) as client:
                return bool(client.ping())
        except (DockerException, OSError):
            return False
        finally:
            gc.collect()


@contextmanager
def running(choice: Choice) -> Iterator[str]:
    """Run the chosen server and yield the URL of its superuser."""
    match choice:
        case "given":
            yield os.environ["TONNAGE_TEST_DATABASE_URL"]
        case "container":
            with PostgresContainer(IMAGE, driver=None) as container:
                yield container.get_connection_url()
        case "embedded":
            with embedded() as server:
                _hurry(server.admin_url)
                yield server.admin_url


def _hurry(admin_url: str) -> None:
    """Let the shared server not wait for the disk: tests that kill a server start one of their own."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def embedded() -> Iterator[EmbeddedPostgres]:
    """Run an embedded server on fresh data."""
    state = Path(tempfile.mkdtemp(prefix="tonnage-test-"))
    state.chmod(0o711)
    server = EmbeddedPostgres.start(state)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.state)


class Cluster:
    """Roles and a migrated template on one server; every test gets a copy."""

    def __init__(self, admin_url: str) -> None:
        self._admin = make_url(admin_url)
        self._passwords = {role: secrets.token_urlsafe(12) for role in (OWNER, SERVICE)}
        with self._connected() as connection:
            for role, password in self._passwords.items():
                exists = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount
                verb = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}")
                connection.execute(verb.format(sql.Identifier(role), sql.Literal(password)))
        self.drop(TEMPLATE)
        self.template = self.create(TEMPLATE, migrated=False)
        migrate(owner_url=self.template.owner_url, service_url=self.template.service_url)

    def create(self, name: str, *, migrated: bool = True) -> Database:
        """Make a database: a copy of the migrated template, or an empty one."""
        create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(TEMPLATE if migrated else "template0")
        )
        with self._connected() as connection:
            connection.execute(create)
        return Database(
            admin_url=text(self._admin.set(database=name)),
            owner_url=self._url(OWNER, name),
            service_url=self._url(SERVICE, name),
        )

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        with self._connected() as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))

    def _url(self, role: str, database: str) -> str:
        return text(self._admin.set(username=role, password=self._passwords[role], database=database))

    @contextmanager
    def _connected(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        with psycopg.connect(text(self._admin), autocommit=True) as connection:
            yield connection


def text(url: URL) -> str:
    """Return ``url`` with its password, for psycopg and the store alike."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
