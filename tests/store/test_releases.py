"""Releases of the catalog: entered once, kept by the digest of their content, readable for ever."""

import asyncio
import json
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from domain.planning.publication import FactChange, ReleaseNameTaken, ReleasePublished
from service.store import EventFilter, Store
from service.store.refusal import ReleaseNotFound
from tests.planning.example import MONDAY

CONTENT = b'{"accelerators":{}}'
DIGEST = sha256(CONTENT).hexdigest()


async def test_a_release_is_entered_once(store):
    assert await store.publish_release(release="2026-11", content=CONTENT, at=MONDAY)
    assert not await store.publish_release(release="2026-11", content=CONTENT, at=MONDAY)
    assert await store.release_content(DIGEST) == CONTENT


async def test_services_that_start_together_enter_a_release_once(database):
    async with await Store.open(database.service_url) as here, await Store.open(database.service_url) as there:
        entered = await asyncio.gather(
            *(s.publish_release(release="2026-11", content=CONTENT, at=MONDAY) for s in (here, there) * 3)
        )
        assert len(await here.log(after=0)) == 1
        assert any(entered)


async def test_the_next_release_names_its_parent_and_what_it_changed(store):
    changes = (FactChange(path="accelerators/h20-96/memory_bytes", why="measured"),)
    await store.publish_release(release="2026-11", content=CONTENT, at=MONDAY)
    await store.publish_release(release="2026-12", content=b"{}", at=MONDAY, changes=changes)
    newest, oldest = (
        await store.events(workspace="system", chosen=EventFilter(type="release_published"), page_size=5)
    ).items
    assert isinstance(newest.event, ReleasePublished)
    assert isinstance(oldest.event, ReleasePublished)
    assert oldest.event.parent_digest is None
    assert newest.event.parent_digest == DIGEST
    assert newest.event.changes == changes
    assert await store.verify() == ()


async def test_a_release_is_never_edited(store):
    await store.publish_release(release="2026-11", content=CONTENT, at=MONDAY)
    with pytest.raises(ReleaseNameTaken):
        await store.publish_release(release="2026-11", content=b"{}", at=MONDAY)
    assert len(await store.log(after=0)) == 1


async def test_a_release_that_nobody_published_is_not_found(store):
    with pytest.raises(ReleaseNotFound):
        await store.release_content(DIGEST)


Connection = psycopg.Connection[tuple[object, ...]]

PUBLISHED: dict[str, object] = {"release": "2026-11", "digest": DIGEST, "parent_digest": None, "changes": []}


def publish(connection: Connection, workspace: str = "system", **changes: object) -> None:
    """Append that a release was published, by hand."""
    connection.execute(
        "SELECT append_events(%s, %s::uuid[], '{m}', %s::uuid[], '{d}'::bytea[], '{catalog}', %s::uuid[],"
        " '{0}', '{NULL}', '{1}', '{release_published}', '{1}', %s)",
        [workspace, [uuid4()], [uuid4()], [uuid4()], [json.dumps(PUBLISHED | changes)]],
    )


def keep(connection: Connection, digest: str = DIGEST, parent_digest: str | None = None) -> None:
    connection.execute("SELECT keep_release(%s, '2026-11', %s, %s)", [digest, parent_digest, CONTENT])


def test_a_release_is_kept_by_the_transaction_that_publishes_it(database):
    with psycopg.connect(database.service_url) as connection:
        publish(connection)
        keep(connection)
        connection.commit()
        assert connection.execute("SELECT digest FROM releases").fetchall() == [(DIGEST,)]


@pytest.mark.parametrize("workspace", ["system", "acme"])
def test_a_release_that_nobody_publishes_is_not_kept(database, workspace):
    with psycopg.connect(database.service_url) as connection:
        connection.execute("SELECT set_config('tonnage.workspace', %s, true)", [workspace])
        with pytest.raises(errors.InsufficientPrivilege, match="not part of this transaction"):
            keep(connection)


def test_a_release_is_not_kept_after_the_fact(database):
    with psycopg.connect(database.service_url) as connection:
        publish(connection)
        connection.commit()
        connection.execute("SELECT set_config('tonnage.workspace', 'system', true)")
        with pytest.raises(errors.InsufficientPrivilege, match="not part of this transaction"):
            keep(connection)


@pytest.mark.parametrize("published", [{"digest": "0" * 64}, {"release": "2026-10"}, {"parent_digest": "0" * 64}])
def test_a_release_is_kept_as_its_publication_names_it(database, published):
    with psycopg.connect(database.service_url) as connection:
        publish(connection, **published)
        with pytest.raises(errors.InsufficientPrivilege, match="not part of this transaction"):
            keep(connection)


def test_only_the_systems_workspace_states_what_exists(database):
    with psycopg.connect(database.service_url) as connection:
        publish(connection, "acme")
        with pytest.raises(errors.InsufficientPrivilege):
            keep(connection)


def test_content_that_is_not_what_its_digest_says_is_not_kept(database):
    with psycopg.connect(database.service_url) as connection:
        publish(connection, digest="0" * 64)
        with pytest.raises(errors.CheckViolation):
            keep(connection, "0" * 64)
