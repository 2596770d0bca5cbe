"""Writing through the store, as the service would."""

from dataclasses import replace
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from domain.planning.happening import ActorId
from domain.planning.plan import Command
from service.store import Request, Store, Written
from service.store.tables import metadata
from tests.postgres import Database

DIGEST = bytes(32)


def request_by(actor: ActorId, *, workspace: str = "acme", method: str = "Test/Write", **changes: object) -> Request:
    """A request of its own."""
    request = Request(workspace=workspace, actor=actor, method=method, request_id=uuid4(), digest=DIGEST)
    return replace(request, **changes)  # type: ignore[arg-type]


async def write(
    store: Store,
    command: Command,
    *,
    plan_id: UUID,
    expected_revision: int | None = None,
    request: Request | None = None,
    workspace: str = "acme",
) -> Written:
    """Let ``command`` happen to the plan."""
    return await store.execute(
        request or request_by(command.actor, workspace=workspace),
        plan_id=plan_id,
        command=command,
        expected_revision=expected_revision,
    )


async def row_counts(database: Database) -> dict[str, int]:
    """Rows of every table, whatever the workspace: what a refused command must not change."""
    engine = create_async_engine(sa.make_url(database.admin_url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        counts = {
            table.name: int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())
            for table in metadata.sorted_tables
        }
    await engine.dispose()
    return counts
