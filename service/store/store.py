"""The store: the one door between the service and its history."""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from domain.planning.happening import ActorId
from domain.planning.plan import Command
from service.store.entry import (
    EventFilter,
    Page,
    PlanFilter,
    PlanRecord,
    PlanSummary,
    Request,
    StoredEvent,
    Written,
)


class Store:
    """Plans and their history in one Postgres, as the service's role sees them.

    Every call may raise `StoreUnavailable` (see `service.store.refusal`): the database is away, and after a write
    its outcome is unknown; the same request id then answers what happened.
    """

    @classmethod
    async def open(cls, url: str, *, connection_count: int = 10) -> Self:
        """Connect to ``url`` (``postgresql://...``, the service's role) and begin to take writes.

        Raises:
            ServerTooOld: The server lacks what the store needs.
            SchemaOutdated: The migrations of this release have not run there.
            StoreUnavailable: Nobody answers there.

        """
        raise NotImplementedError

    async def close(self) -> None:
        """Finish the writes that were accepted, then disconnect."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ready(self) -> None:
        """Return when the database answers and is migrated; raise `StoreUnavailable` or `SchemaOutdated`."""
        raise NotImplementedError

    async def actor(self, *, workspace: str, subject: str) -> ActorId:
        """Return the random id that stands for the authenticated ``subject``, a new one at first sight."""
        raise NotImplementedError

    async def subjects(self, *, workspace: str, actors: Collection[ActorId]) -> Mapping[ActorId, str]:
        """Return who the actors are; those that were erased are missing."""
        raise NotImplementedError

    async def erase_actor(self, *, workspace: str, subject: str) -> bool:
        """Forget who an actor is; what they did stays, under an id that nobody can resolve."""
        raise NotImplementedError

    async def remembered(self, request: Request) -> Written | None:
        """Return what this request was answered before, None if it is new; ask before computing an answer.

        Raises:
            RequestIdReused: The id stands for another request.

        """
        raise NotImplementedError

    async def execute(
        self, request: Request, *, plan_id: UUID, command: Command, expected_revision: int | None
    ) -> Written:
        """Let ``command`` happen to the plan, once for this request, and return what became of it.

        ``command.actor`` is ``request.actor``. ``expected_revision`` is None for a draft.

        Raises:
            RequestIdReused: The id stands for another request.
            StaleRevision: Somebody changed the plan meanwhile; carries the current revision.
            PlanRefused: See `domain.planning.plan`; nothing was written.

        """
        raise NotImplementedError

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
        raise NotImplementedError

    async def plan_as_of(
        self, *, workspace: str, plan_id: UUID, recorded_at: datetime, effective_at: datetime | None = None
    ) -> PlanRecord:
        """Return the plan as it was known at ``recorded_at`` to hold at ``effective_at`` (default: the same time).

        Raises:
            PlanNotFound: There is no such plan in the workspace.
            RevisionNotFound: It did not exist then.

        """
        raise NotImplementedError

    async def history(self, *, workspace: str, plan_id: UUID) -> tuple[StoredEvent, ...]:
        """Return every event of the plan, oldest first; raise `PlanNotFound` where there is none."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        raise NotImplementedError

    async def publish_release(
        self, *, release: str, digest: str, content: bytes, actor: ActorId, changes: tuple[str, ...] = ()
    ) -> bool:
        """Enter a release of the catalog into the history, once; return whether it was new.

        ``content`` is the canonical content that ``digest`` (SHA-256, hexadecimal) was taken of.
        """
        raise NotImplementedError

    async def release_content(self, digest: str) -> bytes:
        """Return the canonical content of the release with ``digest``; raise `ReleaseNotFound`."""
        raise NotImplementedError
