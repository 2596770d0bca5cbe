"""A release of the catalog: everything that exists, each number with its fact, under one digest."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.catalog.accelerator import Accelerator, Node
from domain.catalog.fact import Fact, Source
from domain.catalog.model import Model
from domain.catalog.number_format import FormatSupport, NumberFormat
from domain.catalog.serving_engine import PublishedDeployment, ServingEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """What one release states; identified by the digest of its canonical content."""

    release: str
    """Name of the release (``2026-11``)."""
    digest: str
    """SHA-256 over the canonical content, hexadecimal."""
    accelerators: Mapping[str, Accelerator]
    nodes: Mapping[str, Node]
    models: Mapping[str, Model]
    number_formats: Mapping[str, NumberFormat]
    serving_engines: Mapping[str, ServingEngine]
    """By id, the newest version of each; by ``id@version`` every version."""
    format_support: tuple[FormatSupport, ...]
    published_deployments: tuple[PublishedDeployment, ...]
    sources: Mapping[str, Source]
    facts: Mapping[str, Fact]
    """By path: ``accelerators/h20-96/memory_bytes``."""
