"""What the store refuses, beside what the deciders refuse: the message is the docstring, the fields say the rest."""

from datetime import timedelta


class StoreRefused(Exception):
    """The store cannot do what was asked."""

    def __str__(self) -> str:
        """Say the refusal's docstring: it is the message."""
        return (type(self).__doc__ or "").strip()


class StaleRevision(StoreRefused):
    """Someone else changed the plan since it was read."""

    def __init__(self, *, current_revision: int) -> None:
        self.current_revision = current_revision


class RequestIdReused(StoreRefused):
    """This request id was used before, for another request."""


class PageTokenInvalid(StoreRefused):
    """The page token was not given out for this list with these filters."""


class PositionNotReached(StoreRefused):
    """The history has not come to the position that the read asked for."""

    def __init__(self, *, position: int) -> None:
        self.position = position


class RevisionNotFound(StoreRefused):
    """The plan has no such revision, or did not exist at that time."""


class ReleaseNotFound(StoreRefused):
    """No release of the catalog has this digest."""


class StoreUnavailable(StoreRefused):
    """The database cannot be reached, or went away before it said what became of the write; ask again."""

    retry_after = timedelta(seconds=1)


class ServerTooOld(StoreRefused):
    """The database server is older than PostgreSQL 15."""

    def __init__(self, *, server_version: str) -> None:
        self.server_version = server_version


class SchemaOutdated(StoreRefused):
    """The database has not been migrated to what this release of Tonnage needs."""

    def __init__(self, *, found: str, needed: str) -> None:
        self.found = found
        self.needed = needed
