"""The built-in release, entered into the history: what every answer rests on can be read there for ever."""

from datetime import datetime

import structlog

from domain.catalog.content import Content, written
from domain.catalog.release import Catalog
from service.store import Store

log = structlog.get_logger()


async def publish(store: Store, catalog: Catalog, *, at: datetime) -> None:
    """Enter the release into the history, unless it stands there."""
    if await store.publish_release(release=catalog.release, content=canonical_content(catalog), at=at):
        log.info("release.published", release=catalog.release, digest=catalog.digest)


def canonical_content(catalog: Catalog) -> bytes:
    """Return the text that the release's digest was taken of."""
    content = Content(**{name: getattr(catalog, name) for name in Content._fields})
    versions = {key: engine for key, engine in catalog.serving_engines.items() if "@" in key}
    return written((catalog.release, *content._replace(serving_engines=versions)))
