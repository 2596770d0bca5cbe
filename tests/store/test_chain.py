"""The hash chain: the same in Python and in the database, and broken by whoever touches a row."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.store.chain import GENESIS, LoggedEvent, event_hash
from tests.planning.example import draft, revise
from tests.postgres import Database
from tests.store.writing import write

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - made aware
logged = st.builds(
    LoggedEvent,
    position=st.integers(1, 2**62),
    workspace=text,
    stream_kind=text,
    stream_id=st.uuids(),
    revision=st.integers(1, 2**62),
    type=text,
    schema_version=st.integers(1, 2**31 - 1),
    data=text,
    actor_id=st.uuids(),
    request_id=st.uuids(),
    recorded_at=moments,
    effective_at=moments,
    previous_hash=st.binary(min_size=32, max_size=32),
    hash=st.just(GENESIS),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(logged)
def test_python_and_the_database_hash_alike(hashing, event):
    assert hashing(event) == event_hash(event)


@pytest.fixture
def hashing(database):
    with psycopg.connect(database.owner_url, autocommit=True) as open_connection:

        def hashed(event):
            found = open_connection.execute(
                "SELECT hash_event(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    event.previous_hash,
                    event.workspace,
                    event.stream_kind,
                    event.stream_id,
                    event.revision,
                    event.type,
                    event.schema_version,
                    event.actor_id,
                    event.request_id,
                    event.recorded_at,
                    event.effective_at,
                    event.data,
                ],
            ).fetchone()
            assert found is not None
            return bytes(found[0])

        yield hashed


@given(logged, st.sampled_from(["workspace", "stream_kind", "type", "data"]))
def test_no_text_can_pass_for_another_by_moving_a_border(event, field):
    moved = replace(event, **{field: getattr(event, field) + "x"})
    assert event_hash(moved) != event_hash(event)


@pytest.fixture
async def written(store):
    plan_ids = [uuid4(), uuid4()]
    for plan_id in plan_ids:
        await write(store, draft(), plan_id=plan_id)
    for plan_id in plan_ids:
        await write(store, revise(), plan_id=plan_id, expected_revision=2)
    return plan_ids


async def test_a_stream_begins_with_zeros_and_each_event_names_its_predecessor(store, written):
    for plan_id in written:
        previous = bytes(32)
        for stored in await store.history(workspace="acme", plan_id=plan_id):
            assert stored.previous_hash == previous
            previous = stored.hash


@pytest.mark.usefixtures("written")
async def test_an_untouched_log_has_no_faults(store):
    assert await store.verify() == ()


def tamper(database: Database, statement: str) -> None:
    """Do what an owner with bad intent can do: switch the triggers off, and on again."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE events_from_1 DISABLE TRIGGER ALL")
        connection.execute(statement)
        connection.execute("ALTER TABLE events_from_1 ENABLE ALWAYS TRIGGER append_only")


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize(
    "change",
    [
        "data = replace(data::text, 'Chat', 'Boat')::json",
        "data = (data::text || ' ')::json",
        "actor_id = gen_random_uuid()",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "effective_at = effective_at - interval '1 day'",
        "request_id = gen_random_uuid()",
        "type = 'plan_retired'",
        "schema_version = 2",
        "workspace = 'umbrella'",
        "stream_id = gen_random_uuid()",
    ],
)
async def test_a_changed_row_is_named(store, database, change):
    tamper(database, f"UPDATE events_from_1 SET {change} WHERE position = 3")
    assert 3 in {fault.position for fault in await store.verify()}


@pytest.mark.usefixtures("written")
async def test_a_row_with_a_hash_made_to_fit_betrays_itself_in_the_next(store, database):
    tamper(
        database,
        """
        UPDATE events_from_1 SET type = 'plan_retired', hash = hash_event(
            previous_hash, workspace, stream_kind, stream_id, revision, 'plan_retired', schema_version,
            actor_id, request_id, recorded_at, effective_at, data::text) WHERE position = 3
        """,
    )
    assert [fault.position for fault in await store.verify()] == [4]


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("position", [1, 4])
async def test_a_row_taken_out_leaves_a_hole(store, database, position):
    tamper(database, f"DELETE FROM events_from_1 WHERE position = {position}")
    assert position + 1 in {fault.position for fault in await store.verify()}


@pytest.mark.usefixtures("written")
async def test_a_tail_cut_off_is_missed(store, database):
    tamper(database, "DELETE FROM events_from_1 WHERE position > 6")
    faults = await store.verify()
    assert [fault.position for fault in faults] == [7]
