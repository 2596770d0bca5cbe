"""Who may call, in whose name and about which workspace; and that strangers who are refused leave no trace."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import grpc
import pytest
from grpc import StatusCode
from sqlalchemy.exc import DBAPIError
from tonnage.v1 import audit_pb2 as audit
from tonnage.v1 import plan_pb2 as pb
from tonnage.v1 import sizing_pb2 as sizing

from service.api.server import Server
from service.store import Store
from service.store.database import connect
from tests.api.calling import H200, Caller, drafting, retiring
from tests.store.writing import row_counts

NO_PLAN = pb.Plan(plan_id="00000000-0000-4000-8000-000000000000", revision=1)
UNKNOWN_MODEL = pb.Requirements(
    check=sizing.CheckDeploymentRequest(model="nobody/nothing", accelerator=H200, accelerator_count=8)
)


@pytest.mark.parametrize("workspace", ["*", "system", "System", "a b", "../etc", "-x", "w" * 101, "a;b", '"', "a*"])
async def test_a_workspace_that_nobody_can_call_from_is_refused_before_anything_is_looked_at(
    channel, database, workspace
):
    caller, before = Caller(channel, workspace=workspace), await row_counts(database)
    for method, request in (
        (caller.plans.DraftPlan, drafting()),
        (caller.plans.ListPlans, pb.ListPlansRequest()),
        (caller.audit.ListEvents, audit.ListEventsRequest()),
    ):
        refused = await caller.refused(method, request)
        assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "CALLER_INVALID")
        assert refused.metadata["name"] == "x-tonnage-workspace"
    assert await row_counts(database) == before


async def test_a_subject_longer_than_a_name_is_refused(channel):
    caller = Caller(channel, subject="p" * 201)
    refused = await caller.refused(caller.plans.DraftPlan, drafting())
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "CALLER_INVALID")
    assert refused.metadata["name"] == "x-tonnage-subject"


@pytest.mark.parametrize("workspace", ["default", "acme-2.eu_west", "7", "w" * 100])
async def test_a_workspace_is_a_plain_name(channel, workspace):
    drafted = await Caller(channel, workspace=workspace).draft()
    assert drafted.outcome.changed


async def test_a_stranger_who_is_refused_leaves_no_trace(channel, planner, database):
    drafted, before = await planner.draft(), await row_counts(database)
    eve = Caller(channel, subject="eve")
    for method, request, reason in (
        (eve.plans.DraftPlan, drafting(requirements=UNKNOWN_MODEL), "QUESTION_REFUSED"),
        (eve.plans.DraftPlan, drafting(plan_id=drafted.plan.plan_id), "PLAN_ALREADY_EXISTS"),
        (eve.plans.RetirePlan, retiring(NO_PLAN), "PLAN_NOT_FOUND"),
        (eve.plans.RetirePlan, retiring(drafted.plan, expected_revision=1), "STALE_REVISION"),
    ):
        assert (await eve.refused(method, request)).reason == reason
        assert await row_counts(database) == before
    assert (await eve.draft()).plan.planner_subject == "eve"


async def test_one_person_who_comes_through_two_doors_at_once_is_one_person(settings, catalog, database):
    async def serve(store: Store) -> Server:
        return await Server.start(settings, catalog=catalog, store=store, now=lambda: datetime.now(UTC), new_id=uuid4)

    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        servers = [await serve(here), await serve(there)]
        addresses = [f"127.0.0.1:{server.port}" for server in servers]
        async with grpc.aio.insecure_channel(addresses[0]) as one, grpc.aio.insecure_channel(addresses[1]) as two:
            callers, same = [Caller(channel, subject="ann") for channel in (one, two)], drafting()
            drafted = await asyncio.gather(
                *(caller.call(caller.plans.DraftPlan, same) for caller in callers * 3),
                *(caller.draft() for caller in callers * 3),
            )
        for server in servers:
            await server.stop()
        assert len({answer.plan.planner for answer in drafted}) == 1
        assert {answer.plan.planner_subject for answer in drafted} == {"ann"}
        assert len({answer.plan.plan_id for answer in drafted}) == 7


async def test_a_failure_of_a_statement_does_not_say_what_it_was_asked_with(database):
    engine = connect(database.service_url, connection_count=1)
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as raised:
            await connection.exec_driver_sql("SELECT 1 / (length($1) - 6)", ("secret",))
    await engine.dispose()
    assert "secret" not in str(raised.value)
