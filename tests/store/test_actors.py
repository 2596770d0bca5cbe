"""Who did it: a random id in history, a name in one table that can be erased."""

import asyncio
from uuid import UUID, uuid4

from service.store import EventFilter, Store
from tests.planning.example import draft
from tests.store.writing import write


async def test_a_subject_keeps_its_random_id(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        ids = await asyncio.gather(
            *(store.actor(workspace="acme", subject="ada@example.com") for store in (here, there) * 5)
        )
    assert len(set(ids)) == 1
    assert UUID(ids[0]).version == 4


async def test_an_id_means_nothing_in_another_workspace(store):
    ours = await store.actor(workspace="acme", subject="ada@example.com")
    assert await store.actor(workspace="umbrella", subject="ada@example.com") != ours
    assert await store.subjects(workspace="umbrella", actors=[ours]) == {}


async def test_an_id_is_resolved_to_its_subject(store):
    ada = await store.actor(workspace="acme", subject="ada@example.com")
    assert await store.subjects(workspace="acme", actors=[ada]) == {ada: "ada@example.com"}
    assert await store.subjects(workspace="acme", actors=[]) == {}


async def test_erasing_a_person_leaves_history_whole(store):
    ada = await store.actor(workspace="acme", subject="ada@example.com")
    await write(store, draft(actor=ada), plan_id=uuid4())
    assert await store.erase_actor(workspace="acme", subject="ada@example.com")
    assert await store.subjects(workspace="acme", actors=[ada]) == {}
    page = await store.events(workspace="acme", chosen=EventFilter(actor=ada), page_size=5)
    assert [event.actor for event in page.items] == [ada, ada]
    assert await store.verify() == ()


async def test_whoever_comes_back_is_somebody_else(store):
    before = await store.actor(workspace="acme", subject="ada@example.com")
    await store.erase_actor(workspace="acme", subject="ada@example.com")
    assert await store.actor(workspace="acme", subject="ada@example.com") != before


async def test_erasing_a_stranger_does_nothing(store):
    assert not await store.erase_actor(workspace="acme", subject="nobody@example.com")
