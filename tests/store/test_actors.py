"""Who did it: a random id in history, a name in one table that can be erased."""

import asyncio
from uuid import UUID, uuid4

import pytest

from domain.planning.plan import PlanNotFound
from service.store import Actor, EventFilter, Store, Written
from service.store.refusal import StoreUnavailable
from tests.planning.example import draft, retire
from tests.store.writing import request_by, row_counts, write

ADA = "ada@example.com"


async def met(store: Store, workspace: str = "acme") -> Actor:
    return await store.actor(workspace=workspace, subject=ADA)


async def act(store: Store, actor: Actor, workspace: str = "acme") -> Written:
    request = request_by(actor.id, workspace=workspace, newcomer=actor.newcomer)
    return await write(store, draft(actor=actor.id), plan_id=uuid4(), workspace=workspace, request=request)


async def known(store: Store, workspace: str = "acme") -> Actor:
    """Somebody of whom something was accepted."""
    await act(store, await met(store, workspace), workspace)
    return await met(store, workspace)


async def test_a_subject_keeps_its_random_id(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        first = await known(here)
        assert {(await met(store)).id for store in (here, there) * 3} == {first.id}
        assert first.newcomer is None
        assert UUID(first.id).version == 4


async def test_meeting_somebody_writes_nothing(store, database):
    before = await row_counts(database)
    stranger = await met(store)
    assert stranger.newcomer == ADA
    with pytest.raises(PlanNotFound):
        await write(
            store,
            retire(actor=stranger.id),
            plan_id=uuid4(),
            expected_revision=1,
            request=request_by(stranger.id, newcomer=stranger.newcomer),
        )
    assert await row_counts(database) == before


async def test_many_first_writes_at_once_are_by_one_person(store):
    strangers = [await met(store) for _ in range(20)]
    await asyncio.gather(*(act(store, stranger) for stranger in strangers))
    page = await store.events(workspace="acme", chosen=EventFilter(), page_size=100)
    assert len(page.items) == 40
    assert {event.actor for event in page.items} == {(await met(store)).id}


async def test_of_two_processes_that_meet_somebody_the_first_to_write_names_them(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        first, second = await met(here), await met(there)
        assert first.id != second.id
        await act(here, first)
        with pytest.raises(StoreUnavailable):
            await act(there, second)
        assert await met(there) == Actor(id=first.id)
        await act(there, await met(there))
        assert await here.subjects(workspace="acme", actors=[first.id, second.id]) == {first.id: ADA}


async def test_two_ids_for_one_person_in_one_group_do_not_both_stand(store):
    await known(store, "umbrella")  # while that was written, the others would have gathered
    pair = [Actor(id=str(uuid4()), newcomer=ADA) for _ in range(2)]  # type: ignore[arg-type]
    outcomes = await asyncio.gather(*(act(store, actor) for actor in pair), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["StoreUnavailable", "Written"]
    page = await store.events(workspace="acme", chosen=EventFilter(), page_size=9)
    assert len({event.actor for event in page.items}) == 1


async def test_an_id_means_nothing_in_another_workspace(store):
    ours = await known(store)
    assert (await known(store, "umbrella")).id != ours.id
    assert await store.subjects(workspace="umbrella", actors=[ours.id]) == {}


async def test_an_id_is_resolved_to_its_subject(store):
    ada = await known(store)
    assert await store.subjects(workspace="acme", actors=[ada.id]) == {ada.id: ADA}
    assert await store.subjects(workspace="acme", actors=[]) == {}


async def test_erasing_a_person_leaves_history_whole(store):
    ada = await known(store)
    assert await store.erase_actor(workspace="acme", subject=ADA)
    assert await store.subjects(workspace="acme", actors=[ada.id]) == {}
    page = await store.events(workspace="acme", chosen=EventFilter(actor=ada.id), page_size=5)
    assert [event.actor for event in page.items] == [ada.id, ada.id]
    assert await store.verify() == ()


async def test_whoever_comes_back_is_somebody_else(store):
    before = await known(store)
    await store.erase_actor(workspace="acme", subject=ADA)
    assert (await known(store)).id != before.id


async def test_a_write_that_was_on_its_way_does_not_undo_an_erasure(store):
    stranger = await met(store)
    await act(store, stranger)
    await store.erase_actor(workspace="acme", subject=ADA)
    with pytest.raises(StoreUnavailable):
        await act(store, stranger)
    assert await store.subjects(workspace="acme", actors=[stranger.id]) == {}


async def test_erasing_a_stranger_does_nothing(store):
    assert not await store.erase_actor(workspace="acme", subject="nobody@example.com")
