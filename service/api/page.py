"""Pages of a list that a release of the catalog holds: by id, so that a page begins after what was seen last."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, Protocol, TypeVar

from google.protobuf.message import Message

DEFAULT_PAGE_SIZE = 100
MARK_BYTES = 8


class PageTokenInvalid(Exception):
    """The page token was not given out for this list with these filters."""


class Identified(Protocol):
    """What has an id to go by."""

    @property
    def id(self) -> str:
        """Its id."""


Item = TypeVar("Item", bound=Identified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Items of a list, and the token that asks for those after them; empty at the end."""

    items: tuple[Item, ...]
    next_page_token: str


def page(items: Iterable[Item], *, page_size: int, page_token: str, filters: bytes) -> Page[Item]:
    """Return the items after ``page_token``; raise `PageTokenInvalid` where it is of another list."""
    size = page_size or DEFAULT_PAGE_SIZE
    after = _read(page_token, filters) if page_token else ""
    rest = sorted((item for item in items if item.id > after), key=lambda item: item.id)
    shown = tuple(rest[:size])
    return Page(items=shown, next_page_token=_token(shown[-1].id, filters) if len(rest) > size else "")


def filters_of(request: Message) -> bytes:
    """Return what the request filters by: everything in it but where the page lies."""
    kept = type(request)()
    kept.CopyFrom(request)
    for name in ("page_size", "page_token"):
        kept.ClearField(name)
    kept.DiscardUnknownFields()
    return kept.SerializeToString(deterministic=True)


def _token(last: str, filters: bytes) -> str:
    return base64.urlsafe_b64encode(_mark(filters) + last.encode()).decode()


def _read(token: str, filters: bytes) -> str:
    try:
        content = base64.b64decode(token, altchars=b"-_", validate=True)
        last = content[MARK_BYTES:].decode()
    except (binascii.Error, ValueError):
        raise PageTokenInvalid from None
    if content[:MARK_BYTES] != _mark(filters) or not last:
        raise PageTokenInvalid
    return last


def _mark(filters: bytes) -> bytes:
    return sha256(filters).digest()[:MARK_BYTES]
