"""The life of the catalog: which release was published after which, and what each changed.

A release is never edited: a correction is a new release, and names the facts that it corrects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce

from domain.planning.happening import Happening, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class FactChange:
    """A fact that a release states otherwise than its parent."""

    path: str
    """Such as ``accelerators/h20-96/memory_bytes``."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRelease(Order):
    """State what exists, from now on as this release says."""

    release: str
    digest: str
    """SHA-256 of the canonical content, hexadecimal."""
    changes: tuple[FactChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePublished(Happening):
    """A release of the catalog was published."""

    release: str
    digest: str
    parent_digest: str | None
    """Of the release before; None for the first."""
    changes: tuple[FactChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Every release so far, oldest first, by name."""

    digests: Mapping[str, str] = field(default_factory=dict)


INITIAL = Published()


class ReleaseRefused(Exception):
    """The release cannot be published."""

    def __str__(self) -> str:
        """Say the refusal's docstring: it is the message."""
        return (type(self).__doc__ or "").strip()


class ReleaseNameTaken(ReleaseRefused):
    """Another release has this name: what is published is never edited, a correction is a new release."""


def decide(command: PublishRelease, state: Published) -> tuple[ReleasePublished, ...]:
    """Return what happens when ``command`` meets ``state``; raise `ReleaseRefused` if nothing may."""
    if state.digests.get(command.release, command.digest) != command.digest:
        raise ReleaseNameTaken
    if command.digest in state.digests.values():
        return ()
    published = ReleasePublished(
        actor=command.actor,
        effective_at=command.effective_at,
        release=command.release,
        digest=command.digest,
        parent_digest=next(reversed(list(state.digests.values())), None),
        changes=command.changes,
    )
    return (published,)


def evolve(state: Published, event: ReleasePublished) -> Published:
    """Return the state after ``event``."""
    return Published(digests={**state.digests, event.release: event.digest})


def fold(events: Iterable[ReleasePublished]) -> Published:
    """Return the state that ``events``, oldest first, lead to."""
    return reduce(evolve, events, INITIAL)
