"""Frozen dataclasses to plain JSON values and back, by their annotations, and strictly.

A field that is missing takes the dataclass's default or is an error; one that is unknown is an error. A union of
dataclasses is told apart by the name in ``kind``, which is a stored name and not that of the class.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from math import isfinite
from typing import Any, TypeAlias, TypeVar

from domain.engine.answer import CheckAnswer, CheckRequest, SizeAnswer, SizeRequest

Plain: TypeAlias = Any
"""What JSON can say: dict, list, str, int, float, bool, None."""

Read: TypeAlias = Callable[[Plain], Any]
Value = TypeVar("Value")

KINDS: dict[type, str] = {
    CheckAnswer: "check_answer",
    CheckRequest: "check_request",
    SizeAnswer: "size_answer",
    SizeRequest: "size_request",
}
"""Stored names of the dataclasses that stand in a union."""


SAID_AS_THEY_ARE = frozenset({str, int, bool, types.NoneType})


class NotInForm(ValueError):
    """A value is not what its type says; the text begins with the path to it."""


def to_plain(value: object) -> Plain:
    """Return ``value`` as JSON can say it; raise `NotInForm` for what JSON cannot say."""
    form: Any = type(value)
    if form in SAID_AS_THEY_ARE:
        return value
    if form is float:
        if not isfinite(typing.cast("float", value)):
            raise NotInForm(f"{value} is no number")
        return value
    if form is tuple:
        return list(map(to_plain, typing.cast("tuple[object, ...]", value)))
    return fields_to_plain(value)


def from_plain(form: "type[Value] | types.UnionType", plain: Plain) -> Value:
    """Return the ``form`` that ``plain`` says; raise `NotInForm` where it says something else."""
    return typing.cast("Value", _reader(typing.cast("Any", form))(plain))


@cache
def _names(form: type) -> tuple[str, ...]:
    if not dataclasses.is_dataclass(form):
        raise NotInForm(f"{form.__name__} cannot be kept")
    return tuple(field.name for field in dataclasses.fields(form))


@cache
def _reader(form: Any) -> Read:  # noqa: ANN401 - an annotation is any object
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin in (typing.Union, types.UnionType):
        return _union_reader(arguments)
    if origin is tuple:
        return _tuple_reader(arguments)
    if origin is typing.Literal:
        return _literal_reader(arguments)
    if isinstance(form, typing.NewType):
        return _reader(form.__supertype__)
    if dataclasses.is_dataclass(form):
        return _dataclass_reader(typing.cast("type", form))
    if form in SCALARS:
        return SCALARS[form]
    raise NotInForm(f"{form} cannot be kept")


def _dataclass_reader(form: type) -> Read:
    # The fields are looked at when a value comes: a dataclass may mention itself.
    return lambda plain: form(**fields_from_plain(form, plain))


def fields_from_plain(form: type, plain: Plain, *, beside: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the fields of the dataclass ``form`` that ``plain`` says; those ``beside`` come from elsewhere."""
    readers, optional = _field_readers(typing.cast("Any", form))
    if not isinstance(plain, Mapping):
        raise NotInForm(f"{form.__name__} expected, {type(plain).__name__} found")
    said = plain.keys() - ({"kind"} if form in KINDS else set())
    known = readers.keys() - beside
    if wrong := (said - known) | (known - said - optional):
        raise NotInForm(f"{form.__name__}: {', '.join(sorted(wrong))} missing or unknown")
    return {name: _within(name, readers[name], plain[name]) for name in said}


def fields_to_plain(value: object, *, beside: frozenset[str] = frozenset()) -> dict[str, Plain]:
    """Return the fields of a dataclass as JSON can say them, without those that are kept ``beside``."""
    form: Any = type(value)
    plain = {name: to_plain(getattr(value, name)) for name in _names(form) if name not in beside}
    if form in KINDS:
        plain["kind"] = KINDS[form]
    return plain


@cache
def _field_readers(form: type) -> tuple[Mapping[str, Read], frozenset[str]]:
    """Return a reader for every field, and the fields that may be missing."""
    hints = typing.get_type_hints(form)
    fields = dataclasses.fields(form)
    optional = frozenset(field.name for field in fields if field.default is not dataclasses.MISSING)
    return {field.name: _reader(hints[field.name]) for field in fields}, optional


def _within(name: str, read: Read, plain: Plain) -> object:
    try:
        return read(plain)
    except NotInForm as fault:
        raise NotInForm(f"{name}.{fault}") from None


def _tuple_reader(arguments: tuple[Any, ...]) -> Read:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[Item, ...]
        read_item = _reader(arguments[0])
        return lambda plain: tuple(read_item(item) for item in _list(plain))
    readers = tuple(_reader(argument) for argument in arguments)

    def read(plain: Plain) -> tuple[object, ...]:
        if len(_list(plain)) != len(readers):
            raise NotInForm(f"{len(readers)} items expected, {len(plain)} found")
        return tuple(read_item(item) for read_item, item in zip(readers, plain, strict=True))

    return read


def _list(plain: Plain) -> list[Plain]:
    if not isinstance(plain, list):
        raise NotInForm(f"list expected, {type(plain).__name__} found")
    return plain


def _literal_reader(allowed: tuple[Any, ...]) -> Read:
    def read(plain: Plain) -> object:
        if plain not in allowed:
            raise NotInForm(f"{plain!r} is none of {', '.join(map(str, allowed))}")
        return plain

    return read


def _union_reader(arguments: tuple[Any, ...]) -> Read:
    """Read ``X | None``, or a union of dataclasses by their kind."""
    others = tuple(argument for argument in arguments if argument is not types.NoneType)
    if len(others) == 1:
        read_other = _reader(others[0])
        return lambda plain: None if plain is None else read_other(plain)
    by_kind = {KINDS[other]: _reader(other) for other in others}
    may_be_none = len(others) < len(arguments)

    def read(plain: Plain) -> object:
        if plain is None and may_be_none:
            return None
        kind = plain.get("kind") if isinstance(plain, Mapping) else None
        if kind not in by_kind:
            raise NotInForm(f"kind {kind!r} is none of {', '.join(by_kind)}")
        return by_kind[kind](plain)

    return read


def _scalar_reader(form: type, *accepted: type) -> Read:
    def read(plain: Plain) -> object:
        if type(plain) not in accepted:
            raise NotInForm(f"{form.__name__} expected, {plain!r} found")
        return form(plain)

    return read


SCALARS: dict[type, Read] = {
    str: _scalar_reader(str, str),
    bool: _scalar_reader(bool, bool),
    int: _scalar_reader(int, int),
    float: _scalar_reader(float, float, int),
    datetime: _scalar_reader(datetime),
}
"""A moment stands beside the data, never in it."""
