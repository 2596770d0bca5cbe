"""What the store promises to those who write: each promise with somebody who tries to break it."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import pytest
import sqlalchemy as sa

from domain.planning.plan import (
    ActivePlan,
    ApproverIsPlanner,
    EffectiveTimeInPast,
    PlanAlreadyExists,
    PlanNotFound,
)
from service.store import EventFilter, PlanFilter, Store
from service.store.refusal import RequestIdReused, StaleRevision
from service.store.tables import event_summaries, events, plans, requests
from tests.planning.example import (
    ADA,
    BOB,
    CHECK,
    DOES_NOT_FIT,
    MONDAY,
    SMALLER_CHECK,
    WEDNESDAY,
    approve,
    draft,
    evaluation,
    retire,
    revise,
)
from tests.store.writing import request_by, row_counts, write


async def test_a_write_answers_with_the_new_revision_and_position(store):
    plan_id = uuid4()
    drafted = await write(store, draft(), plan_id=plan_id)
    revised = await write(store, revise(), plan_id=plan_id, expected_revision=2)
    assert (drafted.revision, drafted.position, drafted.changed) == (2, 2, True)
    assert (revised.revision, revised.position, revised.changed) == (4, 4, True)


async def test_of_two_writers_with_one_expectation_exactly_one_wins(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        for _ in range(20):
            plan_id = uuid4()
            await write(here, draft(), plan_id=plan_id)
            outcomes = await asyncio.gather(
                write(here, revise(reason="here"), plan_id=plan_id, expected_revision=2),
                write(there, revise(reason="there"), plan_id=plan_id, expected_revision=2),
                write(there, retire(), plan_id=plan_id, expected_revision=2),
                return_exceptions=True,
            )
            refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            assert [type(refusal) for refusal in refused] == [StaleRevision, StaleRevision]
            history = await here.history(workspace="acme", plan_id=plan_id)
            assert {refusal.current_revision for refusal in refused} == {len(history)}  # type: ignore[attr-defined]
        assert await here.verify() == ()


async def test_of_two_drafts_of_one_plan_one_is_refused(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        for _ in range(10):
            plan_id = uuid4()
            outcomes = await asyncio.gather(
                *(write(store, draft(), plan_id=plan_id) for store in (here, there, here)),
                return_exceptions=True,
            )
            kinds = Counter(type(outcome).__name__ for outcome in outcomes)
            assert kinds == {"Written": 1, "PlanAlreadyExists": 2}


async def test_a_stale_caller_hears_the_current_revision(store):
    plan_id = uuid4()
    await write(store, draft(), plan_id=plan_id)
    await write(store, revise(), plan_id=plan_id, expected_revision=2)
    with pytest.raises(StaleRevision) as refused:
        await write(store, retire(), plan_id=plan_id, expected_revision=2)
    assert refused.value.current_revision == 4


async def test_a_plan_that_is_not_there_is_not_stale_but_missing(store):
    with pytest.raises(PlanNotFound):
        await write(store, revise(), plan_id=uuid4(), expected_revision=2)


async def test_a_repeated_request_answers_the_same_and_writes_nothing(store, database):
    plan_id, request = uuid4(), request_by(ADA)
    first = await write(store, draft(), plan_id=plan_id, request=request)
    await write(store, revise(), plan_id=plan_id, expected_revision=2)
    before = await row_counts(database)
    assert await write(store, draft(), plan_id=plan_id, request=request) == first
    assert await row_counts(database) == before


async def test_a_request_is_remembered_by_the_database_and_not_by_the_process(database):
    plan_id, request = uuid4(), request_by(ADA)
    async with await Store.open(database.service_url) as store:
        first = await write(store, draft(), plan_id=plan_id, request=request)
    async with await Store.open(database.service_url) as store:
        assert await store.remembered(request) == first
        assert await write(store, draft(), plan_id=plan_id, request=request) == first


async def test_a_request_that_arrives_many_times_at_once_happens_once(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        for _ in range(10):
            plan_id, drafting, revising = uuid4(), request_by(ADA), request_by(ADA)
            drafts = await asyncio.gather(
                *(write(s, draft(), plan_id=plan_id, request=drafting) for s in (here, there) * 3)
            )
            revisions = await asyncio.gather(
                *(write(s, revise(), plan_id=plan_id, request=revising, expected_revision=2) for s in (here, there) * 3)
            )
            assert len(set(drafts)) == len(set(revisions)) == 1
            assert len(await here.history(workspace="acme", plan_id=plan_id)) == 4


async def test_a_command_that_changes_nothing_is_remembered_too(store):
    plan_id, request = uuid4(), request_by(ADA)
    await write(store, draft(), plan_id=plan_id)
    same = revise(requirements=CHECK, evaluation=evaluation())
    first = await write(store, same, plan_id=plan_id, request=request, expected_revision=2)
    assert (first.changed, first.revision, first.position) == (False, 2, 2)
    await write(store, revise(), plan_id=plan_id, expected_revision=2)
    assert await write(store, same, plan_id=plan_id, request=request, expected_revision=2) == first


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_request_id_cannot_stand_for_another_request(store, database, elsewhere):
    plan_id, request = uuid4(), request_by(ADA)
    await write(store, draft(), plan_id=plan_id, request=request)
    before = await row_counts(database)
    other = replace(request, digest=bytes([1] * 32))
    with pytest.raises(RequestIdReused):
        await write(store, draft(), plan_id=uuid4() if elsewhere else plan_id, request=other)
    with pytest.raises(RequestIdReused):
        await store.remembered(other)
    assert await row_counts(database) == before


async def test_a_request_id_is_the_callers_own(store):
    request = request_by(ADA)
    await write(store, draft(), plan_id=uuid4(), request=request)
    for other in (
        replace(request, actor=BOB),
        replace(request, method="Test/Other"),
        replace(request, workspace="umbrella"),
    ):
        assert await store.remembered(other) is None
        written = await write(store, draft(actor=other.actor), plan_id=uuid4(), request=other)
        assert written.revision == 2


async def test_a_refused_command_writes_nothing_and_is_decided_anew(store, database):
    plan_id, request = uuid4(), request_by(ADA)
    await write(store, draft(), plan_id=plan_id)
    before = await row_counts(database)
    with pytest.raises(ApproverIsPlanner):
        await write(store, approve(actor=ADA), plan_id=plan_id, request=request, expected_revision=2)
    assert await row_counts(database) == before
    allowed = approve(actor=ADA, four_eyes=False)
    written = await write(store, allowed, plan_id=plan_id, request=request, expected_revision=2)
    assert written.revision == 3


async def test_what_a_process_knows_of_a_plan_never_hides_what_others_did(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        plan_id = uuid4()
        await write(here, draft(), plan_id=plan_id)
        await write(there, revise(), plan_id=plan_id, expected_revision=2)
        with pytest.raises(StaleRevision):
            await write(here, retire(), plan_id=plan_id, expected_revision=2)
        await write(here, revise(requirements=CHECK, evaluation=evaluation()), plan_id=plan_id, expected_revision=4)
        with pytest.raises(PlanAlreadyExists):
            await write(there, draft(), plan_id=plan_id)
        written = await write(there, approve(revision=6), plan_id=plan_id, expected_revision=6)
        assert written.revision == 7
        assert await here.plan(workspace="acme", plan_id=plan_id) == await there.plan(workspace="acme", plan_id=plan_id)


async def test_events_read_models_and_answer_are_one_transaction(store, database):
    plan_id, request = uuid4(), request_by(ADA)
    # The read model refuses: then nothing else may be there either.
    engine = sa.create_engine(sa.make_url(database.admin_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE plans ADD CONSTRAINT no_chat CHECK (name <> 'Chat')"))
    before = await row_counts(database)
    with pytest.raises(sa.exc.IntegrityError):
        await write(store, draft(), plan_id=plan_id, request=request)
    assert await row_counts(database) == before
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE plans DROP CONSTRAINT no_chat"))
    engine.dispose()
    assert (await write(store, draft(), plan_id=plan_id, request=request)).position == 2


async def test_one_append_that_cannot_be_stored_spoils_none_of_its_group(store, database):
    engine = sa.create_engine(sa.make_url(database.admin_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE plans ADD CONSTRAINT no_bad CHECK (name <> 'Bad')"))
    engine.dispose()
    names = ["Good", "Bad"] * 10
    outcomes = await asyncio.gather(
        *(write(store, draft(name=name), plan_id=uuid4()) for name in names), return_exceptions=True
    )
    for name, outcome in zip(names, outcomes, strict=True):
        assert isinstance(outcome, sa.exc.IntegrityError) == (name == "Bad")
    listed = await store.plans(workspace="acme", chosen=PlanFilter(), page_size=50)
    assert len(listed.items) == 10
    assert await store.verify() == ()


async def test_a_cancelled_caller_spoils_none_of_its_group(store):
    plan_ids = [uuid4() for _ in range(30)]
    tasks = [asyncio.create_task(write(store, draft(), plan_id=plan_id)) for plan_id in plan_ids]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for index, outcome in enumerate(outcomes):
        assert isinstance(outcome, asyncio.CancelledError) == (index % 3 == 0)
    for plan_id, outcome in zip(plan_ids, outcomes, strict=True):
        with suppress(PlanNotFound):
            plan = await store.plan(workspace="acme", plan_id=plan_id)
            assert plan.state.revision == 2
        if not isinstance(outcome, asyncio.CancelledError):
            await store.plan(workspace="acme", plan_id=plan_id)
    assert await store.verify() == ()


async def test_closing_finishes_the_writes_that_were_accepted(database):
    store = await Store.open(database.service_url)
    tasks = [asyncio.create_task(write(store, draft(), plan_id=uuid4())) for _ in range(20)]
    await asyncio.sleep(0.01)
    await store.close()
    assert all(written.revision == 2 for written in await asyncio.gather(*tasks))


async def test_workspaces_share_a_group_and_nothing_else(store):
    spaces = ["acme", "umbrella", "initech"] * 5
    plan_ids = [uuid4() for _ in spaces]
    await asyncio.gather(
        *(write(store, draft(), plan_id=p, workspace=w) for p, w in zip(plan_ids, spaces, strict=True))
    )
    for space in set(spaces):
        listed = await store.plans(workspace=space, chosen=PlanFilter(), page_size=50)
        assert {plan.plan_id for plan in listed.items} == {
            p for p, w in zip(plan_ids, spaces, strict=True) if w == space
        }
        assert len((await store.events(workspace=space, chosen=EventFilter(), page_size=50)).items) == 10


async def test_one_id_in_two_workspaces_is_two_plans(store):
    plan_id = uuid4()
    await write(store, draft(name="Ours"), plan_id=plan_id, workspace="acme")
    await write(store, draft(name="Theirs"), plan_id=plan_id, workspace="umbrella")
    state = (await store.plan(workspace="umbrella", plan_id=plan_id)).state
    assert isinstance(state, ActivePlan)
    assert state.name == "Theirs"


async def test_recorded_time_never_runs_backwards_against_position(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        await asyncio.gather(*(write(s, draft(), plan_id=uuid4()) for _ in range(25) for s in (here, there)))
        recorded = [event.recorded_at for event in await here.log(after=0)]
        assert len(recorded) == 100
        assert recorded == sorted(recorded)


async def test_a_write_holds_from_when_it_is_recorded_unless_it_says_otherwise(store):
    plan_id = uuid4()
    await write(store, draft(), plan_id=plan_id)
    await write(store, retire(effective_at=WEDNESDAY.replace(year=2100)), plan_id=plan_id, expected_revision=2)
    first, _, last = await store.history(workspace="acme", plan_id=plan_id)
    assert first.effective_at == first.recorded_at
    assert last.effective_at == WEDNESDAY.replace(year=2100)


async def test_a_write_that_would_hold_before_its_predecessor_is_refused(store):
    plan_id = uuid4()
    await write(store, draft(), plan_id=plan_id)
    with pytest.raises(EffectiveTimeInPast):
        await write(store, retire(effective_at=MONDAY.replace(year=2000)), plan_id=plan_id, expected_revision=2)


async def test_the_log_itself_refuses_what_holds_before_its_predecessor(store, database):
    """A clock ahead of the database's lets `decide` pass what only the log can refuse."""
    plan_id = uuid4()
    soon = MONDAY.replace(year=2100)
    await write(store, draft(effective_at=soon), plan_id=plan_id)
    before = await row_counts(database)
    with pytest.raises(EffectiveTimeInPast) as refused:
        await write(store, retire(at=soon.replace(year=2101)), plan_id=plan_id, expected_revision=2)
    assert refused.value.earliest == soon
    assert await row_counts(database) == before


async def test_many_writers_of_one_plan_lose_nothing(database):
    """Everybody revises until it works: every acknowledged revision is there, in one order."""
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        plan_id = uuid4()
        await write(here, draft(), plan_id=plan_id)

        async def insist(store: Store, name: str) -> int:
            while True:
                revision = (await store.plan(workspace="acme", plan_id=plan_id)).state.revision
                command = revise(
                    requirements=SMALLER_CHECK,
                    evaluation=evaluation(replace(DOES_NOT_FIT, sentence=name)),
                    reason=name,
                )
                with suppress(StaleRevision):
                    written = await write(store, command, plan_id=plan_id, expected_revision=revision)
                    return written.revision

        names = [f"writer {number}" for number in range(10)]
        stores = [here, there] * 5
        revisions = await asyncio.gather(*(insist(s, n) for s, n in zip(stores, names, strict=True)))
        history = await here.history(workspace="acme", plan_id=plan_id)
        assert sorted(revisions) == list(range(4, 24, 2))
        reasons = [stored.event.reason for stored in history if stored.type == "plan_revised"]  # type: ignore[attr-defined]
        assert sorted(reasons) == sorted(names)


async def test_every_event_has_one_summary_and_every_plan_one_row(store, database):
    for _ in range(3):
        plan_id = uuid4()
        await write(store, draft(), plan_id=plan_id)
        await write(store, revise(), plan_id=plan_id, expected_revision=2)
    counts = await row_counts(database)
    assert counts[events.name] == counts[event_summaries.name] == 12
    assert counts[plans.name] == 3
    assert counts[requests.name] == 6
