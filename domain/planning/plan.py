"""The life of a plan: what may be asked of it, and what then has happened.

``decide`` holds every rule and returns facts; ``evolve`` holds none and never fails. Time and identity arrive
in the command, and so does the engine's answer: ``decide`` is about history, the engine about physics.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import NewType, TypeAlias, assert_never

from domain.planning.evaluation import Evaluation, Requirements, as_recorded, offers_deployment
from domain.planning.happening import ActorId, Happening, Order

PlanId = NewType("PlanId", str)
"""UUID of a plan, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPlan(Order):
    """Begin a plan."""

    name: str
    requirements: Requirements
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisePlan(Order):
    """Change what the plan asks for, or judge the same again by newer facts."""

    requirements: Requirements
    evaluation: Evaluation
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovePlan(Order):
    """Agree to what the plan says at ``revision``."""

    revision: int
    four_eyes: bool
    """Whether approver and planner must differ."""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetirePlan(Order):
    """End the plan."""

    reason: str


# Stored: fields are added, never renamed or removed.


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDrafted(Happening):
    """A plan was begun."""

    name: str
    requirements: Requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRevised(Happening):
    """The plan's requirements were set anew."""

    requirements: Requirements
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEvaluated(Happening):
    """The engine judged the requirements."""

    inputs: Requirements
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanApproved(Happening):
    """Somebody agreed to what the plan said at ``revision``."""

    revision: int
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRetired(Happening):
    """The plan was ended."""

    reason: str


Command: TypeAlias = DraftPlan | RevisePlan | ApprovePlan | RetirePlan
Event: TypeAlias = PlanDrafted | PlanRevised | PlanEvaluated | PlanApproved | PlanRetired


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who agreed to the plan as it stands."""

    actor: ActorId
    revision: int
    """The revision agreed to."""
    comment: str
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPlan:
    """Nothing has happened yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePlan:
    """The plan as its events have made it."""

    revision: int
    """Events so far."""
    name: str
    planner: ActorId
    """Who set the requirements that hold now."""
    requirements: Requirements
    reason: str
    """Why they were set; empty for a draft."""
    evaluation: Evaluation | None
    """None only between a draft and its evaluation, one revision later."""
    evaluated_revision: int
    """The revision that an approval must name; 0 until there is an evaluation."""
    approvals: tuple[Approval, ...]
    """Of ``evaluated_revision``; a revision of the plan begins anew."""
    effective_at: datetime | None
    """Of the newest event."""
    recorded_at: datetime | None
    """Of the newest event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredPlan:
    """A plan that was ended, and what it was."""

    revision: int
    last: ActivePlan
    reason: str
    actor: ActorId
    effective_at: datetime | None
    recorded_at: datetime | None


State: TypeAlias = NoPlan | ActivePlan | RetiredPlan
INITIAL: State = NoPlan()


class PlanRefused(Exception):
    """The command is not possible for the plan as it stands."""

    def __str__(self) -> str:
        """Say the refusal's docstring: it is the message."""
        return (type(self).__doc__ or "").strip()


class PlanAlreadyExists(PlanRefused):
    """A plan with this id has been drafted before."""


class PlanNotFound(PlanRefused):
    """There is no plan with this id."""


class PlanNotActive(PlanRefused):
    """A retired plan can be read, and no longer changed."""


class NothingToApprove(PlanRefused):
    """The plan's latest answer names no deployment that could be approved."""


class ApprovalOutdated(PlanRefused):
    """The approval names another revision than the one that was evaluated last."""

    def __init__(self, *, evaluated_revision: int) -> None:
        self.evaluated_revision = evaluated_revision


class ApproverIsPlanner(PlanRefused):
    """Whoever set the requirements of a plan cannot approve it."""


class EffectiveTimeInPast(PlanRefused):
    """A change cannot take effect before the change that precedes it."""

    def __init__(self, *, earliest: datetime) -> None:
        self.earliest = earliest


def decide(command: Command, state: State) -> tuple[Event, ...]:
    """Return what happens when ``command`` meets ``state``; raise `PlanRefused` if nothing may."""
    match state:
        case NoPlan():
            return _begin(command)
        case RetiredPlan():
            raise PlanAlreadyExists if isinstance(command, DraftPlan) else PlanNotActive
        case ActivePlan():
            return _continue(command, state)


def _begin(command: Command) -> tuple[Event, ...]:
    match command:
        case DraftPlan():
            command = as_recorded(command)
            drafted = PlanDrafted(
                actor=command.actor,
                effective_at=command.effective_at,
                name=command.name,
                requirements=command.requirements,
            )
            return drafted, _evaluated(command)
        case RevisePlan() | ApprovePlan() | RetirePlan():
            raise PlanNotFound
    assert_never(command)


def _continue(command: Command, plan: ActivePlan) -> tuple[Event, ...]:
    match command:
        case DraftPlan():
            raise PlanAlreadyExists
        case RevisePlan():
            return _revise(command, plan)
        case ApprovePlan():
            return _approve(command, plan)
        case RetirePlan():
            _refuse_the_past(command, plan)
            return (PlanRetired(actor=command.actor, effective_at=command.effective_at, reason=command.reason),)
    assert_never(command)


def _revise(command: RevisePlan, plan: ActivePlan) -> tuple[Event, ...]:
    command = as_recorded(command)
    if command.requirements == plan.requirements and command.evaluation == plan.evaluation:
        return ()
    _refuse_the_past(command, plan)
    revised = PlanRevised(
        actor=command.actor,
        effective_at=command.effective_at,
        requirements=command.requirements,
        reason=command.reason,
    )
    return revised, _evaluated(command)


def _approve(command: ApprovePlan, plan: ActivePlan) -> tuple[Event, ...]:
    if command.revision != plan.evaluated_revision:
        raise ApprovalOutdated(evaluated_revision=plan.evaluated_revision)
    if plan.evaluation is None or not offers_deployment(plan.evaluation.answer):
        raise NothingToApprove
    if command.four_eyes and command.actor == plan.planner:
        raise ApproverIsPlanner
    if any(approval.actor == command.actor for approval in plan.approvals):
        return ()
    _refuse_the_past(command, plan)
    approved = PlanApproved(
        actor=command.actor,
        effective_at=command.effective_at,
        revision=command.revision,
        comment=command.comment,
    )
    return (approved,)


def _evaluated(command: DraftPlan | RevisePlan) -> PlanEvaluated:
    return PlanEvaluated(
        actor=command.actor,
        effective_at=command.effective_at,
        inputs=command.requirements,
        evaluation=command.evaluation,
    )


def _refuse_the_past(command: Command, plan: ActivePlan) -> None:
    """Refuse a command that would hold from before the newest event on.

    Recorded time never runs backwards, whatever the clock that ``command.at`` was read from says.
    """
    if plan.effective_at is None:
        return
    begins = command.effective_at or max(command.at, plan.recorded_at or command.at)
    if begins < plan.effective_at:
        raise EffectiveTimeInPast(earliest=plan.effective_at)


def evolve(state: State, event: Event) -> State:
    """Return the state after ``event``; one that cannot have happened to ``state`` changes nothing."""
    match state, event:
        case NoPlan(), PlanDrafted():
            return _drafted(event)
        case ActivePlan(), PlanRetired():
            return RetiredPlan(
                revision=state.revision + 1,
                last=state,
                reason=event.reason,
                actor=event.actor,
                effective_at=event.effective_at,
                recorded_at=event.recorded_at,
            )
        case ActivePlan(), _:
            return _changed(state, event)
        case _:
            return state


def _drafted(event: PlanDrafted) -> ActivePlan:
    return ActivePlan(
        revision=1,
        name=event.name,
        planner=event.actor,
        requirements=event.requirements,
        reason="",
        evaluation=None,
        evaluated_revision=0,
        approvals=(),
        effective_at=event.effective_at,
        recorded_at=event.recorded_at,
    )


def _changed(plan: ActivePlan, event: Event) -> ActivePlan:
    now = replace(plan, revision=plan.revision + 1, effective_at=event.effective_at, recorded_at=event.recorded_at)
    match event:
        case PlanRevised():
            return replace(now, planner=event.actor, requirements=event.requirements, reason=event.reason, approvals=())
        case PlanEvaluated():
            return replace(now, evaluation=event.evaluation, evaluated_revision=now.revision, approvals=())
        case PlanApproved():
            approval = Approval(
                actor=event.actor,
                revision=event.revision,
                comment=event.comment,
                recorded_at=event.recorded_at,
            )
            return replace(now, approvals=(*plan.approvals, approval))
        case PlanDrafted() | PlanRetired():
            return now


def fold(events: Iterable[Event]) -> State:
    """Return the state that ``events``, oldest first, lead to."""
    return reduce(evolve, events, INITIAL)
