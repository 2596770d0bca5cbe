"""Page tokens: where a page ended, and for which list, in a form that nobody is tempted to build by hand."""

import base64
from hashlib import sha256

from service.store.refusal import PageTokenInvalid

POSITION_BYTES = 8
CHECK_BYTES = 8


def token(position: int, *, of: object) -> str:
    """Return the token of the page after ``position`` in the list that ``of`` describes."""
    return base64.urlsafe_b64encode(position.to_bytes(POSITION_BYTES, "big") + _check(position, of)).decode()


def position_in(text: str, *, of: object) -> int:
    """Return the position that ``text`` stands for; raise `PageTokenInvalid` if it is of another list."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        raise PageTokenInvalid from None
    position = int.from_bytes(raw[:POSITION_BYTES], "big")
    if len(raw) != POSITION_BYTES + CHECK_BYTES or raw[POSITION_BYTES:] != _check(position, of):
        raise PageTokenInvalid
    return position


def _check(position: int, of: object) -> bytes:
    """Tie the token to its list: filters are frozen dataclasses, whose text is the same everywhere."""
    return sha256(f"{position} {of!r}".encode()).digest()[:CHECK_BYTES]
