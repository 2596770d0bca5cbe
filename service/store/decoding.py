"""Decoding many or large events without holding up everybody else in the process."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

LARGE_CHARACTERS = 100_000
"""Of event data: some milliseconds of decoding."""

Value = TypeVar("Value")


async def beside_if_large(rows: Sequence[sa.Row[Any]], decode: Callable[[], Value]) -> Value:
    """Return what ``decode`` makes of ``rows``; in a thread where it would hold up the loop."""
    if sum(len(row.data or "") for row in rows) > LARGE_CHARACTERS:
        return await asyncio.to_thread(decode)
    return decode()
