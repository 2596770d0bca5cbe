"""The hash chain of every stream: what an event's hash covers, byte by byte, and who broke the chain.

The hash is SHA-256 over these fields in this order, each as its length in bytes (four bytes, big-endian) and its
bytes: the text ``tonnage.event.1``; previous hash (32 bytes; zeros before the first event); workspace; stream kind;
stream id (16 bytes); revision (8 bytes); type; schema version (4 bytes); actor id (16 bytes); request id (16 bytes);
recorded and effective time (8 bytes each: microseconds since 1970-01-01 UTC); data, verbatim. Texts are UTF-8,
numbers signed and big-endian. Position and transaction are left out: they would not survive an export.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

ENCODING = "tonnage.event.1"
GENESIS = bytes(32)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """One row of the log, nothing decoded."""

    position: int
    workspace: str
    stream_kind: str
    stream_id: UUID
    revision: int
    type: str
    schema_version: int
    data: str
    actor_id: UUID
    request_id: UUID
    recorded_at: datetime
    effective_at: datetime
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A place where the history is not what was written."""

    position: int
    what: str


def event_hash(event: LoggedEvent) -> bytes:
    """Return the hash that ``event`` must have."""
    fields = (
        ENCODING.encode(),
        event.previous_hash,
        event.workspace.encode(),
        event.stream_kind.encode(),
        event.stream_id.bytes,
        _big_endian(event.revision, 8),
        event.type.encode(),
        _big_endian(event.schema_version, 4),
        event.actor_id.bytes,
        event.request_id.bytes,
        _moment(event.recorded_at),
        _moment(event.effective_at),
        event.data.encode(),
    )
    return sha256(b"".join(_big_endian(len(field), 4) + field for field in fields)).digest()


class Verifier:
    """Reads the log in order of position and tells what is wrong with it."""

    def __init__(self) -> None:
        self._position = 0
        self._recorded_at: datetime | None = None
        self._ends: dict[tuple[str, str, UUID], tuple[int, bytes]] = {}

    def faults(self, events: Iterable[LoggedEvent]) -> Iterator[Fault]:
        """Yield the faults of the next ``events``."""
        for event in events:
            yield from (Fault(position=event.position, what=what) for what in self._wrong_with(event))

    @property
    def ends(self) -> dict[tuple[str, str, UUID], tuple[int, bytes]]:
        """Revision and hash of the newest event of every stream, by workspace, kind and id."""
        return self._ends

    @property
    def position(self) -> int:
        """Position of the newest event read."""
        return self._position

    def _wrong_with(self, event: LoggedEvent) -> Iterator[str]:
        stream = (event.workspace, event.stream_kind, event.stream_id)
        revision, previous_hash = self._ends.get(stream, (0, GENESIS))
        if event.position != self._position + 1:
            yield f"follows position {self._position}"
        if self._recorded_at is not None and event.recorded_at < self._recorded_at:
            yield "was recorded before its predecessor"
        if event.revision != revision + 1:
            yield f"is revision {event.revision} of its stream and follows revision {revision}"
        if event.previous_hash != previous_hash:
            yield "does not name the hash of its predecessor in the stream"
        if event.hash != event_hash(event):
            yield "does not have the hash of its content"
        self._position, self._recorded_at = event.position, event.recorded_at
        self._ends[stream] = (event.revision, event.hash)


def _big_endian(number: int, length: int) -> bytes:
    return number.to_bytes(length, "big", signed=True)


def _moment(moment: datetime) -> bytes:
    return _big_endian((moment - EPOCH) // timedelta(microseconds=1), 8)
