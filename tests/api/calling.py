"""Calling the service as its clients do, and reading why a call was refused."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from tonnage.v1 import audit_pb2_grpc, catalog_pb2_grpc, plan_pb2_grpc, sizing_pb2_grpc
from tonnage.v1 import plan_pb2 as pb
from tonnage.v1 import sizing_pb2 as sizing

LIMIT_S = 20.0
R1 = "deepseek-ai/DeepSeek-R1"
H200 = "h200-sxm-141"


@dataclass(frozen=True)
class Refused:
    """Why a call was refused."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: dict[str, str]
    fields: dict[str, str]
    has_retry_delay: bool


class Caller:
    """A client with a name."""

    def __init__(self, channel: grpc.aio.Channel, subject: str = "pia", workspace: str = "default") -> None:
        self.metadata = (("x-tonnage-subject", subject), ("x-tonnage-workspace", workspace))
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.sizing = sizing_pb2_grpc.SizingServiceStub(channel)
        self.plans = plan_pb2_grpc.PlanServiceStub(channel)
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)

    async def call(self, method: Any, request: Message, limit_s: float = LIMIT_S) -> Any:
        """Return what ``method`` answers."""
        return await method(request, metadata=self.metadata, timeout=limit_s)

    async def refused(self, method: Any, request: Message, limit_s: float = LIMIT_S) -> Refused:
        """Return why ``method`` does not answer."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.call(method, request, limit_s)
        return refusal(raised.value)

    async def draft(self, **given: Any) -> pb.DraftPlanResponse:
        """Begin a plan."""
        answer: pb.DraftPlanResponse = await self.call(self.plans.DraftPlan, drafting(**given))
        return answer

    async def revise(self, plan: pb.Plan, **given: Any) -> pb.RevisePlanResponse:
        """Change a plan."""
        answer: pb.RevisePlanResponse = await self.call(self.plans.RevisePlan, revising(plan, **given))
        return answer

    async def approve(self, plan: pb.Plan, **given: Any) -> pb.ApprovePlanResponse:
        """Agree to a plan."""
        answer: pb.ApprovePlanResponse = await self.call(self.plans.ApprovePlan, approving(plan, **given))
        return answer

    async def retire(self, plan: pb.Plan, **given: Any) -> pb.RetirePlanResponse:
        """End a plan."""
        answer: pb.RetirePlanResponse = await self.call(self.plans.RetirePlan, retiring(plan, **given))
        return answer


def refusal(error: grpc.aio.AioRpcError) -> Refused:
    """Read everything that a refused call says."""
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                _ = detail.Unpack(info) or detail.Unpack(bad) or detail.Unpack(retry)
    return Refused(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason,
        metadata=dict(info.metadata),
        fields={found.field: found.description for found in bad.field_violations},
        has_retry_delay=retry.retry_delay.ToTimedelta().total_seconds() > 0,
    )


def checking(count: int = 8, accelerator: str = H200, **given: Any) -> sizing.CheckDeploymentRequest:
    """A question about fixed hardware."""
    return sizing.CheckDeploymentRequest(model=R1, accelerator=accelerator, accelerator_count=count, **given)


def drafting(count: int = 8, **given: Any) -> pb.DraftPlanRequest:
    """A wish to begin a plan on ``count`` cards."""
    fields: dict[str, Any] = {
        "request_id": str(uuid4()),
        "name": "R1",
        "requirements": pb.Requirements(check=checking(count)),
    }
    return pb.DraftPlanRequest(**(fields | given))


def revising(plan: pb.Plan, count: int = 16, **given: Any) -> pb.RevisePlanRequest:
    """A wish to have ``count`` cards instead."""
    fields: dict[str, Any] = {
        "request_id": str(uuid4()),
        "plan_id": plan.plan_id,
        "expected_revision": plan.revision,
        "requirements": pb.Requirements(check=checking(count)),
        "reason": "more people ask",
    }
    return pb.RevisePlanRequest(**(fields | given))


def approving(plan: pb.Plan, **given: Any) -> pb.ApprovePlanRequest:
    """A wish to agree to a plan as it stands."""
    fields: dict[str, Any] = {
        "request_id": str(uuid4()),
        "plan_id": plan.plan_id,
        "expected_revision": plan.revision,
        "evaluated_revision": plan.evaluated_revision,
    }
    return pb.ApprovePlanRequest(**(fields | given))


def retiring(plan: pb.Plan, **given: Any) -> pb.RetirePlanRequest:
    """A wish to end a plan."""
    fields: dict[str, Any] = {
        "request_id": str(uuid4()),
        "plan_id": plan.plan_id,
        "expected_revision": plan.revision,
        "reason": "replaced",
    }
    return pb.RetirePlanRequest(**(fields | given))
