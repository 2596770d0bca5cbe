"""Events as the log keeps them: a stored type name, a schema version, and canonical JSON text.

Type names are a table of their own, so that a class can be renamed. A schema version is never edited: when an
event's fields change otherwise than by addition, its version rises, `UPCASTS` gains the step from the version
before, and a sample of the old version stays in the tests for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import orjson

from domain.planning.happening import ActorId, Happening
from domain.planning.plan import PlanApproved, PlanDrafted, PlanEvaluated, PlanRetired, PlanRevised
from domain.planning.publication import ReleasePublished
from service.store.form import NotInForm, Plain, fields_from_plain, fields_to_plain

IN_COLUMNS = frozenset({"actor", "effective_at", "recorded_at"})
"""Fields of `Happening`: the log keeps them beside the data."""

TYPES: dict[str, tuple[type[Happening], int]] = {
    "plan_drafted": (PlanDrafted, 1),
    "plan_revised": (PlanRevised, 1),
    "plan_evaluated": (PlanEvaluated, 1),
    "plan_approved": (PlanApproved, 1),
    "plan_retired": (PlanRetired, 1),
    "release_published": (ReleasePublished, 1),
}
"""Stored name of every event, its class, and the schema version that is written today."""

UPCASTS: dict[tuple[str, int], Callable[[Plain], Plain]] = {}
"""For a type and a past version, what makes its data those of the next version."""

NAMES: dict[type, tuple[str, int]] = {form: (name, version) for name, (form, version) in TYPES.items()}


class UnknownEvent(Exception):
    """The log holds an event that this release does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedEvent:
    """An event on its way into the log."""

    type: str
    schema_version: int
    data: str
    """Canonical: keys sorted, no spaces, shortest numbers; the hash is taken of these bytes."""


def encode(event: Happening) -> EncodedEvent:
    """Return ``event`` as the log keeps it."""
    name, version = NAMES[type(event)]
    data = canonical(fields_to_plain(event, beside=IN_COLUMNS))
    return EncodedEvent(type=name, schema_version=version, data=data)


def name_of(event: object) -> str:
    """Return the stored name of the event's type."""
    return NAMES[type(event)][0]


def decode(encoded: EncodedEvent, *, actor: ActorId, recorded_at: datetime, effective_at: datetime) -> Happening:
    """Return the event that ``encoded`` keeps, whatever its version."""
    form, current = _known(encoded.type)
    plain = orjson.loads(encoded.data)
    for version in range(encoded.schema_version, current):
        plain = UPCASTS[encoded.type, version](plain)
    if encoded.schema_version > current:
        raise UnknownEvent(f"{encoded.type} version {encoded.schema_version}")
    try:
        fields = fields_from_plain(form, plain, beside=IN_COLUMNS)
    except NotInForm as fault:
        raise NotInForm(f"{encoded.type} version {encoded.schema_version}: {fault}") from None
    return form(actor=actor, recorded_at=recorded_at, effective_at=effective_at, **fields)


def canonical(plain: Plain) -> str:
    """Return the one JSON text of ``plain``."""
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def _known(name: str) -> tuple[type[Happening], int]:
    try:
        return TYPES[name]
    except KeyError:
        raise UnknownEvent(name) from None
