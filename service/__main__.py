"""The composition root: settings, database, catalog and door are put together here, and nowhere else."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import uuid4

import structlog
import uvloop

from domain.planning.publication import ReleaseNameTaken
from service.journal import keep_journal
from service.publication import publish
from service.release_files import built_in
from service.settings import AddressTaken, CredentialsMissing, Settings, SettingsRefused
from service.store import Store
from service.store.account import AccountMissing
from service.store.embedded import DataOfOtherVersion, EmbeddedPostgres, EmbeddedPostgresFailed
from service.store.migration import migrate
from service.store.refusal import SchemaOutdated, ServerTooOld, StoreUnavailable

FAILED, BAD_INPUT = 1, 2

DATABASE_LIMIT_S = 30.0
RETRY_S = 0.5

UNABLE = (
    AccountMissing,
    AddressTaken,
    CredentialsMissing,
    DataOfOtherVersion,
    EmbeddedPostgresFailed,
    SchemaOutdated,
    ReleaseNameTaken,
    ServerTooOld,
    StoreUnavailable,
)
"""Why a start may fail that is no bug; the text says what to do."""

OPEN_DOOR = (
    "TONNAGE_DEVELOPMENT=1: every caller on this machine is let in without credentials, and is whoever they say."
)

log = structlog.get_logger()


def main() -> int:
    """Run ``python -m service``."""
    parser = argparse.ArgumentParser(prog="python -m service", description="Serve plans over gRPC until Ctrl-C.")
    parser.add_argument("--demonstrate", action="store_true", help="make one plan first, and print it")
    return serve_until_told(demonstrate=parser.parse_args().demonstrate)


def serve_until_told(*, demonstrate: bool) -> int:
    """Serve with the settings of the environment until a signal ends it; return the exit status."""
    # gRPC would otherwise remark on every program that is started beside it.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    try:
        settings = Settings.from_environment()
        keep_journal(log_format=settings.log_format, is_quiet=demonstrate)
        refuse_open_door(settings)
        if demonstrate and not settings.development:
            return _complain("--demonstrate calls without credentials: it needs TONNAGE_DEVELOPMENT=1.", BAD_INPUT)
        with database(settings) as url:
            uvloop.run(serve(settings, url, demonstrate=demonstrate))
    except SettingsRefused as refused:
        return _complain(str(refused), BAD_INPUT)
    except UNABLE as failure:
        return _complain(str(failure), FAILED)
    except KeyboardInterrupt:
        return FAILED
    return 0


def refuse_open_door(settings: Settings) -> None:
    """Raise `CredentialsMissing` where anybody could call, unless that is what the settings ask for."""
    if not settings.development and settings.tls is None:
        raise CredentialsMissing(CredentialsMissing.__doc__)
    if settings.development:
        log.warning("authentication.switched_off", meaning=OPEN_DOOR)


@contextmanager
def database(settings: Settings) -> Iterator[str]:
    """Yield the URL of a migrated database; the embedded one runs as long as it is needed."""
    if settings.database_url is not None:
        if settings.migration_url is not None:
            migrate(owner_url=settings.migration_url, service_url=settings.database_url)
        yield settings.database_url
        return
    postgres = EmbeddedPostgres.start(settings.state_folder)
    try:
        migrate(owner_url=postgres.owner_url, service_url=postgres.service_url)
        yield postgres.service_url
    finally:
        postgres.stop()


async def serve(settings: Settings, url: str, *, demonstrate: bool) -> None:
    """Answer calls until a signal comes, then finish what is in progress."""
    from service.api.server import Server  # noqa: PLC0415 - gRPC reads its environment when it is imported

    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    catalog = built_in()
    async with await open_store(url, settings) as store:
        await publish(store, catalog, at=datetime.now(UTC), is_draft=settings.development)
        server = await Server.start(settings, catalog=catalog, store=store, now=lambda: datetime.now(UTC), new_id=uuid4)
        try:
            if demonstrate:
                await _demonstrate(f"{settings.host}:{server.port}")
            await told.wait()
        finally:
            await server.stop()


async def open_store(url: str, settings: Settings) -> Store:
    """Connect to the database; one that is only just starting is waited for."""
    deadline = time.monotonic() + DATABASE_LIMIT_S
    while True:
        try:
            return await Store.open(url, connection_count=settings.connection_count)
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            log.warning("database.missed", retry_after_s=RETRY_S)
            await asyncio.sleep(RETRY_S)


async def _demonstrate(address: str) -> None:
    from service.cli.demonstration import demonstrate  # noqa: PLC0415 - a server without it loads no tables

    await demonstrate(address)


def _complain(text: str, code: int) -> int:
    for line in text.split("\n"):
        sys.stderr.write(f"error: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
