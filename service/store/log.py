"""Reading the log: one stream, the whole in order, or what an auditor looks for, newest first."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.planning.happening import ActorId
from service.store import page
from service.store.chain import Fault, LoggedEvent, Verifier
from service.store.codec import EncodedEvent, decode
from service.store.database import transaction
from service.store.decoding import beside_if_large
from service.store.entry import EventFilter, Page, StoredEvent, StreamKind
from service.store.refusal import PositionNotReached
from service.store.tables import event_accelerators, event_summaries, events, log_heads, streams

VERIFIED_AT_ONCE = 1_000

LARGEST_PAGE_BYTES = 500_000
"""Of event data as the database keeps it, compressed; a page holds at least one event."""

COLUMNS = [column if column.name != "data" else sa.cast(column, sa.Text).label("data") for column in events.c]

READ_LOG = sa.text(
    f"SELECT {', '.join(events.c.keys()).replace('data', 'data::text')} FROM read_log(:after, :most)"  # noqa: S608 - our own names
)


def stored_event(row: sa.Row[Any]) -> StoredEvent:
    """Return the event that ``row`` of the log keeps."""
    encoded = EncodedEvent(type=row.type, schema_version=row.schema_version, data=row.data)
    actor = ActorId(str(row.actor_id))
    return StoredEvent(
        position=row.position,
        workspace=row.workspace,
        stream_kind=row.stream_kind,
        stream_id=row.stream_id,
        revision=row.revision,
        type=row.type,
        schema_version=row.schema_version,
        event=decode(encoded, actor=actor, recorded_at=row.recorded_at, effective_at=row.effective_at),
        actor=actor,
        request_id=row.request_id,
        recorded_at=row.recorded_at,
        effective_at=row.effective_at,
        hash=row.hash,
        previous_hash=row.previous_hash,
    )


async def read_stream(
    connection: AsyncConnection,
    *,
    workspace: str,
    kind: StreamKind,
    stream_id: UUID,
    narrowed: Sequence[sa.ColumnElement[bool]] = (),
) -> Sequence[sa.Row[Any]]:
    """Return the rows of one stream, oldest first; see `decoded`."""
    statement = (
        sa.select(*COLUMNS)
        .select_from(streams.join(events, _in_stream()))
        .where(streams.c.workspace == workspace, streams.c.kind == kind, streams.c.id == stream_id)
        .where(*narrowed)
        .order_by(events.c.revision)
    )
    return (await connection.execute(statement)).all()


async def decoded(rows: Sequence[sa.Row[Any]]) -> tuple[StoredEvent, ...]:
    """Return the events that ``rows`` of the log keep; best after the transaction has ended."""
    return await beside_if_large(rows, lambda: tuple(stored_event(row) for row in rows))


def _in_stream() -> sa.ColumnElement[bool]:
    """Join a stream to its events; its first and last position tell the partitions to look into."""
    return sa.and_(
        events.c.workspace == streams.c.workspace,
        events.c.stream_kind == streams.c.kind,
        events.c.stream_id == streams.c.id,
        events.c.position.between(streams.c.first_position, streams.c.position),
    )


async def require_position(connection: AsyncConnection, at_least_position: int | None) -> None:
    """Raise `PositionNotReached` if the log is shorter: the position was never given out by this database."""
    if at_least_position is None:
        return
    position = (await connection.execute(sa.select(log_heads.c.position))).scalar_one()
    if position < at_least_position:
        raise PositionNotReached(position=position)


async def list_events(
    engine: AsyncEngine,
    *,
    workspace: str,
    chosen: EventFilter,
    page_size: int,
    page_token: str,
    at_least_position: int | None,
) -> Page[StoredEvent]:
    """Return events of the workspace, newest first."""
    before = page.position_in(page_token, of=(workspace, chosen)) if page_token else None
    async with transaction(engine, workspace) as connection:
        await require_position(connection, at_least_position)
        positions = await _positions(connection, workspace, chosen, before)
        rows = (await connection.execute(_page_of(positions.limit(page_size + 1)))).all()
    items = await decoded([row for row in rows[:page_size] if row.bytes_before < LARGEST_PAGE_BYTES])
    more = len(rows) > len(items)
    return Page(
        items=items,
        next_page_token=page.token(items[-1].position, of=(workspace, chosen)) if more else "",
    )


def _page_of(positions: sa.Select[tuple[int]]) -> sa.Select[Any]:
    """Select the events at ``positions``, newest first, each with the size of those before it in the page.

    The first one beyond the largest page still comes, without its data, to tell that there are more.
    """
    found = positions.subquery()
    size = sa.func.pg_column_size(events.c.data)
    before = sa.func.sum(size).over(order_by=events.c.position.desc()) - size
    sized = (
        sa.select(events, before.label("bytes_before")).join(found, events.c.position == found.c.position).subquery()
    )
    data = sa.case((sized.c.bytes_before < LARGEST_PAGE_BYTES, sa.cast(sized.c.data, sa.Text)))
    return sa.select(*(column for column in sized.c if column.name != "data"), data.label("data")).order_by(
        sized.c.position.desc()
    )


async def _positions(
    connection: AsyncConnection, workspace: str, chosen: EventFilter, before: int | None
) -> sa.Select[tuple[int]]:
    """Select the positions of the chosen events, newest first, from the narrowest projection."""
    if chosen.plan_id is not None:
        statement = _positions_of_stream(workspace, chosen.plan_id)
        position: sa.ColumnElement[int] = events.c.position
    elif chosen.accelerator is not None:
        statement = _positions_by_accelerator(workspace, chosen.accelerator)
        position = event_accelerators.c.position
        if chosen.catalog_digest is not None:
            statement = statement.where(event_accelerators.c.catalog_digest == chosen.catalog_digest)
    else:
        position = event_summaries.c.position
        statement = sa.select(position).order_by(position.desc())
    statement = statement.where(*_summary_conditions(workspace, chosen))
    if before is not None:
        statement = statement.where(position < before)
    if chosen.recorded_from is not None:
        statement = statement.where(position >= await _first_position(connection, chosen.recorded_from))
    if chosen.recorded_before is not None:
        statement = statement.where(position < await _first_position(connection, chosen.recorded_before))
    return statement


def _positions_of_stream(workspace: str, plan_id: UUID) -> sa.Select[tuple[int]]:
    joined = streams.join(events, _in_stream()).join(
        event_summaries,
        sa.and_(
            event_summaries.c.workspace == events.c.workspace,
            event_summaries.c.position == events.c.position,
        ),
    )
    return (
        sa.select(events.c.position)
        .select_from(joined)
        .where(streams.c.workspace == workspace, streams.c.kind == "plan", streams.c.id == plan_id)
        .order_by(events.c.revision.desc())
    )


def _positions_by_accelerator(workspace: str, accelerator: str) -> sa.Select[tuple[int]]:
    joined = event_accelerators.join(
        event_summaries,
        sa.and_(
            event_summaries.c.workspace == event_accelerators.c.workspace,
            event_summaries.c.position == event_accelerators.c.position,
        ),
    )
    return (
        sa.select(event_accelerators.c.position)
        .select_from(joined)
        .where(event_accelerators.c.workspace == workspace, event_accelerators.c.accelerator == accelerator)
        .order_by(event_accelerators.c.position.desc())
    )


def _summary_conditions(workspace: str, chosen: EventFilter) -> list[sa.ColumnElement[bool]]:
    wanted = {
        event_summaries.c.actor_id: chosen.actor,
        event_summaries.c.type: chosen.type,
        event_summaries.c.model: chosen.model,
        event_summaries.c.catalog_digest: chosen.catalog_digest,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    return [event_summaries.c.workspace == workspace, *conditions]


async def _first_position(connection: AsyncConnection, moment: datetime) -> int:
    found = await connection.execute(sa.select(sa.func.first_position_at(moment, type_=sa.BigInteger)))
    return int(found.scalar_one())


async def read_log(engine: AsyncEngine, *, after: int, most: int) -> tuple[LoggedEvent, ...]:
    """Return the next events of all workspaces after a position: nothing skipped, repeated or out of order."""
    async with transaction(engine, "*") as connection:
        rows = await connection.execute(READ_LOG, {"after": after, "most": most})
        return tuple(LoggedEvent(**row._mapping) for row in rows)  # noqa: SLF001 - its public name


async def verify(engine: AsyncEngine) -> AsyncIterator[Fault]:
    """Read the whole log and yield every place where it is not what was written."""
    verifier = Verifier()
    while found := await read_log(engine, after=verifier.position, most=VERIFIED_AT_ONCE):
        for fault in verifier.faults(found):
            yield fault
    async with transaction(engine, "*") as connection:
        head = (await connection.execute(sa.select(log_heads.c.position))).scalar_one()
    if head > verifier.position:
        yield Fault(position=verifier.position + 1, what=f"is missing; the log went on to {head}")
