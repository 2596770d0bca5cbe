"""The content of a release, its canonical form and its digest."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import NamedTuple

from domain.catalog.accelerator import Accelerator, Node
from domain.catalog.calibration import Calibration
from domain.catalog.fact import Fact, Source
from domain.catalog.model import Alias, Model
from domain.catalog.number_format import FormatSupport, NumberFormat
from domain.catalog.serving_engine import PublishedDeployment, ServingEngine


class Content(NamedTuple):
    """Everything that a release states, in an order that does not depend on its files."""

    accelerators: Mapping[str, Accelerator]
    nodes: Mapping[str, Node]
    models: Mapping[str, Model]
    aliases: Mapping[str, Alias]
    number_formats: Mapping[str, NumberFormat]
    serving_engines: Mapping[str, ServingEngine]
    format_support: tuple[FormatSupport, ...]
    published_deployments: tuple[PublishedDeployment, ...]
    calibration: Calibration | None
    sources: Mapping[str, Source]
    facts: Mapping[str, Fact]


def digest(content: object) -> str:
    """Return SHA-256 over the canonical form, hexadecimal: the same for every order of files, tables and keys."""
    return hashlib.sha256(written(content)).hexdigest()


def written(content: object) -> bytes:
    """Return the canonical form as the text that the digest is taken of, in UTF-8."""
    text = json.dumps(canonical(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def canonical(value: object) -> object:
    """Return ``value`` in lists, mappings and plain values; a dataclass carries its name, a set is sorted.

    A field that holds its default is left out: a field that the code gains later must not change the digest of a
    release that knows nothing of it.
    """
    if is_dataclass(value):
        held = {part.name: getattr(value, part.name) for part in fields(value) if not _is_default(value, part)}
        return {"": type(value).__name__} | {name: canonical(inner) for name, inner in held.items()}
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [canonical(inner) for inner in value]
    return value


def _is_default(value: object, part: Field[object]) -> bool:
    return part.default is not MISSING and bool(getattr(value, part.name) == part.default)
