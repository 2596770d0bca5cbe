"""Plans and their history as messages, and what a caller asks of them as commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from uuid import UUID

from google.protobuf.message import Message
from tonnage.v1 import deployment_pb2 as part
from tonnage.v1 import plan_pb2 as pb
from tonnage.v1 import sizing_pb2 as question

from domain.engine.answer import CheckAnswer, CheckRequest, SizeAnswer, SizeRequest
from domain.planning.evaluation import Evaluation, Requirements
from domain.planning.happening import ActorId
from domain.planning.plan import (
    ActivePlan,
    ApprovePlan,
    Command,
    DraftPlan,
    RetiredPlan,
    RetirePlan,
    RevisePlan,
)
from service.api.conversion import enum_number, message_of, moment_of, timestamp_of, value_of
from service.store import PlanRecord, PlanSummary, Written

Subjects = Mapping[ActorId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A change that a caller asks for, as far as the message says it."""

    method: str
    request_id: UUID
    digest: bytes
    plan_id: UUID
    expected_revision: int | None
    requirements: Requirements | None
    """What the engine is to judge; None where the change needs no answer."""
    command: Callable[..., Command]
    """Takes what the message cannot say: actor and time, and the evaluation where there are requirements."""


def draft(request: pb.DraftPlanRequest, new_id: UUID) -> Write:
    """Return the wish to begin a plan, under ``new_id`` where the caller names none."""
    return Write(
        method="tonnage.v1.PlanService/DraftPlan",
        request_id=UUID(request.request_id),
        digest=digest(request),
        plan_id=UUID(request.plan_id) if request.HasField("plan_id") else new_id,
        expected_revision=None,
        requirements=(requirements := _requirements_of(request.requirements)),
        command=partial(
            DraftPlan, name=request.name, requirements=requirements, effective_at=moment_of(request, "effective_at")
        ),
    )


def revise(request: pb.RevisePlanRequest) -> Write:
    """Return the wish to set new requirements."""
    return Write(
        method="tonnage.v1.PlanService/RevisePlan",
        request_id=UUID(request.request_id),
        digest=digest(request),
        plan_id=UUID(request.plan_id),
        expected_revision=request.expected_revision,
        requirements=(requirements := _requirements_of(request.requirements)),
        command=partial(
            RevisePlan,
            requirements=requirements,
            reason=request.reason,
            effective_at=moment_of(request, "effective_at"),
        ),
    )


def approve(request: pb.ApprovePlanRequest, *, four_eyes: bool) -> Write:
    """Return the wish to agree to a plan."""
    return Write(
        method="tonnage.v1.PlanService/ApprovePlan",
        request_id=UUID(request.request_id),
        digest=digest(request),
        plan_id=UUID(request.plan_id),
        expected_revision=request.expected_revision,
        requirements=None,
        command=partial(
            ApprovePlan,
            revision=request.evaluated_revision,
            four_eyes=four_eyes,
            comment=request.comment,
            effective_at=moment_of(request, "effective_at"),
        ),
    )


def retire(request: pb.RetirePlanRequest) -> Write:
    """Return the wish to end a plan."""
    return Write(
        method="tonnage.v1.PlanService/RetirePlan",
        request_id=UUID(request.request_id),
        digest=digest(request),
        plan_id=UUID(request.plan_id),
        expected_revision=request.expected_revision,
        requirements=None,
        command=partial(RetirePlan, reason=request.reason, effective_at=moment_of(request, "effective_at")),
    )


def digest(request: Message) -> bytes:
    """Return the SHA-256 over what is asked, without the request id."""
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("request_id")
    asked.DiscardUnknownFields()
    return sha256(asked.SerializeToString(deterministic=True)).digest()


def requirements(asked: Requirements) -> pb.Requirements:
    """Return what a plan asks for."""
    match asked:
        case SizeRequest():
            return pb.Requirements(size=message_of(asked, question.SizeDeploymentRequest))
        case CheckRequest():
            return pb.Requirements(check=message_of(asked, question.CheckDeploymentRequest))


def evaluation(judged: Evaluation) -> pb.Evaluation:
    """Return what the engine answered."""
    message = pb.Evaluation(basis=message_of(judged, part.Basis))
    match judged.answer:
        case SizeAnswer():
            message.size.CopyFrom(message_of(judged.answer, part.SizeAnswer))
        case CheckAnswer():
            message.check.CopyFrom(message_of(judged.answer, part.CheckAnswer))
    return message


def outcome(written: Written) -> pb.WriteOutcome:
    """Return what became of a write."""
    return message_of(written, pb.WriteOutcome, plan_id=str(written.stream_id))


def plan(record: PlanRecord, subjects: Subjects) -> pb.Plan:
    """Return a plan as its events have made it."""
    state = record.state.last if isinstance(record.state, RetiredPlan) else record.state
    message = pb.Plan(
        plan_id=str(record.plan_id),
        revision=record.state.revision,
        name=state.name,
        status=enum_number(pb.PlanStatus.DESCRIPTOR, _status(record)),  # type: ignore[arg-type]
        requirements=requirements(state.requirements),
        reason=state.reason,
        evaluation=None if state.evaluation is None else evaluation(state.evaluation),
        evaluated_revision=state.evaluated_revision,
        approvals=_approvals(state, subjects),
        planner=state.planner,
        planner_subject=subjects.get(state.planner, ""),
        created_at=timestamp_of(record.created_at),
        recorded_at=timestamp_of(record.state.recorded_at),
        effective_at=timestamp_of(record.state.effective_at),
    )
    if isinstance(record.state, RetiredPlan):
        subject = subjects.get(record.state.actor, "")
        message.retirement.CopyFrom(message_of(record.state, pb.Retirement, subject=subject))
    return message


def plan_actors(record: PlanRecord) -> set[ActorId]:
    """Return the ids of everybody whom the plan names."""
    state = record.state.last if isinstance(record.state, RetiredPlan) else record.state
    ended = {record.state.actor} if isinstance(record.state, RetiredPlan) else set()
    return {state.planner, *(approval.actor for approval in state.approvals)} | ended


def plan_summary(summary: PlanSummary, subjects: Subjects) -> pb.PlanSummary:
    """Return a plan as a row of a list."""
    verdict = enum_number(part.Verdict.DESCRIPTOR, summary.verdict or "unspecified")
    return message_of(
        summary,
        pb.PlanSummary,
        verdict=verdict,
        basis=part.Basis(catalog_release=summary.catalog_release, catalog_digest=summary.catalog_digest),
        planner_subject=subjects.get(summary.planner, ""),
    )


def _requirements_of(message: pb.Requirements) -> Requirements:
    if message.WhichOneof("question") == "size":
        return value_of(message.size, SizeRequest)
    return value_of(message.check, CheckRequest)


def _status(record: PlanRecord) -> str:
    return "retired" if isinstance(record.state, RetiredPlan) else "active"


def _approvals(state: ActivePlan, subjects: Subjects) -> list[pb.Approval]:
    return [message_of(approval, pb.Approval, subject=subjects.get(approval.actor, "")) for approval in state.approvals]


def as_of(request: pb.GetPlanRequest) -> tuple[datetime, datetime | None]:
    """Return the recorded and the effective time that are asked for."""
    recorded_at = moment_of(request.as_of, "recorded_at")
    if recorded_at is None:
        raise ValueError("The contract requires as_of.recorded_at.")
    return recorded_at, moment_of(request.as_of, "effective_at")
