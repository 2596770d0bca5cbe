"""The server itself: who is let in, how it says that it is well, and how it ends."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tonnage.v1 import plan_pb2 as pb

from service.api.server import Server
from service.settings import AddressTaken, CredentialsMissing
from service.store import Store
from service.store.embedded import EmbeddedPostgres
from service.store.migration import migrate
from tests import postgres
from tests.api.calling import H200, R1, Caller, drafting

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def calling(settings, catalog, store) -> AsyncIterator[tuple[Server, Caller]]:
    async with (
        serving(settings, catalog, store) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield server, Caller(channel)


@asynccontextmanager
async def serving(settings, catalog, store) -> AsyncIterator[Server]:
    server = await Server.start(settings, catalog=catalog, store=store, now=lambda: datetime.now(UTC), new_id=uuid4)
    try:
        yield server
    finally:
        await server.stop()


async def health(channel, service: str = "") -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return int((await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)).status)


async def test_every_service_says_that_it_is_well(channel):
    names = ("", *(f"tonnage.v1.{kind}Service" for kind in ("Catalog", "Sizing", "Plan", "Audit")))
    assert [await health(channel, name) for name in names] == [SERVING] * 5


async def test_the_health_of_an_unknown_service_is_not_found(channel):
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await health(channel, "tonnage.v1.NoService")
    assert raised.value.code() is StatusCode.NOT_FOUND


async def test_without_a_database_plans_are_not_served_and_questions_are(settings, catalog):
    with postgres.embedded() as server_of_its_own:
        owner_url, service_url = server_of_its_own.owner_url, server_of_its_own.service_url
        migrate(owner_url=owner_url, service_url=service_url)
        async with await Store.open(service_url) as store, serving(settings, catalog, store) as server:
            os.kill(server_of_its_own.postmaster_pid or 0, signal.SIGKILL)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                await until(channel, NOT_SERVING)
                assert await health(channel, "tonnage.v1.PlanService") == NOT_SERVING
                assert await health(channel, "tonnage.v1.SizingService") == SERVING
                caller = Caller(channel)
                refused = await caller.refused(caller.plans.DraftPlan, drafting())
                assert (refused.code, refused.reason) == (StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
                assert refused.has_retry_delay
                again = EmbeddedPostgres.start(server_of_its_own.state)
                await until(channel, SERVING)
                await caller.draft()
                again.stop()


async def until(channel, status: int) -> None:
    for _ in range(300):
        if await health(channel) == status:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"health did not become {status}")


async def test_a_call_in_progress_is_finished_and_a_new_one_turned_away(settings, catalog, store):
    async with calling(settings, catalog, store) as (server, caller):
        calls = [asyncio.create_task(caller.draft(name=f"plan {number}")) for number in range(20)]
        await asyncio.sleep(0.05)
        await server.stop()
        drafted = await asyncio.gather(*calls)
        refused = await caller.refused(caller.plans.DraftPlan, drafting())
        assert refused.code is StatusCode.UNAVAILABLE
    async with calling(settings, catalog, store) as (_, caller):
        listed = await caller.call(caller.plans.ListPlans, pb.ListPlansRequest(page_size=100))
    assert {answer.plan.plan_id for answer in drafted} == {plan.plan_id for plan in listed.plans}


async def test_more_calls_than_the_limit_are_shed(settings, catalog, store):
    async with calling(replace(settings, concurrent_call_limit=2), catalog, store) as (_, caller):
        outcomes = await asyncio.gather(*(caller.draft() for _ in range(30)), return_exceptions=True)
    codes = {outcome.code() for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)}
    assert codes == {StatusCode.RESOURCE_EXHAUSTED}


async def test_two_servers_on_one_database_share_one_port(settings, catalog, store, database):
    given = replace(settings, database_url=database.service_url)
    async with calling(given, catalog, store) as (first, caller):
        same = replace(given, listen=f"127.0.0.1:{first.port}")
        async with calling(same, catalog, store) as (second, other):
            assert second.port == first.port
            drafted = await caller.draft()
            found = await other.call(other.plans.GetPlan, pb.GetPlanRequest(plan_id=drafted.plan.plan_id))
            assert found.plan == drafted.plan


async def test_a_server_with_a_database_of_its_own_shares_no_port(settings, catalog, store):
    async with serving(settings, catalog, store) as first:
        with pytest.raises(AddressTaken):
            async with serving(replace(settings, listen=f"127.0.0.1:{first.port}"), catalog, store):
                pass


async def test_without_credentials_the_door_opens_only_in_development(settings, catalog, store):
    with pytest.raises(CredentialsMissing):
        async with serving(replace(settings, development=False), catalog, store):
            pass


async def test_a_client_that_knows_no_contract_learns_it_by_reflection(channel):
    pool = await described(channel, "tonnage.v1.SizingService")
    method = pool.FindServiceByName("tonnage.v1.SizingService").FindMethodByName("CheckDeployment")
    asked, answered = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answered.FromString,
    )
    request = ParseDict({"model": R1, "accelerator": H200, "accelerator_count": 8}, asked())
    response = MessageToDict(await call(request, timeout=10), preserving_proto_field_name=True)
    assert response["answer"]["verdict"] == "VERDICT_FITS"


async def described(channel, service: str) -> DescriptorPool:
    """Ask the server for the file of a service and everything that it builds on."""
    known: dict[str, FileDescriptorProto] = {}
    await learn(channel, known, file_containing_symbol=service)
    while missing := {name for file in known.values() for name in file.dependency} - known.keys():
        await learn(channel, known, file_by_filename=missing.pop())
    pool = DescriptorPool()
    while len(pooled := [name for name in known if is_in(pool, name)]) < len(known):
        for name, file in known.items():
            if name not in pooled and set(file.dependency) <= set(pooled):
                pool.Add(file)
    return pool


async def learn(channel, known, **what) -> None:
    async def one() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(**what)

    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    async for response in stub.ServerReflectionInfo(one(), timeout=10):
        for content in response.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(content)
            known[file.name] = file


def is_in(pool: DescriptorPool, name: str) -> bool:
    try:
        pool.FindFileByName(name)
    except KeyError:
        return False
    return True
