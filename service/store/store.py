"""The store: the one door between the service and its history."""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.planning.happening import ActorId
from domain.planning.plan import Command
from domain.planning.publication import FactChange
from service.store.actors import Actors
from service.store.appender import ActorOutdated, Appender
from service.store.chain import Fault, LoggedEvent
from service.store.database import connect, require_ready
from service.store.entry import (
    Actor,
    EventFilter,
    Page,
    PlanFilter,
    PlanRecord,
    PlanSummary,
    Request,
    StoredEvent,
    Written,
)
from service.store.log import list_events, read_log, verify
from service.store.plan_writer import Attempt, PlanWriter
from service.store.plans import known_at, list_plans, read_history, read_plan, until_revision
from service.store.refusal import RevisionNotFound, StoreUnavailable
from service.store.releases import PUBLISHER, SYSTEM, content_of, publish


class Store:
    """Plans and their history in one Postgres, as the service's role sees them.

    Every call may raise `StoreUnavailable` (see `service.store.refusal`): the database is away, and after a write
    its outcome is unknown; the same request id then answers what happened.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._appender = Appender(engine)
        self._actors = Actors(engine)
        self._writer = PlanWriter(engine, self._appender)

    @classmethod
    async def open(cls, url: str, *, connection_count: int = 10) -> Self:
        """Connect to ``url`` (``postgresql://...``, the service's role) and begin to take writes.

        Raises:
            ServerTooOld: The server lacks what the store needs.
            SchemaOutdated: The migrations of this release have not run there.
            StoreUnavailable: Nobody answers there.

        """
        engine = connect(url, connection_count=connection_count)
        try:
            await require_ready(engine)
        except BaseException:
            await engine.dispose()
            raise
        return cls(engine)

    async def close(self) -> None:
        """Finish the writes that were accepted, then disconnect."""
        await self._appender.close()
        await self._engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ready(self) -> None:
        """Return when the database answers and is migrated; raise `StoreUnavailable` or `SchemaOutdated`."""
        await require_ready(self._engine)

    async def actor(self, *, workspace: str, subject: str) -> Actor:
        """Return the random id that stands for the authenticated ``subject``; nothing is written."""
        return await self._actors.actor(workspace, subject)

    async def subjects(self, *, workspace: str, actors: Collection[ActorId]) -> Mapping[ActorId, str]:
        """Return who the actors are; those that were erased are missing."""
        return await self._actors.subjects_of(workspace, actors)

    async def erase_actor(self, *, workspace: str, subject: str) -> bool:
        """Forget who an actor is; what they did stays, under an id that nobody can resolve."""
        return await self._actors.erase(workspace, subject)

    async def remembered(self, request: Request) -> Written | None:
        """Return what this request was answered before, None if it is new; ask before computing an answer.

        Raises:
            RequestIdReused: The id stands for another request.

        """
        return await self._writer.remembered(request)

    async def execute(
        self, request: Request, *, plan_id: UUID, command: Command, expected_revision: int | None
    ) -> Written:
        """Let ``command`` happen to the plan, once for this request, and return what became of it.

        ``command.actor`` is ``request.actor``. ``expected_revision`` is None for a draft.

        Raises:
            RequestIdReused: The id stands for another request.
            StaleRevision: Somebody changed the plan meanwhile; carries the current revision.
            PlanRefused: See `domain.planning.plan`; nothing was written.
            StoreUnavailable: Also where somebody else met the newcomer first: `actor` returns another id then.

        """
        attempt = Attempt(request=request, plan_id=plan_id, command=command, expected_revision=expected_revision)
        try:
            written = await self._writer.execute(attempt)
        except ActorOutdated as outdated:
            self._actors.forget(request.workspace, request.newcomer or "")
            raise StoreUnavailable from outdated
        if request.newcomer is not None:
            self._actors.keep(request.workspace, request.newcomer, request.actor)
        return written

    async def plan(
        self,
        *,
        workspace: str,
        plan_id: UUID,
        revision: int | None = None,
        at_least_position: int | None = None,
    ) -> PlanRecord:
        """Return the plan as it stands, or as it stood at ``revision``.

        Raises:
            PlanNotFound: There is no such plan in the workspace.
            RevisionNotFound: It has not come to that revision.
            PositionNotReached: The history is shorter than ``at_least_position``.

        """
        record = await read_plan(
            self._engine,
            workspace=workspace,
            plan_id=plan_id,
            narrowed=() if revision is None else until_revision(revision),
            at_least_position=at_least_position,
        )
        if revision is not None and record.state.revision != revision:
            raise RevisionNotFound
        return record

    async def plan_as_of(
        self, *, workspace: str, plan_id: UUID, recorded_at: datetime, effective_at: datetime | None = None
    ) -> PlanRecord:
        """Return the plan as it was known at ``recorded_at`` to hold at ``effective_at`` (default: the same time).

        Raises:
            PlanNotFound: There is no such plan in the workspace.
            RevisionNotFound: It did not exist then.

        """
        narrowed = known_at(recorded_at, effective_at or recorded_at)
        return await read_plan(self._engine, workspace=workspace, plan_id=plan_id, narrowed=narrowed)

    async def history(self, *, workspace: str, plan_id: UUID) -> tuple[StoredEvent, ...]:
        """Return every event of the plan, oldest first; raise `PlanNotFound` where there is none."""
        return await read_history(self._engine, workspace=workspace, plan_id=plan_id)

    async def plans(
        self,
        *,
        workspace: str,
        chosen: PlanFilter,
        page_size: int,
        page_token: str = "",
        at_least_position: int | None = None,
    ) -> Page[PlanSummary]:
        """Return plans, newest draft first; a plan keeps its place in the list whatever happens to it."""
        return await list_plans(
            self._engine,
            workspace=workspace,
            chosen=chosen,
            page_size=page_size,
            page_token=page_token,
            at_least_position=at_least_position,
        )

    async def events(
        self,
        *,
        workspace: str,
        chosen: EventFilter,
        page_size: int,
        page_token: str = "",
        at_least_position: int | None = None,
    ) -> Page[StoredEvent]:
        """Return events of the workspace, newest first."""
        return await list_events(
            self._engine,
            workspace=workspace,
            chosen=chosen,
            page_size=page_size,
            page_token=page_token,
            at_least_position=at_least_position,
        )

    async def publish_release(
        self, *, release: str, content: bytes, at: datetime, changes: tuple[FactChange, ...] = ()
    ) -> bool:
        """Enter a release of the catalog into the history, once; return whether it was new.

        ``content`` is the canonical content; its SHA-256 is the release's digest.

        Raises:
            ReleaseNameTaken: Another release has this name.

        """
        while True:
            actor = await self._actors.actor(SYSTEM, PUBLISHER)
            try:
                return await publish(
                    self._engine, self._appender, release=release, content=content, actor=actor, at=at, changes=changes
                )
            except ActorOutdated:  # another process that started at the same time was the first
                self._actors.forget(SYSTEM, PUBLISHER)

    async def release_content(self, digest: str) -> bytes:
        """Return the canonical content of the release with ``digest``; raise `ReleaseNotFound`."""
        return await content_of(self._engine, digest)

    async def log(self, *, after: int, most: int = 1_000) -> tuple[LoggedEvent, ...]:
        """Return the next events of all workspaces after a position, gap-free and in order."""
        return await read_log(self._engine, after=after, most=most)

    async def verify(self) -> tuple[Fault, ...]:
        """Read the whole log and return every place where it is not what was written."""
        return tuple([fault async for fault in verify(self._engine)])
