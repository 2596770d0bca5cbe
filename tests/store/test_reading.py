"""What the store answers to those who read: now, then, and in pages that stay in place."""

import base64
import random
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.planning.plan import ActivePlan, PlanNotFound, RetiredPlan
from service.store import EventFilter, PlanFilter, Store
from service.store.refusal import PageTokenInvalid, PositionNotReached, RevisionNotFound
from tests.planning.example import (
    ADA,
    BOB,
    CHECK,
    DECEMBER,
    MONDAY,
    NOVEMBER,
    SIZE,
    SIZED,
    approve,
    draft,
    evaluation,
    retire,
    revise,
)
from tests.store.writing import write

FUTURE = MONDAY.replace(year=2100)


@pytest.fixture
async def plan_id(store):
    """A plan that was drafted, approved, revised and retired."""
    plan_id = uuid4()
    await write(store, draft(), plan_id=plan_id)
    await write(store, approve(), plan_id=plan_id, expected_revision=2)
    await write(store, revise(), plan_id=plan_id, expected_revision=3)
    await write(store, retire(), plan_id=plan_id, expected_revision=5)
    return plan_id


async def test_a_plan_is_what_its_events_make_it(store, plan_id):
    plan = await store.plan(workspace="acme", plan_id=plan_id)
    assert isinstance(plan.state, RetiredPlan)
    assert (plan.state.revision, plan.position, plan.drafted_by) == (6, 6, ADA)
    assert plan.created_at < plan.updated_at


@pytest.mark.parametrize(("revision", "approvals", "requirements_count"), [(2, 0, 8), (3, 1, 8), (4, 0, 4), (5, 0, 4)])
async def test_a_plan_is_shown_as_it_stood_at_a_revision(store, plan_id, revision, approvals, requirements_count):
    plan = await store.plan(workspace="acme", plan_id=plan_id, revision=revision)
    assert isinstance(plan.state, ActivePlan)
    assert plan.state.revision == revision
    assert len(plan.state.approvals) == approvals
    assert plan.state.requirements.accelerator_count == requirements_count  # type: ignore[union-attr]


async def test_a_revision_that_is_not_there_is_not_found(store, plan_id):
    with pytest.raises(RevisionNotFound):
        await store.plan(workspace="acme", plan_id=plan_id, revision=7)


@pytest.mark.parametrize("revision", [None, 1])
async def test_a_plan_of_another_workspace_is_not_found(store, plan_id, revision):
    with pytest.raises(PlanNotFound):
        await store.plan(workspace="umbrella", plan_id=plan_id, revision=revision)
    with pytest.raises(PlanNotFound):
        await store.history(workspace="umbrella", plan_id=plan_id)


async def test_a_plan_is_shown_as_it_was_known_at_a_time(store, plan_id):
    history = await store.history(workspace="acme", plan_id=plan_id)
    for event in history:
        # What one command wrote has one time.
        expected = max(other.revision for other in history if other.recorded_at == event.recorded_at)
        plan = await store.plan_as_of(workspace="acme", plan_id=plan_id, recorded_at=event.recorded_at)
        assert plan.state.revision == expected
    before = history[0].recorded_at - timedelta(microseconds=1)
    with pytest.raises(RevisionNotFound):
        await store.plan_as_of(workspace="acme", plan_id=plan_id, recorded_at=before)


async def test_what_is_known_is_told_apart_from_what_holds(store):
    plan_id = uuid4()
    await write(store, draft(), plan_id=plan_id)
    await write(store, retire(effective_at=FUTURE), plan_id=plan_id, expected_revision=2)
    known = (await store.history(workspace="acme", plan_id=plan_id))[-1].recorded_at

    for effective_at, kind in ((FUTURE - timedelta(days=1), ActivePlan), (FUTURE, RetiredPlan)):
        plan = await store.plan_as_of(workspace="acme", plan_id=plan_id, recorded_at=known, effective_at=effective_at)
        assert isinstance(plan.state, kind)


async def test_history_is_told_oldest_first(store, plan_id):
    history = await store.history(workspace="acme", plan_id=plan_id)
    assert [event.type for event in history] == [
        "plan_drafted",
        "plan_evaluated",
        "plan_approved",
        "plan_revised",
        "plan_evaluated",
        "plan_retired",
    ]
    assert [event.revision for event in history] == [1, 2, 3, 4, 5, 6]


async def test_a_read_may_ask_for_its_own_write(store, plan_id):
    plan = await store.plan(workspace="acme", plan_id=plan_id, at_least_position=6)
    assert plan.position == 6
    for read in (
        store.plan(workspace="acme", plan_id=plan_id, at_least_position=7),
        store.plans(workspace="acme", chosen=PlanFilter(), page_size=1, at_least_position=7),
        store.events(workspace="acme", chosen=EventFilter(), page_size=1, at_least_position=7),
    ):
        with pytest.raises(PositionNotReached) as refused:
            await read
        assert refused.value.position == 6


async def test_a_list_shows_each_plan_as_it_stands(store, plan_id):
    (plan,) = (await store.plans(workspace="acme", chosen=PlanFilter(), page_size=5)).items
    record = await store.plan(workspace="acme", plan_id=plan_id)
    assert (plan.plan_id, plan.revision, plan.status) == (plan_id, 6, "retired")
    assert (plan.name, plan.model, plan.accelerators) == ("Chat", "deepseek-v3", ("h200-sxm",))
    assert (plan.verdict, plan.approval_count) == ("does_not_fit", 0)
    assert (plan.catalog_release, plan.catalog_digest, plan.planner) == ("2026-11", NOVEMBER, ADA)
    assert (plan.created_at, plan.updated_at) == (record.created_at, record.updated_at)


async def plan_ids(store: Store, chosen: PlanFilter, page_size: int) -> list[object]:
    found: list[object] = []
    token = ""
    while True:
        page = await store.plans(workspace="acme", chosen=chosen, page_size=page_size, page_token=token)
        assert len(page.items) <= page_size
        found += [plan.plan_id for plan in page.items]
        token = page.next_page_token
        if not token:
            return found


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 8])
async def test_plans_are_listed_newest_first_in_pages_of_any_size(store, page_size):
    written = [uuid4() for _ in range(7)]
    for plan_id in written:
        await write(store, draft(), plan_id=plan_id)
    assert await plan_ids(store, PlanFilter(), page_size) == written[::-1]


async def test_pages_stay_in_place_while_others_write(store):
    written = [uuid4() for _ in range(6)]
    for plan_id in written:
        await write(store, draft(), plan_id=plan_id)
    first = await store.plans(workspace="acme", chosen=PlanFilter(), page_size=3)
    await write(store, draft(), plan_id=uuid4())
    await write(store, revise(), plan_id=written[0], expected_revision=2)
    second = await store.plans(workspace="acme", chosen=PlanFilter(), page_size=3, page_token=first.next_page_token)
    assert [plan.plan_id for plan in (*first.items, *second.items)] == written[::-1]
    assert second.next_page_token == ""


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (PlanFilter(status="active"), [0, 1]),
        (PlanFilter(status="retired"), [2]),
        (PlanFilter(model="deepseek-v3"), [0, 1, 2]),
        (PlanFilter(model="gpt-oss-120b"), []),
        (PlanFilter(accelerator="h200-sxm"), [0, 2]),
        (PlanFilter(accelerator="h20-96"), [1]),
        (PlanFilter(accelerator="a100-80"), [1]),
        (PlanFilter(catalog_digest=DECEMBER), [1]),
        (PlanFilter(planner=BOB), [1]),
        (PlanFilter(planner=ADA, accelerator="h200-sxm", status="active"), [0]),
    ],
)
async def test_plans_are_chosen_by_what_they_stand_for(store, chosen, expected):
    written = [uuid4() for _ in range(3)]
    await write(store, draft(), plan_id=written[0])
    asked = replace(SIZE, accelerators=("h20-96", "a100-80"))
    await write(
        store,
        draft(actor=BOB, requirements=asked, evaluation=evaluation(SIZED, DECEMBER)),
        plan_id=written[1],
    )
    await write(store, draft(), plan_id=written[2])
    await write(store, retire(), plan_id=written[2], expected_revision=2)
    assert sorted(await plan_ids(store, chosen, 10), key=written.index) == [written[n] for n in expected]  # type: ignore[arg-type]


async def test_a_revised_plan_is_found_by_what_it_stands_for_now(store):
    plan_id = uuid4()
    await write(store, draft(), plan_id=plan_id)
    elsewhere = revise(requirements=replace(CHECK, accelerator="h20-96"), evaluation=evaluation(digest=DECEMBER))
    await write(store, elsewhere, plan_id=plan_id, expected_revision=2)
    assert await plan_ids(store, PlanFilter(accelerator="h200-sxm"), 10) == []
    assert await plan_ids(store, PlanFilter(accelerator="h20-96"), 10) == [plan_id]


@pytest.mark.parametrize("page_size", [1, 2, 4, 6])
async def test_events_are_listed_newest_first_in_pages_of_any_size(store, plan_id, page_size):
    positions: list[int] = []
    token = ""
    while True:
        page = await store.events(
            workspace="acme", chosen=EventFilter(plan_id=plan_id), page_size=page_size, page_token=token
        )
        positions += [event.position for event in page.items]
        token = page.next_page_token
        if not token:
            break
    assert positions == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (EventFilter(), [8, 7, 6, 5, 4, 3, 2, 1]),
        (EventFilter(actor=BOB), [3]),
        (EventFilter(type="plan_evaluated"), [8, 5, 2]),
        (EventFilter(model="deepseek-v3"), [8, 7, 5, 4, 2, 1]),
        (EventFilter(catalog_digest=DECEMBER), [8]),
        (EventFilter(accelerator="h200-sxm"), [5, 2]),
        (EventFilter(accelerator="h20-96"), [8]),
        (EventFilter(accelerator="h20-96", catalog_digest=NOVEMBER), []),
        (EventFilter(accelerator="h20-96", catalog_digest=DECEMBER, actor=ADA), [8]),
        (EventFilter(recorded_before=MONDAY.replace(year=2000)), []),
        (EventFilter(recorded_from=FUTURE), []),
    ],
)
@pytest.mark.usefixtures("plan_id")
async def test_events_are_chosen_by_what_an_auditor_looks_for(store, chosen, expected):
    asked = replace(SIZE, accelerators=("h20-96",))
    await write(store, draft(requirements=asked, evaluation=evaluation(SIZED, DECEMBER)), plan_id=uuid4())
    page = await store.events(workspace="acme", chosen=chosen, page_size=20)
    assert [event.position for event in page.items] == expected


async def test_events_are_chosen_by_when_they_were_recorded(store, plan_id):
    history = await store.history(workspace="acme", plan_id=plan_id)
    for first in history:
        for last in history:
            page = await store.events(
                workspace="acme",
                chosen=EventFilter(recorded_from=first.recorded_at, recorded_before=last.recorded_at),
                page_size=20,
            )
            assert [event.position for event in page.items] == [
                event.position
                for event in reversed(history)
                if first.recorded_at <= event.recorded_at < last.recorded_at
            ]


@pytest.mark.parametrize("token", ["x", "AAAA", "A" * 24, "é", "A" * 1000, "\x00"])
async def test_a_token_that_was_not_given_out_is_refused(store, token):
    with pytest.raises(PageTokenInvalid):
        await store.plans(workspace="acme", chosen=PlanFilter(), page_size=1, page_token=token)
    with pytest.raises(PageTokenInvalid):
        await store.events(workspace="acme", chosen=EventFilter(), page_size=1, page_token=token)


@pytest.mark.usefixtures("plan_id")
async def test_a_token_belongs_to_its_list(store):
    token = (await store.events(workspace="acme", chosen=EventFilter(), page_size=1)).next_page_token
    for workspace, chosen in (("umbrella", EventFilter()), ("acme", EventFilter(actor=BOB))):
        with pytest.raises(PageTokenInvalid):
            await store.events(workspace=workspace, chosen=chosen, page_size=1, page_token=token)


async def test_text_that_a_column_cannot_hold_is_shown_with_a_mark_and_kept_whole(store):
    plan_id = uuid4()
    await write(store, draft(name="a\x00b"), plan_id=plan_id)
    (plan,) = (await store.plans(workspace="acme", chosen=PlanFilter(), page_size=5)).items
    assert plan.name == "a\N{REPLACEMENT CHARACTER}b"
    state = (await store.plan(workspace="acme", plan_id=plan_id)).state
    assert isinstance(state, ActivePlan)
    assert state.name == "a\x00b"
    assert await store.verify() == ()


async def test_a_page_of_large_events_ends_early_and_loses_none(store):
    """Answers over the whole catalog are large: a page holds what a message can, but at least one event."""
    for seed in range(4):
        noise = base64.b64encode(random.Random(seed).randbytes(300_000)).decode()
        large = replace(SIZED, sentence=noise)
        await write(store, draft(requirements=SIZE, evaluation=evaluation(large)), plan_id=uuid4())
    positions: list[int] = []
    sizes: list[int] = []
    token = ""
    while True:
        page = await store.events(workspace="acme", chosen=EventFilter(), page_size=50, page_token=token)
        positions += [event.position for event in page.items]
        sizes.append(len(page.items))
        token = page.next_page_token
        if not token:
            break
    assert positions == [8, 7, 6, 5, 4, 3, 2, 1]
    assert min(sizes) >= 1
    assert len(sizes) > 1
