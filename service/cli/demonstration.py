"""The first plan: asked for, kept and read through the contract, and printed for people."""

from uuid import NAMESPACE_URL, uuid5

import grpc
from rich.text import Text
from tonnage.v1 import catalog_pb2, catalog_pb2_grpc, plan_pb2_grpc
from tonnage.v1 import deployment_pb2 as part
from tonnage.v1 import plan_pb2 as pb
from tonnage.v1 import sizing_pb2 as sizing

from service.cli.plan_report import show_evaluation
from service.cli.screen import screen, show_section

MODEL = "deepseek-ai/DeepSeek-R1"
NAME = "DeepSeek-R1 671B on whatever fits"
LIMIT_S = 60.0
ROWS = 12


async def demonstrate(address: str) -> None:
    """Make one plan through the server at ``address`` and print it; a later start finds the same plan again."""
    async with grpc.aio.insecure_channel(address) as channel:
        release = await _release(channel)
        question = sizing.SizeDeploymentRequest(model=MODEL, policy=part.POLICY_ALLOW_8BIT)
        request = pb.DraftPlanRequest(
            request_id=str(uuid5(NAMESPACE_URL, f"tonnage:first-plan:{release.digest}")),
            name=NAME,
            requirements=pb.Requirements(size=question),
        )
        response = await plan_pb2_grpc.PlanServiceStub(channel).DraftPlan(request, timeout=LIMIT_S)
    screen().rule(f"Plan {response.outcome.plan_id}, revision {response.outcome.revision}", style="dim")
    show_evaluation(response.plan.evaluation, most_rows=ROWS)
    _show_what_next(address, response.outcome.plan_id)


async def _release(channel: grpc.aio.Channel) -> catalog_pb2.Release:
    request = catalog_pb2.ListModelsRequest(page_size=1)
    response = await catalog_pb2_grpc.CatalogServiceStub(channel).ListModels(request, timeout=LIMIT_S)
    return response.release


def _show_what_next(address: str, plan_id: str) -> None:
    show_section(f"Serving on {address} (gRPC, with reflection). Ctrl-C ends it. In another terminal:")
    for line in (
        f"tonnage plan show {plan_id[:8]} --server {address}",
        f"tonnage plan approve {plan_id[:8]} --as somebody-else --server {address}",
        f"tonnage history {plan_id[:8]} --server {address}",
        "tonnage check DeepSeek-R1 --accelerator a100-sxm-80 --count 16 --weight-format bf16",
        "tonnage precision DeepSeek-R1 ascend-910b3",
    ):
        screen().print(Text(f"  .venv/bin/{line}"))
