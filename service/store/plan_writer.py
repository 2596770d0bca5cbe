"""Commands to plans: the only place where deciding meets the database.

A request is answered once. Before a command is decided, the request is looked up, together with what has happened;
and because the log looks it up again under its lock, a command whose plan is known from the last time is decided
right away: if that knowledge, or the request, turns out old, nothing was written and the slow way says why.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.engine.answer import SizeRequest
from domain.planning.plan import (
    Command,
    DraftPlan,
    EffectiveTimeInPast,
    Event,
    NoPlan,
    PlanNotFound,
    PlanRefused,
    RevisePlan,
    State,
    decide,
    evolve,
)
from service.store.appender import Append, Appender, EffectiveBeforeStream
from service.store.codec import encode
from service.store.entry import Request, Written
from service.store.past import NOTHING_KNOWN, KnownPlan, KnownPlans, read_past
from service.store.refusal import StaleRevision
from service.store.views import PlanChange

NO_PLAN = UUID(int=0)
"""Id that no plan has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A command on its way to a plan."""

    request: Request
    plan_id: UUID
    command: Command
    expected_revision: int | None


class PlanWriter:
    """Lets commands happen to plans."""

    def __init__(self, engine: AsyncEngine, appender: Appender) -> None:
        self._engine = engine
        self._appender = appender
        self._known = KnownPlans()

    async def remembered(self, request: Request) -> Written | None:
        """Return what the request was answered before, None if it is new; raise `RequestIdReused`."""
        return (await read_past(self._engine, request, NO_PLAN, NOTHING_KNOWN)).answered

    async def execute(self, attempt: Attempt) -> Written:
        """Let the command happen to the plan, once for its request."""
        known = self._known.get(attempt.request.workspace, attempt.plan_id)
        begins = isinstance(attempt.command, DraftPlan) and known is NOTHING_KNOWN
        if begins or (known.revision and known.revision == attempt.expected_revision):
            try:
                return await self._append(attempt, known)
            except (PlanRefused, StaleRevision):
                pass  # perhaps only because too little was known
        try:
            return await self._read_and_append(attempt)
        except StaleRevision:
            if attempt.expected_revision is not None:
                raise
        # Whoever expects nothing is decided again, on what the other writer left.
        return await self._read_and_append(attempt)

    async def _read_and_append(self, attempt: Attempt) -> Written:
        workspace, plan_id = attempt.request.workspace, attempt.plan_id
        past = await read_past(self._engine, attempt.request, plan_id, self._known.get(workspace, plan_id))
        if past.plan.revision:
            self._known.keep(workspace, plan_id, past.plan)
        if past.answered is not None:
            return past.answered
        if past.plan.revision and attempt.expected_revision not in (None, past.plan.revision):
            raise StaleRevision(current_revision=past.plan.revision)
        return await self._append(attempt, past.plan)

    async def _append(self, attempt: Attempt, known: KnownPlan) -> Written:
        decided, append = await _prepared(attempt, known)
        try:
            outcome = await self._appender.append(append)
        except EffectiveBeforeStream:
            earliest = None if isinstance(known.state, NoPlan) else known.state.effective_at
            raise EffectiveTimeInPast(earliest=earliest or attempt.command.at) from None
        if outcome.result == "appended" and decided:
            self._learn(attempt, append, decided, outcome.written, known)
        return outcome.written

    def _learn(
        self, attempt: Attempt, append: Append, decided: Sequence[Event], written: Written, known: KnownPlan
    ) -> None:
        effective_at = attempt.command.effective_at or written.recorded_at
        recorded = [replace(event, recorded_at=written.recorded_at, effective_at=effective_at) for event in decided]
        now = KnownPlan(
            state=_after(known.state, recorded),
            first_position=known.first_position or written.position - len(decided) + 1,
            character_count=max(known.character_count, append.character_count),
        )
        self._known.keep(attempt.request.workspace, attempt.plan_id, now)


async def _prepared(attempt: Attempt, known: KnownPlan) -> tuple[tuple[Event, ...], Append]:
    """Decide and encode; beside the loop where the answer is one over many accelerators, a megabyte or two."""
    match attempt.command:
        case DraftPlan() | RevisePlan() if isinstance(attempt.command.requirements, SizeRequest):
            return await asyncio.to_thread(_decided, attempt, known)
        case _:
            return _decided(attempt, known)


def _decided(attempt: Attempt, known: KnownPlan) -> tuple[tuple[Event, ...], Append]:
    decided = decide(attempt.command, known.state)
    after = _after(known.state, decided)
    if isinstance(after, NoPlan):
        raise PlanNotFound
    change = PlanChange(before=known.state, events=decided, after=after, first_position=known.first_position)
    append = Append(
        request=attempt.request,
        stream_kind="plan",
        stream_id=attempt.plan_id,
        expected_revision=known.revision,
        effective_at=attempt.command.effective_at,
        events=tuple(encode(event) for event in decided),
        rows=change.rows(),
    )
    return decided, append


def _after(before: State, decided: Sequence[Event]) -> State:
    state = before
    for event in decided:
        state = evolve(state, event)
    return state
