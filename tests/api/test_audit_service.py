"""The history over a real channel: who did what, when and why."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tonnage.v1 import audit_pb2 as pb
from tonnage.v1 import plan_pb2 as plan
from tonnage.v1 import sizing_pb2 as sizing

from tests.api.calling import R1, Caller


async def types(caller: Caller, **chosen) -> list[str]:
    found = await caller.call(caller.audit.ListEvents, pb.ListEventsRequest(**chosen))
    return [event.type for event in found.events]


async def test_everything_that_happened_to_a_plan_is_listed_newest_first(planner, approver):
    drafted = await planner.draft()
    await approver.approve(drafted.plan)
    found = await planner.call(planner.audit.ListEvents, pb.ListEventsRequest(plan_id=drafted.plan.plan_id))
    assert [(event.revision, event.type, event.subject) for event in found.events] == [
        (3, "plan_approved", "abe"),
        (2, "plan_evaluated", "pia"),
        (1, "plan_drafted", "pia"),
    ]


async def test_an_event_shows_what_it_says_and_its_place_in_the_chain(planner):
    drafted = await planner.draft()
    found = await planner.call(planner.audit.ListEvents, pb.ListEventsRequest(plan_id=drafted.plan.plan_id))
    evaluated, begun = found.events
    assert begun.plan_drafted.requirements == drafted.plan.requirements
    assert evaluated.plan_evaluated.evaluation == drafted.plan.evaluation
    assert evaluated.previous_hash == begun.hash
    assert len(begun.hash) == 32
    assert evaluated.position == drafted.outcome.position


async def test_every_kind_of_plan_event_is_shown(planner, approver):
    drafted = await planner.draft()
    revised = await planner.revise(drafted.plan)
    approved = await approver.approve(revised.plan)
    await planner.retire(approved.plan)
    found = await planner.call(planner.audit.ListEvents, pb.ListEventsRequest(plan_id=drafted.plan.plan_id))
    assert {event.WhichOneof("event") for event in found.events} == {
        "plan_drafted",
        "plan_revised",
        "plan_evaluated",
        "plan_approved",
        "plan_retired",
    }


async def test_events_are_chosen_by_actor_type_model_and_accelerator(planner, approver):
    drafted = await planner.draft()
    approved = await approver.approve(drafted.plan)
    plan_id, approver_id = drafted.plan.plan_id, approved.plan.approvals[0].actor
    assert await types(planner, actor=approver_id) == ["plan_approved"]
    assert await types(planner, plan_id=plan_id, type="plan_drafted") == ["plan_drafted"]
    assert "plan_drafted" in await types(planner, model=R1)
    assert await types(planner, accelerator="h200-sxm-141") == ["plan_evaluated"]
    assert await types(planner, model="another") == []
    assert await types(planner, actor=str(uuid4())) == []


async def test_events_are_chosen_by_time(planner):
    await planner.draft()
    tomorrow, yesterday = Timestamp(), Timestamp()
    tomorrow.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    yesterday.FromDatetime(datetime.now(UTC) - timedelta(days=1))
    assert await types(planner, recorded_from=yesterday, recorded_before=tomorrow)
    assert await types(planner, recorded_from=tomorrow) == []
    assert await types(planner, recorded_before=yesterday) == []


async def test_events_come_page_by_page(planner):
    for _ in range(3):
        await planner.draft()
    request = pb.ListEventsRequest(page_size=2)
    positions: list[int] = []
    while True:
        page = await planner.call(planner.audit.ListEvents, request)
        positions.extend(event.position for event in page.events)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert positions == sorted(positions, reverse=True)
    assert len(positions) == 6


async def test_a_page_of_large_answers_is_cut_where_a_client_would_choke(planner):
    question = sizing.SizeDeploymentRequest(model=R1)
    for _ in range(12):
        await planner.draft(requirements=plan.Requirements(size=question))
    request = pb.ListEventsRequest(type="plan_evaluated", page_size=500)
    count = 0
    while True:
        page = await planner.call(planner.audit.ListEvents, request)
        count += len(page.events)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert count == 12


async def test_another_workspace_sees_nothing(planner, channel):
    await planner.draft()
    assert await types(Caller(channel, subject="sam", workspace="elsewhere")) == []


async def test_a_page_token_that_was_not_given_out_is_refused(planner):
    refused = await planner.refused(planner.audit.ListEvents, pb.ListEventsRequest(page_token="nonsense"))
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
