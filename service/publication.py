"""The built-in release, entered into the history: what every answer rests on can be read there for ever."""

from datetime import datetime

import structlog

from domain.catalog.content import Content, written
from domain.catalog.release import Catalog
from domain.planning.publication import ReleaseNameTaken
from service.store import Store

log = structlog.get_logger()


async def publish(store: Store, catalog: Catalog, *, at: datetime, is_draft: bool) -> None:
    """Enter the release into the history, unless it stands there.

    Where the history has another content under its name, `ReleaseNameTaken` is raised; a draft, as it changes
    while people work on it, is entered under its digest instead.
    """
    content = canonical_content(catalog)
    try:
        is_new = await store.publish_release(release=catalog.release, content=content, at=at)
    except ReleaseNameTaken:
        if not is_draft:
            raise
        draft = f"{catalog.release}+{catalog.digest[:12]}"
        is_new = await store.publish_release(release=draft, content=content, at=at)
        log.warning("release.differed", release=catalog.release, published_as=draft)
    if is_new:
        log.info("release.published", release=catalog.release, digest=catalog.digest)


def canonical_content(catalog: Catalog) -> bytes:
    """Return the text that the release's digest was taken of."""
    content = Content(**{name: getattr(catalog, name) for name in Content._fields})
    versions = {key: engine for key, engine in catalog.serving_engines.items() if "@" in key}
    return written((catalog.release, *content._replace(serving_engines=versions)))
