"""Migrations: they build what the code declares, go down and up again, and say so when they have not run."""

import asyncio
import sys

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import errors

from service.store import Store
from service.store.migration import configuration, migrate, needed_revision
from service.store.refusal import SchemaOutdated, ServerTooOld, StoreUnavailable
from service.store.tables import metadata
from tests.postgres import Database

OBJECTS = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT oid::regprocedure::text, prosecdef::text, coalesce(proacl::text, '') || coalesce(proconfig::text, '')
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT tablename, policyname, coalesce(qual, '') || coalesce(with_check, '') FROM pg_policies
    UNION ALL SELECT oid::regclass::text, relkind::text, coalesce(relacl::text, '') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace
"""


def config(database: Database) -> Config:
    return configuration(owner_url=database.owner_url, service_url=database.service_url)


def objects(database: Database) -> set[tuple[object, ...]]:
    """Everything that migrations make beside tables: checks, triggers, functions, policies, grants."""
    with psycopg.connect(database.admin_url) as connection:
        return set(connection.execute(OBJECTS))


def test_the_migrations_build_what_the_code_declares(database):
    command.check(config(database))


def test_going_down_and_up_again_makes_the_same(database):
    before = objects(database)
    command.downgrade(config(database), "base")
    assert {row[0] for row in objects(database) if "alembic" not in str(row[0])} == set()
    command.upgrade(config(database), "head")
    assert objects(database) == before


def test_every_migration_goes_down_and_up_by_itself(empty_database):
    for revision in ("0001", "0002", "0003"):
        command.upgrade(config(empty_database), revision)
        here = objects(empty_database)
        command.downgrade(config(empty_database), "-1")
        command.upgrade(config(empty_database), revision)
        assert objects(empty_database) == here


def test_migrating_twice_changes_nothing(database):
    before = objects(database)
    migrate(owner_url=database.owner_url, service_url=database.service_url)
    assert objects(database) == before


async def test_services_that_start_together_migrate_once(empty_database):
    script = (
        "import sys; from service.store.migration import migrate;"
        "migrate(owner_url=sys.argv[1], service_url=sys.argv[2])"
    )
    urls = (empty_database.owner_url, empty_database.service_url)
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", script, *urls) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    async with await Store.open(empty_database.service_url) as store:
        await store.ready()


async def test_a_database_that_nobody_migrated_is_not_ready(empty_database):
    with pytest.raises(SchemaOutdated) as refused:
        await Store.open(empty_database.service_url)
    assert (refused.value.found, refused.value.needed) == ("nothing", needed_revision())


async def test_a_database_of_an_earlier_release_is_not_ready(store, database):
    await store.ready()
    command.downgrade(config(database), "-1")
    with pytest.raises(SchemaOutdated):
        await store.ready()


async def test_a_database_of_a_later_release_is_ready(store, database):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await store.ready()


async def test_a_server_that_is_too_old_is_refused(store, monkeypatch):
    monkeypatch.setattr("service.store.database.OLDEST_SERVER", 990000)
    with pytest.raises(ServerTooOld) as refused:
        await store.ready()
    assert refused.value.server_version


async def test_a_server_that_does_not_answer_is_unavailable():
    with pytest.raises(StoreUnavailable):
        await Store.open("postgresql://nobody:x@127.0.0.1:1/none")


def test_owner_and_service_are_two_roles(empty_database):
    with pytest.raises(SystemExit, match="different roles"):
        migrate(owner_url=empty_database.owner_url, service_url=empty_database.owner_url)


def test_the_log_is_divided_by_position(database):
    with psycopg.connect(database.admin_url) as connection:
        found = connection.execute("SELECT pg_get_partkeydef('events'::regclass)").fetchone()
    assert found == ('RANGE ("position")',)


def test_recorded_time_has_a_narrow_index(database):
    with psycopg.connect(database.admin_url) as connection:
        found = connection.execute("SELECT pg_get_indexdef('events_recorded_at_idx'::regclass)").fetchone()
    assert found is not None
    assert "USING brin" in found[0]


CHECKS = {
    "log_heads": ["id = 2", "position = -1", "partition_size = 0"],
    "streams": ["kind = 'guess'", "revision = 0", "hash = '\\x00'"],
}


@pytest.mark.parametrize(
    ("table", "change"), [(table, change) for table, changes in CHECKS.items() for change in changes]
)
def test_what_cannot_be_is_refused_by_the_table_itself(database, table, change):
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO streams VALUES ('acme', 'plan', gen_random_uuid(), 1,"
            " decode(repeat('00', 32), 'hex'), now(), 1, 1)"
        )
        with pytest.raises(errors.CheckViolation):
            connection.execute(f"UPDATE {table} SET {change}")


EVENT = {
    "position": "1",
    "workspace": "'acme'",
    "stream_kind": "'plan'",
    "stream_id": "gen_random_uuid()",
    "revision": "1",
    "type": "'plan_retired'",
    "schema_version": "1",
    "data": "'{}'",
    "actor_id": "gen_random_uuid()",
    "request_id": "gen_random_uuid()",
    "recorded_at": "now()",
    "effective_at": "now()",
    "previous_hash": "decode(repeat('00', 32), 'hex')",
    "hash": "decode(repeat('00', 32), 'hex')",
}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("workspace", "''"),
        ("workspace", "'*'"),
        ("stream_kind", "'guess'"),
        ("revision", "0"),
        ("type", "''"),
        ("schema_version", "0"),
        ("hash", "'\\x00'"),
        ("previous_hash", "'\\x00'"),
        ("position", "0"),
    ],
)
def test_an_event_that_cannot_be_is_refused_by_the_log_itself(database, column, value):
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        values = {**EVENT, column: value}
        # Below the first position there is no partition either.
        with pytest.raises(errors.CheckViolation):
            connection.execute(f"INSERT INTO events VALUES ({', '.join(values.values())})")
        connection.execute(f"INSERT INTO events VALUES ({', '.join(EVENT.values())})")


def test_every_declared_table_is_there(database):
    with psycopg.connect(database.admin_url) as connection:
        found = {row[0] for row in connection.execute("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')")}
    assert {table.name for table in metadata.sorted_tables} <= found
