"""What every command and every event of every stream says beside its own fields: who and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

ActorId = NewType("ActorId", str)
"""Random UUID, as text, of a person or a program; who that is stands elsewhere and can be erased."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What every command says: who asks, when, and from when on it shall hold."""

    actor: ActorId
    at: datetime
    effective_at: datetime | None = None
    """From when on it holds; None is from when it is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """What every event says beside its own fields; the log keeps it in columns, not in the event's data."""

    actor: ActorId
    effective_at: datetime | None = None
    """From when on it holds; None is from when it is recorded, and stands only until then."""
    recorded_at: datetime | None = None
    """When the store took it; None until then."""
