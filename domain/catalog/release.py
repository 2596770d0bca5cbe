"""A release of the catalog: everything that exists, each number with its fact, under one digest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from domain.catalog.accelerator import Accelerator, Node
from domain.catalog.calibration import Calibration
from domain.catalog.fact import Fact, Source
from domain.catalog.model import Alias, Model
from domain.catalog.number_format import FormatSupport, NumberFormat
from domain.catalog.refusal import UnknownAccelerator, UnknownModel
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
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    """Other checkpoints of the same architectures, by id."""
    calibration: Calibration | None = None
    """What measurements say of speeds; None in a release that judges memory alone."""

    def model(self, name: str) -> Model:
        """Return the model of this id or alias, or raise `UnknownModel` with the nearest names."""
        if name in self.models:
            return self.models[name]
        alias = self.aliases.get(name)
        if alias is None:
            raise UnknownModel(name, (*self.models, *self.aliases))
        twin = self.models[alias.model]
        return replace(twin, id=name, stored=alias.stored or twin.stored, note=alias.note or twin.note)

    def accelerator(self, name: str) -> Accelerator:
        """Return the accelerator of this id, or raise `UnknownAccelerator` with the nearest names."""
        if name not in self.accelerators:
            raise UnknownAccelerator(name, self.accelerators)
        return self.accelerators[name]
