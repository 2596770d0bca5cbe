"""A number of the catalog: never alone, always with its kind and its source."""

from dataclasses import dataclass
from typing import Literal

FactKind = Literal["vendor", "measured", "derived", "assumed", "unknown", "unsupported"]
"""Where a number comes from; ``unknown`` and ``unsupported`` carry no value, and say which of the two it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place that a reader can open to check a number."""

    key: str
    title: str
    publisher: str
    date: str
    """ISO date of publication or retrieval; empty where the source states none."""
    link: str
    """URL or ``repository@version path``; never empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value of the catalog as its release states it."""

    value: float | str | bool | None
    """In base units; None when ``kind`` is ``unknown`` or ``unsupported``."""
    kind: FactKind
    source: str
    """Key of a `Source` of the same release."""
    note: str = ""
    """What surprises, and what other sources say instead."""
