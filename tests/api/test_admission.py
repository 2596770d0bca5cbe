"""What every call passes: reading, validation, deadlines, and refusals that say why."""

import asyncio
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tonnage.v1 import audit_pb2 as audit
from tonnage.v1 import catalog_pb2, catalog_pb2_grpc
from tonnage.v1 import plan_pb2 as pb
from tonnage.v1 import sizing_pb2 as sizing

from service.api.admission import Admission
from service.api.caller import declared_caller
from service.api.catalog_servicer import CatalogServicer
from tests.api.calling import R1, Caller, checking, drafting, refusal


async def test_all_fields_that_break_a_rule_are_named_at_once(planner):
    request = sizing.CheckDeploymentRequest(
        model="", accelerator="x" * 101, tensor_parallel=-1, memory_fraction=float("nan"), speculative_draft_tokens=65
    )
    refused = await planner.refused(planner.sizing.CheckDeployment, request)
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    assert set(refused.fields) == {
        "model",
        "accelerator",
        "accelerator_count",
        "tensor_parallel",
        "memory_fraction",
        "speculative_draft_tokens",
    }


async def test_a_rule_that_is_broken_deep_inside_is_named_with_its_path(planner):
    question = sizing.SizeDeploymentRequest(model=R1, accelerators=["h200-sxm-141", ""])
    request = drafting(requirements=pb.Requirements(size=question))
    refused = await planner.refused(planner.plans.DraftPlan, request)
    assert set(refused.fields) == {"requirements.size.accelerators[1]"}


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("request_id", drafting(request_id="one")),
        ("plan_id", drafting(plan_id="one")),
        ("name", drafting(name="")),
        ("name", drafting(name="a\x00b")),
        ("requirements", pb.DraftPlanRequest(request_id=str(uuid4()), name="x")),
        ("requirements.question", drafting(requirements=pb.Requirements())),
    ],
)
async def test_a_draft_that_breaks_a_rule_is_refused(planner, field, request_):
    refused = await planner.refused(planner.plans.DraftPlan, request_)
    assert (refused.reason, set(refused.fields)) == ("REQUEST_INVALID", {field})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 0.0, 1.5])
async def test_a_fraction_is_above_0_and_at_most_1(planner, number):
    refused = await planner.refused(planner.sizing.CheckDeployment, checking(memory_fraction=number))
    assert "memory_fraction" in refused.fields


async def test_a_time_that_is_none_is_refused(planner):
    nowhen = drafting(effective_at=Timestamp(seconds=1, nanos=2**31 - 1))
    refused = await planner.refused(planner.plans.DraftPlan, nowhen)
    assert (refused.reason, set(refused.fields)) == ("REQUEST_INVALID", {"effective_at"})


async def test_bytes_that_are_no_message_are_refused(channel):
    call = channel.unary_unary("/tonnage.v1.PlanService/DraftPlan")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"\xff\xff\xff", timeout=10)
    refused = refusal(raised.value)
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_UNREADABLE")


@pytest.mark.parametrize(
    "path", ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/tonnage.v1.SizingService/SizeDeployment"]
)
async def test_bytes_that_are_no_message_are_refused_by_every_service(channel, path):
    is_stream = path.endswith("Watch")
    call = channel.unary_stream(path)(b"\xff\xff", timeout=10) if is_stream else None
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await (channel.unary_unary(path)(b"\xff\xff", timeout=10) if call is None else call.read())
    assert refusal(raised.value).reason == "REQUEST_UNREADABLE"


async def test_bytes_that_are_no_message_are_refused_by_reflection(channel):
    call = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")(timeout=10)
    await call.write(b"\xff\xff")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert refusal(raised.value).reason == "REQUEST_UNREADABLE"


async def test_health_can_be_watched(channel):
    stub: Any = health_pb2_grpc.HealthStub(channel)
    watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=10)
    assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
    watching.cancel()


async def test_a_request_that_is_too_large_is_refused(channel):
    call = channel.unary_unary("/tonnage.v1.PlanService/DraftPlan")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(bytes(2_000_000), timeout=10)
    assert raised.value.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_a_method_that_is_not_there_is_unimplemented(channel):
    call = channel.unary_unary("/tonnage.v1.PlanService/DeletePlan")
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call(b"", timeout=10)
    assert raised.value.code() is StatusCode.UNIMPLEMENTED


async def test_a_deadline_that_passes_ends_the_call(planner):
    refused = await planner.refused(planner.plans.DraftPlan, drafting(), limit_s=0.0005)
    assert refused.code is StatusCode.DEADLINE_EXCEEDED


async def test_an_unset_filter_lists_everything(planner):
    assert (await planner.call(planner.audit.ListEvents, audit.ListEventsRequest())).events == []


class Broken(CatalogServicer):
    """A servicer with a bug, and one that takes its time."""

    async def GetModel(self, request, context):  # noqa: N802 - gRPC names the methods
        raise KeyError("secret-password")

    async def ListModels(self, request, context):  # noqa: N802 - as above
        await asyncio.sleep(30)
        return catalog_pb2.ListModelsResponse()


@pytest.fixture
async def broken(catalog):
    server = grpc.aio.server(interceptors=(Admission(declared_caller),))
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(Broken(catalog), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Caller(channel)
    await server.stop(0)


async def test_a_bug_is_answered_without_its_text_and_logged_with_it(broken, capsys):
    refused = await broken.refused(broken.catalog.GetModel, catalog_pb2.GetModelRequest(model="x"))
    assert (refused.code, refused.reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in f"{refused}"
    logged = capsys.readouterr()
    assert refused.metadata["incident"] in logged.out + logged.err
    assert "secret-password" in logged.out + logged.err


async def test_an_answer_that_takes_too_long_is_given_up(broken):
    refused = await broken.refused(broken.catalog.ListModels, catalog_pb2.ListModelsRequest(), limit_s=0.2)
    assert refused.code is StatusCode.DEADLINE_EXCEEDED
