"""The connection to Postgres: URLs, the pool, the workspace of a transaction, and what a failure means."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from service.store.migration import needed_revision
from service.store.refusal import SchemaOutdated, ServerTooOld, StoreUnavailable

OLDEST_SERVER = 150000
"""PostgreSQL 15: nobody but its owner creates anything in ``public``; SQL-standard function bodies came with 14."""

STATEMENT_LIMIT_MS = 30_000
AWAY = ("08", "57P", "53", "55P03", "57014", "40", "25006")
"""Beginnings of the SQLSTATEs after which asking again is right: connection, shutdown, resources, time, conflict."""


def connect(url: str, *, connection_count: int) -> AsyncEngine:
    """Return the pool of connections to ``url``."""
    return create_async_engine(
        sa.make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=connection_count,
        max_overflow=0,
        pool_timeout=10,
        isolation_level="READ COMMITTED",
        hide_parameters=True,  # they are plans and people, and failures are logged
        connect_args={
            "timeout": 5,
            "server_settings": {
                "application_name": "tonnage",
                "statement_timeout": str(STATEMENT_LIMIT_MS),
                "idle_in_transaction_session_timeout": str(STATEMENT_LIMIT_MS),
                "jit": "off",
            },
        },
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, workspace: str) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction that sees and writes ``workspace`` alone."""
    with failures_told():
        async with engine.begin() as connection:
            await enter(connection, workspace)
            yield connection


async def enter(connection: AsyncConnection, workspace: str) -> None:
    """Let the rest of the transaction see and write ``workspace`` alone."""
    await connection.execute(ENTER, {"workspace": workspace})


ENTER = sa.text("SELECT set_config('tonnage.workspace', :workspace, true)")


@contextmanager
def failures_told() -> Iterator[None]:
    """Turn a failure of the connection into `StoreUnavailable`; a fault of a statement stays what it is."""
    try:
        yield
    except sa.exc.DBAPIError as failure:
        if is_away(failure):
            raise StoreUnavailable from failure
        raise
    except (OSError, TimeoutError, sa.exc.TimeoutError, sa.exc.InterfaceError) as failure:
        raise StoreUnavailable from failure


def is_away(failure: sa.exc.DBAPIError) -> bool:
    """Whether the database was away, or busy, rather than asked something wrong."""
    if failure.connection_invalidated or isinstance(failure, sa.exc.InterfaceError):
        return True
    state = getattr(failure.orig, "sqlstate", None) or ""
    return state.startswith(AWAY)


async def require_ready(engine: AsyncEngine) -> None:
    """Return when the server is new enough and migrated."""
    with failures_told():
        async with engine.connect() as connection:
            number = int((await connection.execute(sa.text("SHOW server_version_num"))).scalar_one())
            if number < OLDEST_SERVER:
                raise ServerTooOld(server_version=f"{number // 10000}.{number % 10000}")
            try:
                found = await connection.execute(sa.text("SELECT version_num FROM alembic_version"))
            except sa.exc.ProgrammingError:
                raise SchemaOutdated(found="nothing", needed=needed_revision()) from None
            version = found.scalar_one_or_none() or "nothing"
            # A newer schema is welcome: every migration is safe beside the previous release.
            if version < needed_revision():
                raise SchemaOutdated(found=version, needed=needed_revision())
