"""Reading plans: as they stand, at a revision, as of a time, and in lists."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.planning.happening import ActorId
from domain.planning.plan import (
    Event,
    NoPlan,
    PlanNotFound,
    fold,
)
from service.store import page
from service.store.database import transaction
from service.store.entry import Page, PlanFilter, PlanRecord, PlanSummary, StoredEvent
from service.store.log import decoded, read_stream, require_position
from service.store.refusal import RevisionNotFound
from service.store.tables import events, plan_accelerators, plans


async def read_plan(
    engine: AsyncEngine,
    *,
    workspace: str,
    plan_id: UUID,
    narrowed: Sequence[sa.ColumnElement[bool]] = (),
    at_least_position: int | None = None,
) -> PlanRecord:
    """Return the plan as the ``narrowed`` part of its events makes it."""
    async with transaction(engine, workspace) as connection:
        await require_position(connection, at_least_position)
        found = await read_stream(connection, workspace=workspace, kind="plan", stream_id=plan_id, narrowed=narrowed)
        if not found and narrowed:
            before = await read_stream(
                connection,
                workspace=workspace,
                kind="plan",
                stream_id=plan_id,
                narrowed=[events.c.revision == 1],
            )
            raise RevisionNotFound if before else PlanNotFound
    return plan_record(await decoded(found))


def plan_record(found: Sequence[StoredEvent]) -> PlanRecord:
    """Fold the events of a plan, of which there is at least one; raise `PlanNotFound` else."""
    state = fold(cast("Event", stored.event) for stored in found)
    if isinstance(state, NoPlan):
        raise PlanNotFound
    return PlanRecord(
        plan_id=found[0].stream_id,
        state=state,
        position=found[-1].position,
        drafted_by=found[0].actor,
        created_at=found[0].recorded_at,
        updated_at=found[-1].recorded_at,
    )


def until_revision(revision: int) -> list[sa.ColumnElement[bool]]:
    """Narrow a plan's events to those up to ``revision``."""
    return [events.c.revision <= revision]


def known_at(recorded_at: datetime, effective_at: datetime) -> list[sa.ColumnElement[bool]]:
    """Narrow a plan's events to those recorded and effective by then."""
    return [events.c.recorded_at <= recorded_at, events.c.effective_at <= effective_at]


async def read_history(engine: AsyncEngine, *, workspace: str, plan_id: UUID) -> tuple[StoredEvent, ...]:
    """Return every event of the plan, oldest first."""
    async with transaction(engine, workspace) as connection:
        found = await read_stream(connection, workspace=workspace, kind="plan", stream_id=plan_id)
    if not found:
        raise PlanNotFound
    return await decoded(found)


async def list_plans(
    engine: AsyncEngine,
    *,
    workspace: str,
    chosen: PlanFilter,
    page_size: int,
    page_token: str,
    at_least_position: int | None,
) -> Page[PlanSummary]:
    """Return plans, newest draft first."""
    statement, position = _chosen_plans(workspace, chosen)
    if page_token:
        statement = statement.where(position < page.position_in(page_token, of=(workspace, chosen)))
    async with transaction(engine, workspace) as connection:
        await require_position(connection, at_least_position)
        rows = (await connection.execute(statement.limit(page_size + 1))).all()
    shown = rows[:page_size]
    more = len(rows) > page_size
    return Page(
        items=tuple(_summary(row) for row in shown),
        next_page_token=page.token(shown[-1].created_position, of=(workspace, chosen)) if more else "",
    )


def _chosen_plans(workspace: str, chosen: PlanFilter) -> tuple[sa.Select[Any], sa.ColumnElement[int]]:
    statement = sa.select(plans).where(plans.c.workspace == workspace)
    position: sa.ColumnElement[int] = plans.c.created_position
    if chosen.accelerator is not None:
        position = plan_accelerators.c.created_position
        statement = statement.join(
            plan_accelerators,
            sa.and_(
                plan_accelerators.c.workspace == plans.c.workspace,
                plan_accelerators.c.plan_id == plans.c.plan_id,
                plan_accelerators.c.accelerator == chosen.accelerator,
            ),
        )
    wanted = {
        plans.c.status: chosen.status,
        plans.c.model: chosen.model,
        plans.c.catalog_digest: chosen.catalog_digest,
        plans.c.planner: chosen.planner,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    return statement.where(*conditions).order_by(position.desc()), position


def _summary(row: sa.Row[Any]) -> PlanSummary:
    return PlanSummary(
        plan_id=row.plan_id,
        revision=row.revision,
        name=row.name,
        status=row.status,
        model=row.model,
        accelerators=tuple(row.accelerators),
        verdict=row.verdict,
        sentence=row.sentence,
        catalog_release=row.catalog_release,
        catalog_digest=row.catalog_digest,
        approval_count=row.approval_count,
        planner=ActorId(str(row.planner)),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
