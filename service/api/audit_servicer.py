"""AuditService: who did what, when and why."""

from typing import Any
from uuid import UUID

import grpc
from tonnage.v1 import audit_pb2 as pb
from tonnage.v1 import audit_pb2_grpc as rpc

from domain.planning.happening import ActorId
from service.api.audit_message import event
from service.api.caller import CURRENT
from service.api.conversion import moment_of
from service.store import EventFilter, Store

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_PAGE_SIZE = 50

LARGEST_PAGE_BYTES = 3_000_000
"""Clients take 4 MB unless told otherwise, and the answer to one sizing has a third of a megabyte."""


class AuditServicer(rpc.AuditServiceServicer):
    """AuditService over one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        page_size = request.page_size or DEFAULT_PAGE_SIZE
        while (response := await self._page(request, page_size)).ByteSize() > LARGEST_PAGE_BYTES and page_size > 1:
            page_size = max(1, page_size // 4)
        return response

    async def _page(self, request: pb.ListEventsRequest, page_size: int) -> pb.ListEventsResponse:
        workspace = CURRENT.get().workspace
        page = await self._store.events(
            workspace=workspace,
            chosen=_filter(request),
            page_size=page_size,
            page_token=request.page_token,
            at_least_position=request.at_least_position if request.HasField("at_least_position") else None,
        )
        actors = {stored.actor for stored in page.items}
        subjects = await self._store.subjects(workspace=workspace, actors=actors)
        return pb.ListEventsResponse(
            events=[event(stored, subjects) for stored in page.items], next_page_token=page.next_page_token
        )


def _filter(request: pb.ListEventsRequest) -> EventFilter:
    return EventFilter(
        plan_id=UUID(request.plan_id) if request.HasField("plan_id") else None,
        actor=ActorId(str(UUID(request.actor))) if request.HasField("actor") else None,
        type=request.type if request.HasField("type") else None,
        model=request.model if request.HasField("model") else None,
        accelerator=request.accelerator if request.HasField("accelerator") else None,
        catalog_digest=request.catalog_digest if request.HasField("catalog_digest") else None,
        recorded_from=moment_of(request, "recorded_from"),
        recorded_before=moment_of(request, "recorded_before"),
    )
