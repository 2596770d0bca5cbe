"""PlanService: plans that are kept."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import grpc
from tonnage.v1 import plan_pb2 as pb
from tonnage.v1 import plan_pb2_grpc as rpc

from domain.planning.happening import ActorId
from service.api import plan_message as message
from service.api.caller import CURRENT
from service.api.conversion import enum_literal
from service.api.plan_desk import PlanDesk
from service.store import PlanFilter, PlanRecord, Store

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_PAGE_SIZE = 50


class PlanServicer(rpc.PlanServiceServicer):
    """PlanService over one store."""

    def __init__(self, *, desk: PlanDesk, store: Store, new_id: Callable[[], UUID], four_eyes: bool) -> None:
        self._desk = desk
        self._store = store
        self._new_id = new_id
        self._four_eyes = four_eyes

    async def DraftPlan(self, request: pb.DraftPlanRequest, context: Context) -> pb.DraftPlanResponse:
        written, record, subjects = await self._desk.execute(message.draft(request, self._new_id()))
        return pb.DraftPlanResponse(outcome=message.outcome(written), plan=message.plan(record, subjects))

    async def RevisePlan(self, request: pb.RevisePlanRequest, context: Context) -> pb.RevisePlanResponse:
        written, record, subjects = await self._desk.execute(message.revise(request))
        return pb.RevisePlanResponse(outcome=message.outcome(written), plan=message.plan(record, subjects))

    async def ApprovePlan(self, request: pb.ApprovePlanRequest, context: Context) -> pb.ApprovePlanResponse:
        wish = message.approve(request, four_eyes=self._four_eyes)
        written, record, subjects = await self._desk.execute(wish)
        return pb.ApprovePlanResponse(outcome=message.outcome(written), plan=message.plan(record, subjects))

    async def RetirePlan(self, request: pb.RetirePlanRequest, context: Context) -> pb.RetirePlanResponse:
        written, record, subjects = await self._desk.execute(message.retire(request))
        return pb.RetirePlanResponse(outcome=message.outcome(written), plan=message.plan(record, subjects))

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        record = await self._find(request)
        subjects = await self._desk.subjects(record)
        return pb.GetPlanResponse(plan=message.plan(record, subjects), position=record.position)

    async def ListPlans(self, request: pb.ListPlansRequest, context: Context) -> pb.ListPlansResponse:
        workspace = CURRENT.get().workspace
        page = await self._store.plans(
            workspace=workspace,
            chosen=_filter(request),
            page_size=request.page_size or DEFAULT_PAGE_SIZE,
            page_token=request.page_token,
            at_least_position=request.at_least_position if request.HasField("at_least_position") else None,
        )
        planners = {summary.planner for summary in page.items}
        subjects = await self._store.subjects(workspace=workspace, actors=planners)
        return pb.ListPlansResponse(
            plans=[message.plan_summary(summary, subjects) for summary in page.items],
            next_page_token=page.next_page_token,
        )

    async def _find(self, request: pb.GetPlanRequest) -> PlanRecord:
        workspace, plan_id = CURRENT.get().workspace, UUID(request.plan_id)
        if request.HasField("as_of"):
            recorded_at, effective_at = message.as_of(request)
            return await self._store.plan_as_of(
                workspace=workspace, plan_id=plan_id, recorded_at=recorded_at, effective_at=effective_at
            )
        return await self._store.plan(
            workspace=workspace,
            plan_id=plan_id,
            revision=request.revision if request.HasField("revision") else None,
            at_least_position=request.at_least_position if request.HasField("at_least_position") else None,
        )


def _filter(request: pb.ListPlansRequest) -> PlanFilter:
    return PlanFilter(
        status=enum_literal(pb.PlanStatus.DESCRIPTOR, request.status),  # type: ignore[arg-type]
        model=request.model if request.HasField("model") else None,
        accelerator=request.accelerator if request.HasField("accelerator") else None,
        catalog_digest=request.catalog_digest if request.HasField("catalog_digest") else None,
        planner=ActorId(str(UUID(request.planner))) if request.HasField("planner") else None,
    )
