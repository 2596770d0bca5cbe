"""What the engine said about a plan's requirements, in the form in which history keeps it."""

import dataclasses
import operator
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from domain.engine.answer import CheckAnswer, CheckRequest, SizeAnswer, SizeRequest
from domain.quantity import recorded

Requirements: TypeAlias = SizeRequest | CheckRequest
"""What a plan asks for."""

Answer: TypeAlias = SizeAnswer | CheckAnswer
"""What the engine answers to it."""

UNTOUCHED = frozenset({str, int, bool, type(None)})

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An answer and what it rests on: enough to say what was said, to compute it again, and to compare."""

    catalog_release: str
    """Name of the release (``2026-11``)."""
    catalog_digest: str
    """SHA-256 of the release's canonical content, hexadecimal."""
    engine_version: str
    answer: Answer
    """With the paths of the catalog facts that were read, in ``answer.facts``."""


def as_recorded(value: Value) -> Value:
    """Return ``value`` with every number in it as an event keeps it.

    That is 10 significant digits, and Python's own numbers where NumPy's had crept in.
    """
    return cast("Value", _as_recorded(value))


def _as_recorded(value: object) -> object:
    """Return ``value`` itself where nothing in it changes: most parts of an answer are recorded as they are."""
    kind: Any = type(value)
    if kind in UNTOUCHED:
        return value
    if isinstance(value, (float, np.floating)):
        rounded = recorded(float(value))
        return value if kind is float and rounded == value else rounded
    if isinstance(value, tuple):
        items = tuple(map(_as_recorded, value))
        return value if all(map(operator.is_, items, value)) else items
    names = _field_names(kind)
    if names is not None:
        parts = [getattr(value, name) for name in names]
        kept = list(map(_as_recorded, parts))
        return value if all(map(operator.is_, kept, parts)) else kind(**dict(zip(names, kept, strict=True)))
    if isinstance(value, np.bool_):
        return bool(value)
    return int(value) if isinstance(value, np.integer) else value


@cache
def _field_names(form: type) -> tuple[str, ...] | None:
    """Return the names of a dataclass's fields, in order; None for anything else."""
    if not dataclasses.is_dataclass(form):
        return None
    return tuple(part.name for part in dataclasses.fields(form))


def offers_deployment(answer: Answer) -> bool:
    """Whether ``answer`` names hardware that holds the model, so that somebody could approve it."""
    match answer:
        case CheckAnswer():
            return answer.verdict in ("fits", "marginal")
        case SizeAnswer():
            return any(
                candidate.recommended or candidate.smallest_deployable
                for candidate in (*answer.candidates, *answer.unpriced)
            )


def chosen_accelerators(requirements: Requirements, answer: Answer) -> tuple[str, ...]:
    """Ids of the accelerators that a plan stands for, sorted.

    Those that the requirements name; where they leave the choice open, the one that the answer ranks first.
    """
    match requirements:
        case CheckRequest():
            return (requirements.accelerator,)
        case SizeRequest() if requirements.accelerators:
            return tuple(sorted(set(requirements.accelerators)))
        case SizeRequest():
            return _first_ranked(answer)


def _first_ranked(answer: Answer) -> tuple[str, ...]:
    match answer:
        case CheckAnswer():
            return () if answer.deployment is None else (answer.deployment.accelerator,)
        case SizeAnswer():
            ranked = (*answer.candidates, *answer.unpriced)
            return tuple(candidate.smallest_by_memory.accelerator for candidate in ranked[:1])
