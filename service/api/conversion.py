"""Messages to domain values and back, field by field of the same name.

The contract mirrors the domain's questions and answers, so one rule serves them all: a field takes the attribute
of its name, an enum value is its literal in capitals behind the enum's prefix, absent is None. Tests hold every
message against its dataclass, so that neither can drift.
"""

from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints
from uuid import UUID

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from service.api.validation import RequestInvalid

M = TypeVar("M", bound=Message)
Value = TypeVar("Value")

UNSPECIFIED = "UNSPECIFIED"


def message_of(value: object, kind: type[M], **given: object) -> M:
    """Return ``value`` as a message of ``kind``; ``given`` holds the fields that are not attributes of it."""
    content = {name: write(value) for name, write in _writers(kind.DESCRIPTOR) if name not in given}
    return kind(**{name: part for name, part in content.items() if part is not None}, **given)


def value_of(message: Message, kind: type[Value], **given: object) -> Value:
    """Return ``message`` as a ``kind``; fields that are absent keep the defaults of the dataclass."""
    readers = _readers(message.DESCRIPTOR, kind)  # type: ignore[arg-type] # a class is hashable
    content = {name: read(message) for name, read in readers if name not in given}
    return kind(**{name: part for name, part in content.items() if part is not _ABSENT}, **given)


def timestamp_of(moment: datetime | None) -> Timestamp | None:
    """Return the moment as a message."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def moment_of(message: Message, name: str) -> datetime | None:
    """Return the timestamp field ``name``, None where it is absent; raise `RequestInvalid` where it is no time."""
    if not message.HasField(name):
        return None
    try:
        moment: datetime = getattr(message, name).ToDatetime(UTC)
    except (OverflowError, ValueError):
        raise RequestInvalid(((name, "must be a time from 1970 to 3000, with 0 to 999999999 nanos"),)) from None
    return moment


def enum_number(enum: Any, literal: str) -> int:  # noqa: ANN401 - stubs and runtime disagree on the descriptor
    """Return the number of the enum's value for a literal of the domain."""
    return int(enum.values_by_name[_prefix(enum) + literal.upper()].number)


def enum_literal(enum: Any, number: int) -> str | None:  # noqa: ANN401 - as above
    """Return the domain's literal for a number of the enum; None is unspecified."""
    literal = str(enum.values_by_number[number].name).removeprefix(_prefix(enum))
    return None if literal == UNSPECIFIED else literal.lower()


_ABSENT = object()


def _prefix(enum: Any) -> str:  # noqa: ANN401 - as above
    return str(enum.values_by_number[0].name).removesuffix(UNSPECIFIED)


@cache
def _writers(kind: Descriptor) -> tuple[tuple[str, Callable[[object], object]], ...]:
    return tuple((field.name, _writer(field)) for field in kind.fields)


def _writer(field: FieldDescriptor) -> Callable[[object], object]:
    write, name = _part_writer(field), field.name
    if _is_choice(field):
        return _choice_writer(field, write)
    if _is_map(field):
        return lambda value: {key: part for key, part in getattr(value, name).items() if part is not None}
    if field.is_repeated:
        return lambda value: [write(part) for part in getattr(value, name)]
    return lambda value: None if (part := getattr(value, name)) is None else write(part)


def _part_writer(field: FieldDescriptor) -> Callable[[Any], object]:
    if field.enum_type is not None:
        enum = field.enum_type
        return lambda literal: enum_number(enum, literal)
    if field.message_type is None:
        return _plain
    if field.message_type is Timestamp.DESCRIPTOR:
        return timestamp_of
    kind = GetMessageClass(field.message_type)
    return lambda part: _of_pair(part, kind) if isinstance(part, tuple) else message_of(part, kind)


def _plain(part: object) -> object:
    return str(part) if isinstance(part, UUID) else part


def _of_pair(pair: Iterable[object], kind: type[M]) -> M:
    return kind(**dict(zip((field.name for field in kind.DESCRIPTOR.fields), pair, strict=True)))


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_choice(field: FieldDescriptor) -> bool:
    """Whether the field is one of several kinds of one attribute, which has the name of the oneof."""
    choice = field.containing_oneof
    return choice is not None and len(choice.fields) > 1


def _choice_writer(field: FieldDescriptor, write: Callable[[Any], object]) -> Callable[[object], object]:
    choice, kind = field.containing_oneof, field.message_type

    def chosen(value: object) -> object:
        part = getattr(value, choice.name) if choice else None
        return write(part) if kind and type(part).__name__ == kind.name else None

    return chosen


@cache
def _readers(message: Descriptor, kind: type[Any]) -> tuple[tuple[str, Callable[[Any], object]], ...]:
    hints = get_type_hints(kind)
    described = message.fields_by_name
    return tuple(
        (field.name, _reader(described[field.name], hints[field.name], _stands_in(field)))
        for field in fields(kind)
        if field.name in described
    )


def _stands_in(field: Field[Any]) -> object:
    """Return what stands for an absent message field: the dataclass's default, or else None."""
    has_default = field.default is not MISSING or field.default_factory is not MISSING
    return _ABSENT if has_default else None


def _reader(field: FieldDescriptor, hint: object, absent: object) -> Callable[[Any], object]:
    name, read = field.name, _part_reader(field, hint)
    if field.is_repeated:
        return lambda message: tuple(read(part) for part in getattr(message, name))
    if field.has_presence:
        return lambda message: read(getattr(message, name)) if message.HasField(name) else absent
    return lambda message: read(getattr(message, name))


def _part_reader(field: FieldDescriptor, hint: object) -> Callable[[Any], object]:
    if field.enum_type is not None:
        enum = field.enum_type
        return lambda number: enum_literal(enum, number) or _ABSENT
    if field.message_type is None:
        return _plain
    kind = _dataclass_in(hint)
    if kind is None:
        names = [part.name for part in field.message_type.fields]
        return lambda message: tuple(getattr(message, part) for part in names)
    return lambda message: value_of(message, kind)


def _dataclass_in(hint: object) -> type[object] | None:
    if isinstance(hint, type) and is_dataclass(hint):
        return hint
    return next((found for part in get_args(hint) if (found := _dataclass_in(part)) is not None), None)
