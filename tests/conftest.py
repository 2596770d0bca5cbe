"""Fixtures that every room shares: a real Postgres, a migrated database per test, and a store on it."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from service.store import Store
from tests import postgres
from tests.postgres import Cluster, Database

# gRPC reads it when it is imported, which the tests of the door do later; its handlers do not survive a fork, and
# Postgres is started by one.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

_number = itertools.count(1)
_choice = pytest.StashKey[tuple[postgres.Choice, str]]()


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[_choice] = postgres.choose()
    except RuntimeError as refusal:
        raise pytest.UsageError(str(refusal)) from refusal


def pytest_report_header(config: pytest.Config) -> str:
    choice, why = config.stash[_choice]
    return f"postgres: {choice} ({why})"


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A server with the roles and a migrated template."""
    choice, _ = pytestconfig.stash[_choice]
    with postgres.running(choice) as admin_url:
        yield Cluster(admin_url)


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """A migrated database of the test's own."""
    name = f"tonnage_test_{next(_number)}"
    cluster.drop(name)
    yield cluster.create(name)
    cluster.drop(name)


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[Database]:
    """A database that no migration has seen."""
    name = f"tonnage_test_{next(_number)}"
    cluster.drop(name)
    yield cluster.create(name, migrated=False)
    cluster.drop(name)


@pytest_asyncio.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    """The store of the service, on the test's own database."""
    async with await Store.open(database.service_url) as opened:
        yield opened
