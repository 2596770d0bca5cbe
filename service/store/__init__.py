"""History: append and read events, read models, releases, and the Postgres that comes along."""

from service.store.entry import (
    Actor,
    EventFilter,
    Page,
    PlanFilter,
    PlanRecord,
    PlanSummary,
    Request,
    StoredEvent,
    Written,
)
from service.store.store import Store

__all__ = [
    "Actor",
    "EventFilter",
    "Page",
    "PlanFilter",
    "PlanRecord",
    "PlanSummary",
    "Request",
    "Store",
    "StoredEvent",
    "Written",
]
