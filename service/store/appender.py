"""Group commit: appends that arrive together share one transaction, and with it one lock and one write to disk.

Positions have no holes and stand in commit order because every append in the cluster takes the same lock until its
commit. Alone, that lock would let one append through per write to disk; in groups it lets through as many as wait.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.store.codec import EncodedEvent
from service.store.database import failures_told
from service.store.entry import Request, StreamKind, Written
from service.store.refusal import RequestIdReused, StaleRevision, StoreUnavailable
from service.store.views import Row, ViewRows

LARGEST_GROUP = 256
LARGEST_GROUP_CHARACTERS = 4_000_000
ACTOR_OUTDATED = "TN001"
"""The SQLSTATE by which the database says so."""

Result: TypeAlias = Literal["appended", "repeated", "conflict", "effective_in_past", "request_id_reused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What one accepted command adds to its stream; no events where it changed nothing."""

    request: Request
    stream_kind: StreamKind
    stream_id: UUID
    expected_revision: int
    effective_at: datetime | None
    events: tuple[EncodedEvent, ...]
    rows: ViewRows
    """What the read models say afterwards."""
    beside: tuple[sa.Executable, Mapping[str, Any]] | None = None
    """What else is written in the same transaction."""

    @property
    def character_count(self) -> int:
        """Size of the data."""
        return sum(len(event.data) for event in self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the log said to one append."""

    result: Result
    written: Written
    """For a conflict: the stream as it stands."""


class ActorOutdated(Exception):
    """The subject stands under another id by now, or under none that may be used again."""


class EffectiveBeforeStream(Exception):
    """The log's own clock found that the append would take effect before what precedes it."""


@dataclass(slots=True, kw_only=True)
class _Waiting:
    append: Append
    done: "asyncio.Future[Outcome]"


class Appender:
    """Takes appends from everywhere in the process and commits them in groups, one group at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._single = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._waiting: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._last_count = 0
        self._task = asyncio.create_task(self._run(), name="appender")

    async def append(self, append: Append) -> Outcome:
        """Append, once for the request, and return what became of it once it is on disk.

        A caller that is cancelled leaves the others alone: whether its own append happens is then open.

        Raises:
            StaleRevision: The stream is not at the expected revision.
            RequestIdReused: The id stands for another request.
            EffectiveBeforeStream: It would take effect before what precedes it.
            ActorOutdated: Somebody else met the newcomer first.
            StoreUnavailable: The outcome is unknown.

        """
        if self._closing:
            raise StoreUnavailable
        waiting = _Waiting(append=append, done=asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._arrived.set()
        return await waiting.done

    async def close(self) -> None:
        """Commit what was accepted, then stop."""
        self._closing = True
        self._arrived.set()
        await self._task

    async def _run(self) -> None:
        while self._waiting or not self._closing:
            self._arrived.clear()
            if not self._waiting and not self._closing:
                await self._arrived.wait()
            if group := self._next_group():
                await self._commit(group)

    def _next_group(self) -> list[_Waiting]:
        """Take those that wait, oldest first; two appends to one stream go into different groups.

        Half of all callers, as far as one can tell: those who wait, and those who were just answered and come again.
        While the database works for one half, this process works for the other; all at once, one would wait for the
        other in turn.
        """
        group: list[_Waiting] = []
        later: list[_Waiting] = []
        streams: set[tuple[str, UUID]] = set()
        characters = 0
        most = min(LARGEST_GROUP, -(-(len(self._waiting) + self._last_count) // 2))
        while self._waiting and len(group) < most and characters < LARGEST_GROUP_CHARACTERS:
            waiting = self._waiting.popleft()
            stream = (waiting.append.request.workspace, waiting.append.stream_id)
            if waiting.done.done():  # its caller has gone
                continue
            if stream in streams:
                later.append(waiting)
                continue
            streams.add(stream)
            group.append(waiting)
            characters += waiting.append.character_count
        self._waiting.extendleft(reversed(later))
        self._last_count = len(group)
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._write([waiting.append for waiting in group])
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is told to those whom it concerns
            await self._tell_failure(group, failure)
        else:
            for waiting, outcome in zip(group, outcomes, strict=True):
                _tell(waiting.done, outcome)

    async def _tell_failure(self, group: Sequence[_Waiting], failure: Exception) -> None:
        """Let one bad append fail alone; a database that is away is away for all."""
        if len(group) > 1 and not isinstance(failure, StoreUnavailable):
            for waiting in group:
                await self._commit([waiting])
        else:
            for waiting in group:
                if not waiting.done.done():
                    waiting.done.set_exception(failure)

    async def _write(self, group: Sequence[Append]) -> list[Outcome]:
        by_workspace: dict[str, list[int]] = defaultdict(list)
        for index, append in enumerate(group):
            by_workspace[append.request.workspace].append(index)
        outcomes: dict[int, Outcome] = {}
        for indexes in by_workspace.values():
            appends = [group[index] for index in indexes]
            outcomes.update(zip(indexes, await self._write_workspace(appends), strict=True))
        return [outcomes[index] for index in range(len(group))]

    async def _write_workspace(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append to the log and the read models of one workspace, in one transaction."""
        if not any(append.beside for append in appends):
            # One statement is a transaction of its own, and one round trip.
            with failures_told():
                async with self._single.connect() as connection:
                    return await _append_all(connection, appends)
        with failures_told():
            async with self._engine.begin() as connection:
                outcomes = await _append_all(connection, appends)
                for append, outcome in zip(appends, outcomes, strict=True):
                    if append.beside is not None and outcome.result == "appended":
                        statement, arguments = append.beside
                        await connection.execute(statement, arguments)
                return outcomes


async def _append_all(connection: AsyncConnection, appends: Sequence[Append]) -> list[Outcome]:
    try:
        answered = await connection.execute(APPEND_WITH_VIEWS, _arguments(appends))
    except sa.exc.DBAPIError as failure:
        if getattr(failure.orig, "sqlstate", None) == ACTOR_OUTDATED:
            raise ActorOutdated from failure
        raise
    return [_outcome(row) for row in answered]


APPEND_WITH_VIEWS = sa.text(
    "SELECT * FROM append_with_views(:workspace, :actor_ids, :methods, :request_ids, :digests, :stream_kinds,"
    " :stream_ids, :expected_revisions, :effective_ats, :event_counts, :types, :schema_versions, :datas,"
    " :plan_rows, :summary_rows, :accelerator_rows, :newcomers)"
)


def _arguments(appends: Sequence[Append]) -> dict[str, Any]:
    events = [event for append in appends for event in append.events]
    return {
        "workspace": appends[0].request.workspace,
        "actor_ids": [append.request.actor for append in appends],
        "methods": [append.request.method for append in appends],
        "request_ids": [append.request.request_id for append in appends],
        "digests": [append.request.digest for append in appends],
        "stream_kinds": [append.stream_kind for append in appends],
        "stream_ids": [append.stream_id for append in appends],
        "expected_revisions": [append.expected_revision for append in appends],
        "effective_ats": [append.effective_at for append in appends],
        "event_counts": [len(append.events) for append in appends],
        "types": [event.type for event in events],
        "schema_versions": [event.schema_version for event in events],
        "datas": [event.data for event in events],
        "plan_rows": _numbered(append.rows.plans for append in appends),
        "summary_rows": _numbered(append.rows.summaries for append in appends),
        "accelerator_rows": _numbered(append.rows.accelerators for append in appends),
        "newcomers": [append.request.newcomer for append in appends],
    }


def _numbered(rows_of_commands: Iterable[Iterable[Row]]) -> str:
    """Return the rows as JSON text, each with the number of its command."""
    numbered = [{"command": command, **row} for command, rows in enumerate(rows_of_commands, start=1) for row in rows]
    return orjson.dumps(numbered).decode()


def _outcome(row: sa.Row[Any]) -> Outcome:
    written = Written(
        stream_id=row.stream_id,
        revision=row.revision,
        position=row.log_position or 0,
        recorded_at=row.recorded_at,
        changed=row.changed,
    )
    return Outcome(result=row.outcome, written=written)


def _tell(done: "asyncio.Future[Outcome]", outcome: Outcome) -> None:
    if done.done():
        return
    match outcome.result:
        case "appended" | "repeated":
            done.set_result(outcome)
        case "conflict":
            done.set_exception(StaleRevision(current_revision=outcome.written.revision))
        case "request_id_reused":
            done.set_exception(RequestIdReused())
        case "effective_in_past":
            done.set_exception(EffectiveBeforeStream())
