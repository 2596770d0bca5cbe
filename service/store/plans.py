"""Plans over the log: the only place where deciding meets the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.planning.happening import ActorId
from domain.planning.plan import (
    ActivePlan,
    Command,
    EffectiveTimeInPast,
    Event,
    NoPlan,
    PlanNotFound,
    RetiredPlan,
    State,
    decide,
    evolve,
    fold,
)
from service.store import page
from service.store.appender import Append, Appender, EffectiveBeforeStream
from service.store.codec import EncodedEvent, decode, encode
from service.store.database import failures_told, transaction
from service.store.entry import Page, PlanFilter, PlanRecord, PlanSummary, Request, StoredEvent, Written
from service.store.log import read_stream, require_position
from service.store.refusal import RequestIdReused, RevisionNotFound, StaleRevision
from service.store.tables import events, plan_accelerators, plans
from service.store.views import PlanChange

NO_PLAN = UUID(int=0)

READ_FOR_COMMAND = sa.text("SELECT * FROM read_for_command(:workspace, :actor, :method, :request_id, 'plan', :plan_id)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a command has to know."""

    answered: Written | None
    """What became of the same request before."""
    first_position: int | None
    events: tuple[Event, ...]


async def read_past(engine: AsyncEngine, request: Request, plan_id: UUID) -> Past:
    """Read, in one round trip, what was answered and what has happened; raise `RequestIdReused`."""
    arguments = {
        "workspace": request.workspace,
        "actor": request.actor,
        "method": request.method,
        "request_id": request.request_id,
        "plan_id": plan_id,
    }
    with failures_told():
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            rows = (await connection.execute(READ_FOR_COMMAND, arguments)).all()
    return Past(
        answered=_answered(rows[0], request),
        first_position=rows[0].first_position,
        events=tuple(_event(row) for row in rows if row.type is not None),
    )


def _answered(row: sa.Row[Any], request: Request) -> Written | None:
    if row.digest is None:
        return None
    if row.digest != request.digest:
        raise RequestIdReused
    return Written(
        stream_id=row.request_stream,
        revision=row.request_revision,
        position=row.request_position,
        recorded_at=row.request_recorded_at,
        changed=row.request_changed,
    )


async def remembered(engine: AsyncEngine, request: Request) -> Written | None:
    """Return what the request was answered before, None if it is new; raise `RequestIdReused`."""
    # No stream has this id: only the request is looked for.
    return (await read_past(engine, request, NO_PLAN)).answered


def _event(row: sa.Row[Any]) -> Event:
    encoded = EncodedEvent(type=row.type, schema_version=row.schema_version, data=row.data)
    actor = ActorId(str(row.actor_id))
    event = decode(encoded, actor=actor, recorded_at=row.recorded_at, effective_at=row.effective_at)
    return cast("Event", event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A command on its way to a plan."""

    request: Request
    plan_id: UUID
    command: Command
    expected_revision: int | None


async def execute(engine: AsyncEngine, appender: Appender, attempt: Attempt) -> Written:
    """Let the command happen to the plan, once for its request."""
    past = await read_past(engine, attempt.request, attempt.plan_id)
    if past.answered is not None:
        return past.answered
    try:
        return await _append(appender, attempt, past)
    except StaleRevision:
        if attempt.expected_revision is not None:
            raise
    # A draft expects nothing: it is decided again on what the other writer left, its own earlier try or a plan.
    past = await read_past(engine, attempt.request, attempt.plan_id)
    if past.answered is not None:
        return past.answered
    return await _append(appender, attempt, past)


async def _append(appender: Appender, attempt: Attempt, past: Past) -> Written:
    before = fold(past.events)
    revision = 0 if isinstance(before, NoPlan) else before.revision
    if revision and attempt.expected_revision not in (None, revision):
        raise StaleRevision(current_revision=revision)
    decided = decide(attempt.command, before)
    change = PlanChange(
        request=attempt.request,
        before=before,
        events=decided,
        after=_after(before, decided),
        first_position=past.first_position,
    )
    append = Append(
        request=attempt.request,
        stream_kind="plan",
        stream_id=attempt.plan_id,
        expected_revision=revision,
        effective_at=attempt.command.effective_at,
        events=tuple(encode(event) for event in decided),
        rows=change.rows,
    )
    try:
        return await appender.append(append)
    except EffectiveBeforeStream:
        earliest = None if isinstance(before, NoPlan) else before.effective_at
        raise EffectiveTimeInPast(earliest=earliest or attempt.command.at) from None


def _after(before: State, decided: tuple[Event, ...]) -> ActivePlan | RetiredPlan:
    state = before
    for event in decided:
        state = evolve(state, event)
    if isinstance(state, NoPlan):
        raise PlanNotFound
    return state


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
    return plan_record(found)


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
    return found


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
