"""Whoever follows the positions sees every event once, in order, however many write at the same time."""

import asyncio
import sys
from uuid import uuid4

import psycopg

from service.store import Store
from tests.planning.example import draft
from tests.postgres import Database
from tests.store.writing import write

PROCESSES, WRITERS, PLANS = 2, 3, 12
EVENTS = PROCESSES * WRITERS * PLANS * 8


async def writing_process(database: Database) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.store.writer", database.service_url, str(WRITERS), str(PLANS)),
        stdout=asyncio.subprocess.DEVNULL,
    )


async def follow(store: Store, until: int) -> list[int]:
    """Read on from the last position seen, as a subscriber does, without ever looking back."""
    seen: list[int] = []
    while len(seen) < until:
        found = await store.log(after=seen[-1] if seen else 0, most=7)
        seen += [event.position for event in found]
        if not found:
            await asyncio.sleep(0.001)
    return seen


async def test_a_reader_that_follows_six_writers_in_two_processes_misses_nothing(store, database):
    processes = [await writing_process(database) for _ in range(PROCESSES)]
    async with asyncio.timeout(60):
        seen = await asyncio.gather(*(follow(store, EVENTS) for _ in range(3)))
        assert [await process.wait() for process in processes] == [0] * PROCESSES
    for positions in seen:
        assert positions == list(range(1, EVENTS + 1))
    assert await store.log(after=EVENTS) == ()
    assert await store.verify() == ()


async def test_a_write_that_is_not_committed_is_seen_by_nobody_and_leaves_no_hole(store, database):
    await write(store, draft(), plan_id=uuid4())
    with psycopg.connect(database.service_url) as other:
        other.execute(
            "SELECT * FROM append_events('acme', %s::uuid[], '{m}', %s::uuid[], '{d}'::bytea[], '{plan}',"
            " %s::uuid[], '{0}', '{NULL}', '{1}', '{plan_retired}', '{1}', %s)",
            [[uuid4()], [uuid4()], [uuid4()], ['{"reason":"x"}']],
        )
        assert [event.position for event in await store.log(after=0)] == [1, 2]
        other.rollback()
    assert (await write(store, draft(), plan_id=uuid4())).position == 4
    assert [event.position for event in await store.log(after=0)] == [1, 2, 3, 4]


async def test_a_long_transaction_elsewhere_stops_no_reader(store, database):
    with psycopg.connect(database.service_url) as other:
        other.execute("SELECT set_config('tonnage.workspace', 'acme', true)")
        other.execute("INSERT INTO actors VALUES ('acme', 'slow', gen_random_uuid())")
        await write(store, draft(), plan_id=uuid4())
        assert [event.position for event in await store.log(after=0)] == [1, 2]


async def test_a_reader_gets_no_more_than_it_asks_for(store):
    for _ in range(3):
        await write(store, draft(), plan_id=uuid4())
    assert [event.position for event in await store.log(after=1, most=3)] == [2, 3, 4]


async def test_a_new_part_of_the_log_waits_for_no_reader(store, database):
    """Whoever reads the log for long holds up neither the writers nor the part that they begin."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("UPDATE log_heads SET position = 4999990, partition_size = 10")
    with psycopg.connect(database.service_url) as reader:
        reader.execute("SELECT count(*) FROM events")
        async with asyncio.timeout(10):
            for _ in range(20):
                await write(store, draft(), plan_id=uuid4())
        assert len(await store.log(after=4_999_990)) == 40
