"""What a command has to know of the past, and what a process remembers of it between commands."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.planning.happening import ActorId
from domain.planning.plan import INITIAL, Event, NoPlan, State, evolve
from service.store.codec import EncodedEvent, decode
from service.store.database import failures_told
from service.store.decoding import beside_if_large
from service.store.entry import Request, Written
from service.store.refusal import RequestIdReused

MOST_CHARACTERS = 8_000_000
"""Of event data that the remembered plans were made of; as Python values some ten times as many bytes."""

READ_FOR_COMMAND = sa.text(
    "SELECT * FROM read_for_command(:workspace, :actor, :method, :request_id, 'plan', :plan_id, :after_revision)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPlan:
    """A plan folded up to some revision. Events never change, so this is true for ever, if not the newest."""

    state: State = INITIAL
    first_position: int | None = None
    """Position of the plan's first event; None before it."""
    character_count: int = 0
    """Largest size of its events' data: what it holds in memory goes by that."""

    @property
    def revision(self) -> int:
        """Events so far."""
        return 0 if isinstance(self.state, NoPlan) else self.state.revision


NOTHING_KNOWN = KnownPlan()


class KnownPlans:
    """The plans that were changed last, so that the next command to one reads only what came after."""

    def __init__(self) -> None:
        self._plans: OrderedDict[tuple[str, UUID], KnownPlan] = OrderedDict()
        self._character_count = 0

    def get(self, workspace: str, plan_id: UUID) -> KnownPlan:
        """Return what is known of a plan, perhaps nothing."""
        return self._plans.get((workspace, plan_id), NOTHING_KNOWN)

    def keep(self, workspace: str, plan_id: UUID, known: KnownPlan) -> None:
        """Remember a plan, and forget those that were changed longest ago."""
        self.forget(workspace, plan_id)
        self._plans[workspace, plan_id] = known
        self._character_count += known.character_count
        while self._character_count > MOST_CHARACTERS:
            _, forgotten = self._plans.popitem(last=False)
            self._character_count -= forgotten.character_count

    def forget(self, workspace: str, plan_id: UUID) -> None:
        """Know nothing of a plan any more."""
        known = self._plans.pop((workspace, plan_id), NOTHING_KNOWN)
        self._character_count -= known.character_count


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the database says before a command is decided."""

    answered: Written | None
    """What became of the same request before."""
    plan: KnownPlan


async def read_past(engine: AsyncEngine, request: Request, plan_id: UUID, known: KnownPlan) -> Past:
    """Read, in one round trip, what was answered and what has happened since; raise `RequestIdReused`."""
    arguments = {
        "workspace": request.workspace,
        "actor": request.actor,
        "method": request.method,
        "request_id": request.request_id,
        "plan_id": plan_id,
        "after_revision": known.revision,
    }
    with failures_told():
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            rows = (await connection.execute(READ_FOR_COMMAND, arguments)).all()
    answered = _answered(rows[0], request)
    if (rows[0].stream_revision or 0) < known.revision:
        # The database is not the one that was known: it was restored to an earlier state.
        return await read_past(engine, request, plan_id, NOTHING_KNOWN)
    return Past(answered=answered, plan=await beside_if_large(rows, lambda: _continued(known, rows)))


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


def _continued(known: KnownPlan, rows: Sequence[sa.Row[Any]]) -> KnownPlan:
    state, character_count = known.state, known.character_count
    for row in rows:
        if row.type is not None:
            state = evolve(state, _event(row))
            character_count = max(character_count, len(row.data))
    return replace(known, state=state, first_position=rows[0].first_position, character_count=character_count)


def _event(row: sa.Row[Any]) -> Event:
    encoded = EncodedEvent(type=row.type, schema_version=row.schema_version, data=row.data)
    actor = ActorId(str(row.actor_id))
    event = decode(encoded, actor=actor, recorded_at=row.recorded_at, effective_at=row.effective_at)
    return cast("Event", event)
