"""Read models: the rows that stand beside an append, in its transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

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
from service.store.codec import name_of

Row: TypeAlias = dict[str, Any]
"""A row of a read model, without what the log alone knows: position, revision and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewRows:
    """What the read models say after an append."""

    plans: tuple[Row, ...] = ()
    summaries: tuple[Row, ...] = ()
    accelerators: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """What a command made of a plan."""

    before: State
    events: tuple[Event, ...]
    after: ActivePlan | RetiredPlan
    first_position: int | None
    """Of the plan's first event; None where that is among ``events``."""

    def rows(self) -> ViewRows:
        """Return what the read models say from now on."""
        if not self.events:
            return ViewRows()
        return ViewRows(
            plans=(self._plan_row(),),
            summaries=summary_rows(self.events),
            accelerators=tuple(self._accelerator_rows()),
        )

    def _plan_row(self) -> Row:
        plan = last_active(self.after)
        evaluation = plan.evaluation
        chosen = accelerators(plan.requirements, evaluation)
        return {
            "created_position": self.first_position,
            "name": storable(plan.name),
            "status": "retired" if isinstance(self.after, RetiredPlan) else "active",
            "model": storable(plan.requirements.model),
            "accelerators": chosen,
            "accelerators_changed": chosen != self._chosen_before(),
            "verdict": verdict(evaluation),
            "sentence": "" if evaluation is None else storable(evaluation.answer.sentence),
            "catalog_release": "" if evaluation is None else evaluation.catalog_release,
            "catalog_digest": "" if evaluation is None else evaluation.catalog_digest,
            "approval_count": len(plan.approvals),
            "planner": plan.planner,
        }

    def _chosen_before(self) -> tuple[str, ...]:
        if isinstance(self.before, NoPlan):
            return ()
        then = last_active(self.before)
        return accelerators(then.requirements, then.evaluation)

    def _accelerator_rows(self) -> Iterator[Row]:
        for events_after, event in enumerate(reversed(self.events)):
            if isinstance(event, PlanEvaluated):
                digest = event.evaluation.catalog_digest
                for accelerator in accelerators(event.inputs, event.evaluation):
                    yield {
                        "events_after": events_after,
                        "accelerator": accelerator,
                        "catalog_digest": digest,
                    }


def summary_rows(events: Sequence[object]) -> tuple[Row, ...]:
    """Return what an auditor may look for the events by."""
    return tuple(_summary(event, events_after) for events_after, event in enumerate(reversed(events)))


def _summary(event: object, events_after: int) -> Row:
    model, digest = None, None
    match event:
        case PlanDrafted() | PlanRevised():
            model = event.requirements.model
        case PlanEvaluated():
            model, digest = event.inputs.model, event.evaluation.catalog_digest
        case _:
            pass
    return {
        "events_after": events_after,
        "type": name_of(event),
        "model": None if model is None else storable(model),
        "catalog_digest": digest,
    }


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
