"""The database goes away and comes back: whoever asks again with the same request id hears what happened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID, uuid4

import psycopg
import pytest

from service.store import EventFilter, PlanFilter, Request, Store, Written
from service.store.refusal import StoreUnavailable
from tests.planning.example import ADA, draft
from tests.postgres import Database
from tests.store.writing import request_by, write

Answer = TypeVar("Answer")


def cut_every_connection(database: Database) -> None:
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def until_answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again, as a caller that was told UNAVAILABLE does."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await ask()
            except StoreUnavailable:
                await asyncio.sleep(0.02)


async def test_a_cut_connection_is_unavailable_and_the_next_call_works(store, database):
    await write(store, draft(), plan_id=uuid4())
    cut_every_connection(database)
    answered = await until_answered(lambda: write(store, draft(), plan_id=uuid4()))
    assert answered.revision == 2
    cut_every_connection(database)
    listed = await until_answered(lambda: store.plans(workspace="acme", chosen=PlanFilter(), page_size=5))
    assert len(listed.items) == 2
    cut_every_connection(database)
    await until_answered(store.ready)


async def test_callers_in_the_midst_of_a_cut_are_told_and_ask_again_for_the_same(store, database):
    """Whether a commit came through is unknown to the callers; asking again with the same id is always right."""
    refused = 0

    async def insist(request: Request, plan_id: UUID) -> Written:
        nonlocal refused
        while True:
            try:
                written: Written = await write(store, draft(), plan_id=plan_id, request=request)
            except StoreUnavailable:
                refused += 1
                await asyncio.sleep(0.01)
            else:
                return written

    asked = [(request_by(ADA), uuid4()) for _ in range(300)]
    async with asyncio.timeout(60):
        tasks = [asyncio.create_task(insist(request, plan_id)) for request, plan_id in asked[:150]]
        for request, plan_id in asked[150:]:
            tasks.append(asyncio.create_task(insist(request, plan_id)))
            if len(tasks) % 30 == 0:
                await asyncio.to_thread(cut_every_connection, database)
            await asyncio.sleep(0.001)
        answers = await asyncio.gather(*tasks)
    assert refused > 0
    async with await Store.open(database.service_url) as afterwards:  # none of its connections was cut
        for (request, plan_id), answer in zip(asked, answers, strict=True):
            assert answer == await afterwards.remembered(request)
            history = await afterwards.history(workspace="acme", plan_id=plan_id)
            assert [event.request_id for event in history] == [request.request_id] * 2
        assert len(await afterwards.log(after=0)) == 600
        assert await afterwards.verify() == ()


async def test_a_lock_that_somebody_holds_makes_writes_wait_and_reads_go_on(store, database):
    await write(store, draft(), plan_id=uuid4())
    with psycopg.connect(database.service_url) as other:
        other.execute("SELECT pg_advisory_lock(7310041)")
        waiting = asyncio.create_task(write(store, draft(), plan_id=uuid4()))
        page = await store.events(workspace="acme", chosen=EventFilter(), page_size=5)
        assert len(page.items) == 2
        assert not waiting.done()
    async with asyncio.timeout(10):
        assert (await waiting).position == 4


async def test_a_closed_store_takes_no_more_writes(store):
    await store.close()
    with pytest.raises(StoreUnavailable):
        await write(store, draft(), plan_id=uuid4())
