"""Read models: the rows that stand beside an append, in its transaction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.engine.answer import CheckAnswer
from domain.planning.evaluation import Evaluation, Requirements, chosen_accelerators
from domain.planning.plan import (
    ActivePlan,
    Event,
    PlanDrafted,
    PlanEvaluated,
    PlanRevised,
    RetiredPlan,
)
from service.store.codec import name_of
from service.store.entry import Request, Written
from service.store.tables import plans

VIEWS = ("plans", "event_summaries", "event_accelerators")

Row: TypeAlias = tuple[str, dict[str, Any]]
"""A table and a row of it."""

Rows: TypeAlias = Mapping[str, Sequence[dict[str, Any]]]
"""Rows by table; a table without rows has an empty sequence."""

NEVER_CHANGED = {"workspace", "plan_id", "created_position", "created_at"}
CHANGED = [column.name for column in plans.columns if column.name not in NEVER_CHANGED]

# One statement keeps the read models of a whole group: rows travel as JSON in the form of their tables. What it
# deletes it does not insert, and the other way round, because the parts of a statement have no order.
KEEP_VIEWS = sa.text(f"""
    WITH summaries AS (
        INSERT INTO event_summaries
        SELECT * FROM json_populate_recordset(NULL::event_summaries, CAST(CAST(:event_summaries AS text) AS json))
    ), accelerators AS (
        INSERT INTO event_accelerators
        SELECT * FROM json_populate_recordset(
            NULL::event_accelerators, CAST(CAST(:event_accelerators AS text) AS json))
    ), changed AS (
        SELECT * FROM json_populate_recordset(NULL::plans, CAST(CAST(:plans AS text) AS json))
    ), no_longer_chosen AS (
        DELETE FROM plan_accelerators p USING changed c
        WHERE p.workspace = c.workspace AND p.plan_id = c.plan_id AND p.accelerator <> ALL (c.accelerators)
    ), chosen AS (
        INSERT INTO plan_accelerators
        SELECT c.workspace, accelerator, c.created_position, c.plan_id
        FROM changed c, unnest(c.accelerators) AS accelerator
        ON CONFLICT DO NOTHING
    )
    INSERT INTO plans SELECT * FROM changed ON CONFLICT ON CONSTRAINT plans_pk DO UPDATE SET
    {", ".join(f"{name} = excluded.{name}" for name in CHANGED)}
""")  # noqa: S608 - our own names
KEEP_RELEASE = sa.text("SELECT keep_release(:digest, :name, :parent_digest, :content)")


async def keep(connection: AsyncConnection, rows: Rows) -> None:
    """Write ``rows`` into the read models of the workspace that the transaction is in."""
    if rows["event_summaries"]:
        said = {name: orjson.dumps(rows[name], default=str).decode() for name in VIEWS}
        await connection.execute(KEEP_VIEWS, said)
    for release in rows["releases"]:
        await connection.execute(KEEP_RELEASE, release)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """What a command made of a plan."""

    request: Request
    events: tuple[Event, ...]
    after: ActivePlan | RetiredPlan
    first_position: int | None
    """Of the plan's first event; None where that is among ``events``."""

    def rows(self, written: Written) -> Iterator[Row]:
        """Yield what the read models say from now on."""
        yield "plans", self._plan_row(written)
        for position, event in enumerate(self.events, start=written.position - len(self.events) + 1):
            yield from event_rows(self.request, event, position)

    def _plan_row(self, written: Written) -> dict[str, Any]:
        plan = last_active(self.after)
        evaluation = plan.evaluation
        return {
            "workspace": self.request.workspace,
            "plan_id": written.stream_id,
            "created_position": self.first_position or written.position - len(self.events) + 1,
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
    yield "event_summaries", summary
    if requirements is None or evaluation is None:
        return
    for accelerator in accelerators(requirements, evaluation):
        row = {
            "workspace": request.workspace,
            "accelerator": accelerator,
            "catalog_digest": evaluation.catalog_digest,
            "position": position,
        }
        yield "event_accelerators", row


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
