"""A dataclass read from a table by its own annotations, so that a field and its key cannot drift apart."""

from collections.abc import Hashable
from dataclasses import MISSING, Field, fields
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from domain.catalog.entry import Entry

Record = TypeVar("Record")


def record(entry: Entry, kind: type[Record], **given: object) -> Record:
    """Build a ``kind`` from the entry; ``given`` holds the fields that the caller has already read.

    Whole numbers, texts, flags and literals stand bare; a ``float`` is a fact with kind and source.
    A key may be missing only where the dataclass has a default or allows None.
    """
    values = dict(given)
    for field, hint in _annotated(cast("Hashable", kind)):
        if field.name not in values and entry.has(field.name):
            values[field.name] = _read(entry, field.name, hint)
        elif field.name not in values and _is_required(field):
            values[field.name] = None if isinstance(hint, UnionType) else _read(entry, field.name, hint)
    return kind(**values)


@cache
def _annotated(kind: Hashable) -> tuple[tuple[Field[object], object], ...]:
    hints = get_type_hints(kind)
    return tuple((field, hints[field.name]) for field in fields(cast("Any", kind)))


def _is_required(field: Field[object]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _read(entry: Entry, name: str, hint: object) -> object:
    if isinstance(hint, UnionType):
        return _read(entry, name, get_args(hint)[0])
    if get_origin(hint) is Literal:
        return entry.choice(name, get_args(hint))
    if get_origin(hint) in {tuple, frozenset}:
        return get_origin(hint)(entry.texts(name, empty=True))  # type: ignore[misc]
    if hint is bool:
        return entry.flag(name)
    if hint is int:
        return entry.whole(name)
    if hint is float:
        return entry.known(name)
    return entry.text(name, empty=name == "note")
