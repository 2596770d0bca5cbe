"""What goes into the store and what comes out of it, as values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeVar
from uuid import UUID

from domain.planning.happening import ActorId
from domain.planning.plan import ActivePlan, RetiredPlan

StreamKind = Literal["plan", "fleet", "catalog", "reevaluation"]
PlanStatus = Literal["active", "retired"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts."""

    id: ActorId
    newcomer: str | None = None
    """The subject, as long as nothing that it asked for was accepted: its id is kept beside the first thing that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who asks to write what: by this a repeated request is known again."""

    workspace: str
    actor: ActorId
    """As `Store.actor` gave it for the authenticated subject."""
    method: str
    """Full name of the rpc, such as ``tonnage.v1.PlanService/DraftPlan``."""
    request_id: UUID
    newcomer: str | None = None
    """As `Actor` has it."""
    digest: bytes
    """SHA-256 over what was asked, without the request id: the same id with another digest is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of an accepted command; a repeated request gets the same again."""

    stream_id: UUID
    revision: int
    """Revision of the stream after the command."""
    position: int
    """Global position of the newest event of the stream at that time: a read may ask for at least this."""
    recorded_at: datetime
    changed: bool
    """False where the command changed nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One row of the log, its data decoded."""

    position: int
    workspace: str
    stream_kind: StreamKind
    stream_id: UUID
    revision: int
    type: str
    """Name of the stored type, such as ``plan_drafted``."""
    schema_version: int
    event: object
    """`domain.planning.plan.Event` in a plan's stream."""
    actor: ActorId
    request_id: UUID
    recorded_at: datetime
    effective_at: datetime
    hash: bytes
    previous_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """A plan as its events make it, now, at a revision or as of a time."""

    plan_id: UUID
    state: ActivePlan | RetiredPlan
    position: int
    """Global position of the newest event in it."""
    drafted_by: ActorId
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A plan in a list."""

    plan_id: UUID
    revision: int
    name: str
    status: PlanStatus
    model: str
    accelerators: tuple[str, ...]
    verdict: str
    """Of a check; empty for a sizing."""
    sentence: str
    """The answer in one sentence."""
    catalog_release: str
    catalog_digest: str
    approval_count: int
    """Approvals of the plan as it stands."""
    planner: ActorId
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFilter:
    """Which plans to list; None is any."""

    status: PlanStatus | None = None
    model: str | None = None
    accelerator: str | None = None
    catalog_digest: str | None = None
    planner: ActorId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events to list; None is any."""

    plan_id: UUID | None = None
    actor: ActorId | None = None
    type: str | None = None
    model: str | None = None
    accelerator: str | None = None
    catalog_digest: str | None = None
    recorded_from: datetime | None = None
    """Events recorded at or after this."""
    recorded_before: datetime | None = None
    """Events recorded before this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Items of a list, and the token that asks for those after them; empty at the end."""

    items: tuple[Item, ...]
    next_page_token: str = field(default="")
