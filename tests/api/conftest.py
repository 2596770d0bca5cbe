"""Fixtures of the door: a real server on a real channel over the test's own database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
import structlog

from domain.catalog.release import Catalog
from service.api.server import Server
from service.release_files import built_in
from service.settings import Settings
from service.store import Store
from tests.api.calling import Caller


@pytest.fixture(scope="session", autouse=True)
def journal() -> None:
    """Log lines without local variables: they hold passwords, and a failed test shows what was logged."""
    plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.ExceptionRenderer(plain),
            structlog.processors.JSONRenderer(),
        ]
    )


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The built-in release."""
    return built_in()


@pytest.fixture
def settings() -> Settings:
    """A development server on a port that is free."""
    return Settings(
        listen="127.0.0.1:0",
        database_url=None,
        migration_url=None,
        state_folder=Path("unused"),
        development=True,
        tls=None,
        four_eyes=True,
        concurrent_call_limit=256,
        worker_count=2,
        connection_count=5,
        message_limit_bytes=1_000_000,
        drain_s=5.0,
        log_format="json",
    )


@pytest_asyncio.fixture
async def server(settings: Settings, catalog: Catalog, store: Store) -> AsyncIterator[Server]:
    """A server that answers."""
    started = await Server.start(settings, catalog=catalog, store=store, now=lambda: datetime.now(UTC), new_id=uuid4)
    yield started
    await started.stop()


@pytest_asyncio.fixture
async def channel(server: Server) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to it."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened


@pytest_asyncio.fixture
async def planner(channel: grpc.aio.Channel) -> Caller:
    """Somebody who plans."""
    return Caller(channel, subject="pia")


@pytest_asyncio.fixture
async def approver(channel: grpc.aio.Channel) -> Caller:
    """Somebody else."""
    return Caller(channel, subject="abe")
