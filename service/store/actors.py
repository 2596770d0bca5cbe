"""Who the actors are: the one table that can be erased, because the log knows them by a random id alone."""

import time
from collections.abc import Collection, Mapping
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.planning.happening import ActorId
from service.store.database import transaction
from service.store.entry import Actor
from service.store.tables import actors

REMEMBERED_S = 60.0
"""How long another process may go on using an id after it was erased."""
REMEMBERED_COUNT = 10_000


class Actors:
    """Random ids of authenticated subjects, by workspace.

    An id is made up when a subject is met, and kept by the transaction that appends the first thing it does: who is
    only ever refused leaves nothing behind. Until then it is looked up at every call, for another process may have
    met the subject too; of two ids the log takes the first.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._kept: dict[tuple[str, str], tuple[ActorId, float]] = {}
        self._met: dict[tuple[str, str], ActorId] = {}

    async def actor(self, workspace: str, subject: str) -> Actor:
        """Return who ``subject`` is, or will be once something that it asked for is accepted."""
        kept = self._kept.get((workspace, subject))
        if kept is not None and kept[1] > time.monotonic():
            return Actor(id=kept[0])
        found = await self._find(workspace, subject)
        if found is not None:
            self.keep(workspace, subject, found)
            return Actor(id=found)
        if len(self._met) >= REMEMBERED_COUNT:
            self._met.clear()
        return Actor(id=self._met.setdefault((workspace, subject), ActorId(str(uuid4()))), newcomer=subject)

    def keep(self, workspace: str, subject: str, actor: ActorId) -> None:
        """Remember for a while that the database knows the subject by this id."""
        self.forget(workspace, subject)
        if len(self._kept) >= REMEMBERED_COUNT:
            self._kept.clear()
        self._kept[workspace, subject] = (actor, time.monotonic() + REMEMBERED_S)

    def forget(self, workspace: str, subject: str) -> None:
        """Look the subject up, or make up another id, when it comes again."""
        self._kept.pop((workspace, subject), None)
        self._met.pop((workspace, subject), None)

    async def _find(self, workspace: str, subject: str) -> ActorId | None:
        find = sa.select(actors.c.actor_id).where(actors.c.workspace == workspace, actors.c.subject == subject)
        async with transaction(self._engine, workspace) as connection:
            found = (await connection.execute(find)).scalar_one_or_none()
        return None if found is None else ActorId(str(found))

    async def subjects_of(self, workspace: str, ids: Collection[ActorId]) -> Mapping[ActorId, str]:
        """Return who the actors are; those that were erased are missing."""
        find = sa.select(actors.c.actor_id, actors.c.subject).where(
            actors.c.workspace == workspace, actors.c.actor_id.in_(list(ids))
        )
        async with transaction(self._engine, workspace) as connection:
            rows = await connection.execute(find)
            return {ActorId(str(row.actor_id)): row.subject for row in rows}

    async def erase(self, workspace: str, subject: str) -> bool:
        """Forget who an actor is."""
        self.forget(workspace, subject)
        forget = sa.delete(actors).where(actors.c.workspace == workspace, actors.c.subject == subject)
        async with transaction(self._engine, workspace) as connection:
            return bool((await connection.execute(forget)).rowcount)
