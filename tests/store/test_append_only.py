"""Nobody changes history: not the service, not the owner, not a superuser who switches triggers to replica."""

from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors

from domain.planning.happening import ActorId
from service.store import Store
from tests.planning.example import ADA, draft
from tests.store.writing import request_by, write

GUARDED = ["events", "events_from_1", "requests", "releases"]
NEVER_SHORTENED = ["streams", "log_heads"]
WHOLE = ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"]
COLUMN = {
    "events": "type",
    "events_from_1": "type",
    "requests": "method",
    "releases": "name",
    "streams": "kind",
    "log_heads": "id",
}


def attempts(table: str) -> list[str]:
    return [statement.format(table, COLUMN[table], COLUMN[table]) for statement in WHOLE]


@pytest.fixture
async def written(store):
    await write(store, draft(), plan_id=uuid4())


def connected(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("SELECT set_config('tonnage.workspace', 'acme', false)")
    return connection


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("table", [*GUARDED, *NEVER_SHORTENED])
def test_the_service_changes_nothing_that_was_written(database, table):
    with connected(database.service_url) as connection:
        for statement in attempts(table):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("role", ["owner_url", "admin_url"])
@pytest.mark.parametrize("table", GUARDED)
def test_the_owner_and_a_superuser_change_nothing_that_was_written(database, table, role):
    with connected(getattr(database, role)) as connection:
        for statement in attempts(table):
            with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
                connection.execute(statement)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("table", NEVER_SHORTENED)
def test_the_owner_forgets_neither_streams_nor_the_end_of_the_log(database, table):
    with connected(database.owner_url) as connection:
        for statement in attempts(table)[1:]:
            with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
                connection.execute(statement)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("table", GUARDED)
def test_the_triggers_also_fire_for_a_replica(database, table):
    with connected(database.admin_url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in attempts(table):
            with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
                connection.execute(statement)


def test_the_service_inserts_into_the_log_through_its_function_alone(database):
    with connected(database.service_url) as connection:
        for table in ("events", "streams", "requests", "releases", "log_heads"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(f"INSERT INTO {table} SELECT * FROM {table}")


def test_the_service_cannot_make_anything_in_the_schema(database):
    with connected(database.service_url) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE public.mine (id int)")


def test_the_service_cannot_call_what_only_the_owner_needs(database):
    with connected(database.service_url) as connection:
        for call in ("add_event_partition()", "refuse_changes_of('events')"):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(f"SELECT {call}")


@pytest.mark.parametrize("workspace", [None, "", "*"])
def test_an_append_names_its_workspace(database, workspace):
    with connected(database.service_url) as connection, pytest.raises(errors.InsufficientPrivilege):
        append(connection, workspace)


def test_an_append_must_see_what_was_committed_before_its_lock(database):
    with connected(database.service_url) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(errors.InvalidTransactionState):
            append(connection, "acme")


GROUP: dict[str, object] = {
    "actor_ids": [UUID(ADA)],
    "methods": ["m"],
    "request_ids": [uuid4()],
    "digests": [b"d"],
    "stream_kinds": ["plan"],
    "stream_ids": [uuid4()],
    "expected_revisions": [0],
    "effective_ats": [None],
    "event_counts": [1],
    "types": ["t"],
    "schema_versions": [1],
    "datas": ["{}"],
}
TYPES = dict.fromkeys(("actor_ids", "request_ids", "stream_ids"), "uuid") | {
    "digests": "bytea",
    "expected_revisions": "bigint",
    "effective_ats": "timestamptz",
    "event_counts": "integer",
    "schema_versions": "integer",
}


def append(connection: "psycopg.Connection[tuple[object, ...]]", workspace: str | None, **changes: object) -> object:
    """Append one event, or what ``changes`` make of that, and return what the log says of it."""
    group = GROUP | changes
    arrays = ", ".join(f"{name} => %s::{TYPES.get(name, 'text')}[]" for name in group)
    said = connection.execute(f"SELECT outcome FROM append_events(%s, {arrays})", [workspace, *group.values()])
    return said.fetchone()


def test_a_revision_that_is_not_named_is_not_the_expected_one(database):
    with connected(database.service_url) as connection:
        assert append(connection, "acme", expected_revisions=[None]) == ("conflict",)
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
        assert append(connection, "acme") == ("appended",)


@pytest.mark.parametrize(
    "changes",
    [
        *({name: [*value, *value]} for name, value in GROUP.items() if isinstance(value, list)),
        *({name: []} for name in GROUP),
        *({name: None} for name in GROUP),
        {"event_counts": [None]},
        {"event_counts": [-1]},
        {"event_counts": [2]},
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_together_append_nothing(database, changes):
    with connected(database.service_url) as connection:
        with pytest.raises(errors.ArraySubscriptError):
            append(connection, "acme", **changes)
        assert connection.execute("SELECT position FROM log_heads").fetchone() == (0,)


def read_log(connection: "psycopg.Connection[tuple[object, ...]]", workspace: str) -> list[object]:
    connection.execute("SELECT set_config('tonnage.workspace', %s, false)", [workspace])
    return [row[0] for row in connection.execute("SELECT workspace FROM read_log(0, 100)")]


async def test_the_log_shows_a_workspace_its_own_events_and_the_whole_only_to_who_asks_for_it(store, database):
    for workspace in ("acme", "umbrella"):
        await write(store, draft(), plan_id=uuid4(), workspace=workspace)
    with psycopg.connect(database.service_url, autocommit=True) as connection:
        assert set(read_log(connection, "acme")) == {"acme"}
        assert read_log(connection, "nobody") == []
        assert read_log(connection, "*") == ["acme", "acme", "umbrella", "umbrella"]
        with pytest.raises(errors.InsufficientPrivilege, match="no workspace is named"):
            read_log(connection, "")


TABLES = [
    "events",
    "streams",
    "requests",
    "plans",
    "plan_accelerators",
    "event_summaries",
    "event_accelerators",
    "actors",
]


async def test_a_workspace_sees_nothing_of_another(store, database):
    request = request_by(ActorId(ADA), newcomer="ada@example.com")
    await write(store, draft(), plan_id=uuid4(), workspace="acme", request=request)
    with psycopg.connect(database.service_url, autocommit=True) as connection:
        for workspace, sees in (("acme", True), ("umbrella", False), ("", False), ("*", False)):
            connection.execute("SELECT set_config('tonnage.workspace', %s, false)", [workspace])
            for table in TABLES:
                rows = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
                assert (rows != (0,)) == sees, (table, workspace)


async def test_without_a_workspace_nothing_is_seen(store, database):
    await write(store, draft(), plan_id=uuid4())
    with psycopg.connect(database.service_url, autocommit=True) as connection:
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_a_workspace_writes_into_no_other(store, database):
    await write(store, draft(), plan_id=uuid4())
    with connected(database.service_url) as connection:
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            connection.execute("INSERT INTO actors VALUES ('umbrella', 'eve', gen_random_uuid())")
        with pytest.raises(errors.InsufficientPrivilege, match="row-level security"):
            connection.execute("UPDATE plans SET workspace = 'umbrella'")


async def test_the_owner_is_bound_to_the_workspace_too(store, database):
    await write(store, draft(), plan_id=uuid4())
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        for table in TABLES:
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_every_table_with_a_workspace_is_under_row_level_security(database):
    with psycopg.connect(database.admin_url) as connection:
        unguarded = connection.execute(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
            AND a.attname = 'workspace' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
            """
        ).fetchall()
    assert unguarded == []


async def test_a_partition_is_read_through_the_log_or_not_at_all(store, database):
    await write(store, draft(), plan_id=uuid4())
    with connected(database.owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM events_from_1").fetchone() == (0,)


async def test_every_partition_is_as_guarded_as_the_first(database):
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("UPDATE log_heads SET partition_size = 4, partitioned_to = partitioned_to")
        connection.execute("UPDATE log_heads SET position = 4999990, partition_size = 4")
    async with await Store.open(database.service_url) as store:
        for _ in range(20):
            await write(store, draft(), plan_id=uuid4())
    with connected(database.admin_url) as connection:
        found = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
        )
        parts = [row[0] for row in found]
        assert len(parts) > 8
        for part in map(str, parts):
            with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
                connection.execute(f"TRUNCATE {part}")
            secured = connection.execute(
                "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [part]
            ).fetchone()
            assert secured == (True,)
        positions = connection.execute("SELECT array_agg(position ORDER BY position) FROM events").fetchone()
        assert positions == (list(range(4999991, 5000031)),)
