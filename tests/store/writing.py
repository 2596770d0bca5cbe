"""Writing through the store, as the service would."""

from dataclasses import replace
from uuid import UUID, uuid4

from domain.planning.plan import Command
from service.store import Request, Store, Written

DIGEST = bytes(32)


def request_by(actor, *, workspace: str = "acme", method: str = "Test/Write", **changes: object) -> Request:
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
