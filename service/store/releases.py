"""Releases of the catalog in the database: their content by digest, and that they were published."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import cast
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.planning.publication import FactChange, PublishRelease, ReleasePublished, decide, fold
from service.store.appender import Append, Appender
from service.store.codec import encode
from service.store.database import transaction
from service.store.entry import Actor, Request
from service.store.log import decoded, read_stream
from service.store.refusal import ReleaseNotFound, StaleRevision
from service.store.tables import releases
from service.store.views import ViewRows, summary_rows

SYSTEM = "system"
"""The workspace of what holds for everybody."""

PUBLISHER = "tonnage"
"""Who enters releases."""

CATALOG = UUID("6f1c1d0a-5d0e-4c39-9a55-6d0f6d0c2a26")
"""Id of the one stream that tells which release followed which."""

KEEP_RELEASE = sa.text("SELECT keep_release(:digest, :name, :parent_digest, :content)")
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A release, its content and what to say of it."""

    actor: Actor
    command: PublishRelease
    content: bytes

    @property
    def request(self) -> Request:
        """Publishing the same release again is the same request again."""
        return Request(
            workspace=SYSTEM,
            actor=self.actor.id,
            newcomer=self.actor.newcomer,
            method="publish_release",
            request_id=uuid5(CATALOG, self.command.digest),
            digest=sha256(self.content).digest(),
        )

    def kept(self, event: ReleasePublished) -> dict[str, object]:
        """Return the row that keeps the content."""
        return {
            "digest": event.digest,
            "name": event.release,
            "parent_digest": event.parent_digest,
            "content": self.content,
        }


async def publish(
    engine: AsyncEngine,
    appender: Appender,
    *,
    release: str,
    content: bytes,
    actor: Actor,
    at: datetime,
    changes: tuple[FactChange, ...],
) -> bool:
    """Enter a release into the history, once; return whether it was new."""
    command = PublishRelease(
        actor=actor.id, at=at, release=release, digest=sha256(content).hexdigest(), changes=changes
    )
    publication = Publication(actor=actor, command=command, content=content)
    for _ in range(TRIES - 1):
        try:
            return await _publish(engine, appender, publication)
        except StaleRevision:
            continue  # another process published at the same time: decide on what it left
    return await _publish(engine, appender, publication)


async def _publish(engine: AsyncEngine, appender: Appender, publication: Publication) -> bool:
    async with transaction(engine, SYSTEM) as connection:
        found = await read_stream(connection, workspace=SYSTEM, kind="catalog", stream_id=CATALOG)
    state = fold(cast("ReleasePublished", stored.event) for stored in await decoded(found))
    decided = decide(publication.command, state)
    if not decided:
        return False
    (event,) = decided
    append = Append(
        request=publication.request,
        stream_kind="catalog",
        stream_id=CATALOG,
        expected_revision=len(found),
        effective_at=None,
        events=(encode(event),),
        rows=ViewRows(summaries=summary_rows(decided)),
        beside=(KEEP_RELEASE, publication.kept(event)),
    )
    await appender.append(append)
    return True


async def content_of(engine: AsyncEngine, digest: str) -> bytes:
    """Return the canonical content of a release; raise `ReleaseNotFound`."""
    async with transaction(engine, SYSTEM) as connection:
        find = sa.select(releases.c.content).where(releases.c.digest == digest)
        content = (await connection.execute(find)).scalar_one_or_none()
    if content is None:
        raise ReleaseNotFound
    return bytes(content)
