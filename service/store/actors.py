"""Who the actors are: the one table that can be erased, because the log knows them by a random id alone."""

import time
from collections.abc import Collection, Mapping
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.planning.happening import ActorId
from service.store.database import transaction
from service.store.tables import actors

REMEMBERED_S = 60.0
"""How long another process may go on using an id after it was erased."""
REMEMBERED_COUNT = 10_000


class Actors:
    """Random ids of authenticated subjects, by workspace."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[tuple[str, str], tuple[ActorId, float]] = {}

    async def id_of(self, workspace: str, subject: str) -> ActorId:
        """Return the id of ``subject``, a new one at first sight."""
        known = self._known.get((workspace, subject))
        if known is not None and known[1] > time.monotonic():
            return known[0]
        actor = await self._kept(workspace, subject)
        if len(self._known) >= REMEMBERED_COUNT:
            self._known.clear()
        self._known[workspace, subject] = (actor, time.monotonic() + REMEMBERED_S)
        return actor

    async def _kept(self, workspace: str, subject: str) -> ActorId:
        find = sa.select(actors.c.actor_id).where(actors.c.workspace == workspace, actors.c.subject == subject)
        async with transaction(self._engine, workspace) as connection:
            found = (await connection.execute(find)).scalar_one_or_none()
            if found is None:
                row = {"workspace": workspace, "subject": subject, "actor_id": uuid4()}
                await connection.execute(insert(actors).values(row).on_conflict_do_nothing())
                found = (await connection.execute(find)).scalar_one()
        return ActorId(str(found))

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
        self._known.pop((workspace, subject), None)
        forget = sa.delete(actors).where(actors.c.workspace == workspace, actors.c.subject == subject)
        async with transaction(self._engine, workspace) as connection:
            return bool((await connection.execute(forget)).rowcount)
