"""Read models: the rows that stand beside an append, in its transaction."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from domain.engine.answer import CheckAnswer
from domain.planning.evaluation import Evaluation, Requirements, chosen_accelerators
from domain.planning.plan import (
    ActivePlan,
    Event,
    NoPlan,
    PlanDrafted,
    PlanEvaluated,
    PlanRevised,
    RetiredPlan,
    State,
)
from service.store.appender import Row
from service.store.codec import name_of
from service.store.entry import Request, Written
from service.store.tables import event_accelerators, event_summaries, plan_accelerators, plans

NEVER_CHANGED = {"workspace", "plan_id", "created_position", "created_at"}

_plan = insert(plans)
KEEP_PLAN = _plan.on_conflict_do_update(
    constraint=plans.primary_key,
    set_={name: _plan.excluded[name] for name in plans.columns.keys() if name not in NEVER_CHANGED},  # noqa: SIM118
)
FORGET_PLAN_ACCELERATORS = sa.delete(plan_accelerators).where(
    plan_accelerators.c.workspace == sa.bindparam("of_workspace"),
    plan_accelerators.c.plan_id == sa.bindparam("of_plan"),
)
KEEP_PLAN_ACCELERATOR = insert(plan_accelerators)
KEEP_SUMMARY = insert(event_summaries)
KEEP_EVENT_ACCELERATOR = insert(event_accelerators)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """What a command made of a plan."""

    request: Request
    before: State
    events: tuple[Event, ...]
    after: ActivePlan | RetiredPlan
    first_position: int | None
    """Of the plan's first event; None where that is among ``events``."""

    def rows(self, written: Written) -> Iterator[Row]:
        """Yield what the read models say from now on."""
        first_position = self.first_position or written.position - len(self.events) + 1
        yield KEEP_PLAN, self._plan_row(written, first_position)
        yield from self._accelerator_rows(written, first_position)
        for position, event in enumerate(self.events, start=written.position - len(self.events) + 1):
            yield from event_rows(self.request, event, position)

    def _plan_row(self, written: Written, first_position: int) -> dict[str, Any]:
        plan = last_active(self.after)
        evaluation = plan.evaluation
        return {
            "workspace": self.request.workspace,
            "plan_id": written.stream_id,
            "created_position": first_position,
            "position": written.position,
            "revision": written.revision,
            "name": storable(plan.name),
            "status": "retired" if isinstance(self.after, RetiredPlan) else "active",
            "model": storable(plan.requirements.model),
            "accelerators": list(accelerators(plan.requirements, evaluation)),
            "verdict": verdict(evaluation),
            "sentence": "" if evaluation is None else storable(evaluation.answer.sentence),
            "catalog_release": "" if evaluation is None else evaluation.catalog_release,
            "catalog_digest": "" if evaluation is None else evaluation.catalog_digest,
            "approval_count": len(plan.approvals),
            "planner": plan.planner,
            "created_at": written.recorded_at,
            "updated_at": written.recorded_at,
        }

    def _accelerator_rows(self, written: Written, first_position: int) -> Iterator[Row]:
        now = last_active(self.after)
        chosen = accelerators(now.requirements, now.evaluation)
        if not isinstance(self.before, NoPlan):
            then = last_active(self.before)
            if chosen == accelerators(then.requirements, then.evaluation):
                return
            yield (
                FORGET_PLAN_ACCELERATORS,
                {"of_workspace": self.request.workspace, "of_plan": written.stream_id},
            )
        for accelerator in chosen:
            row = {
                "workspace": self.request.workspace,
                "accelerator": accelerator,
                "created_position": first_position,
                "plan_id": written.stream_id,
            }
            yield KEEP_PLAN_ACCELERATOR, row


def event_rows(request: Request, event: object, position: int) -> Iterator[Row]:
    """Yield what the read models say of one event: by what an auditor may look for it."""
    requirements, evaluation = _about(event)
    summary = {
        "workspace": request.workspace,
        "position": position,
        "type": name_of(event),
        "actor_id": request.actor,
        "model": None if requirements is None else storable(requirements.model),
        "catalog_digest": None if evaluation is None else evaluation.catalog_digest,
    }
    yield KEEP_SUMMARY, summary
    if requirements is None or evaluation is None:
        return
    for accelerator in accelerators(requirements, evaluation):
        row = {
            "workspace": request.workspace,
            "accelerator": accelerator,
            "catalog_digest": evaluation.catalog_digest,
            "position": position,
        }
        yield KEEP_EVENT_ACCELERATOR, row


def last_active(state: ActivePlan | RetiredPlan) -> ActivePlan:
    """Return the plan, or what it was when it was retired."""
    return state.last if isinstance(state, RetiredPlan) else state


def accelerators(requirements: Requirements, evaluation: Evaluation | None) -> tuple[str, ...]:
    """Return the accelerators that the plan stands for, once there is an answer."""
    if evaluation is None:
        return ()
    return tuple(storable(name) for name in chosen_accelerators(requirements, evaluation.answer))


def verdict(evaluation: Evaluation | None) -> str:
    """Return the verdict of a check; a sizing has none of its own."""
    if evaluation is None or not isinstance(evaluation.answer, CheckAnswer):
        return ""
    return evaluation.answer.verdict


def storable(text: str) -> str:
    """Return ``text`` as a text column can hold it: Postgres has no NUL. The event itself keeps it."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _about(event: object) -> tuple[Requirements | None, Evaluation | None]:
    match event:
        case PlanDrafted() | PlanRevised():
            return event.requirements, None
        case PlanEvaluated():
            return event.inputs, event.evaluation
        case _:
            return None, None
