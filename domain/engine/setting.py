"""The setting of a question: model, accelerator, way and serving engine, with the facts that memory depends on."""

from dataclasses import dataclass

from domain.catalog.accelerator import Accelerator
from domain.catalog.fact import FactKind
from domain.catalog.model import Model
from domain.catalog.release import Catalog
from domain.catalog.serving_engine import BatchingLimits, ServingEngine
from domain.engine.footprint import Footprint, footprint
from domain.engine.memory import Keeping, cache_paddings
from domain.engine.precision import Way
from domain.engine.storage import BITS_PER_BYTE, SIXTEEN_BITS_IN_BYTES
from domain.engine.ways import PrecisionResolver, runnable_engines, runs_on

AUTOMATIC_CACHE = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that does not depend on layout, count and load."""

    accelerator: Accelerator
    way: Way
    footprint: Footprint
    engine: ServingEngine
    keeping: Keeping
    cache_format: str
    memory_fraction: float
    usable_kind: FactKind
    """Of the memory that the runtime reports; ``assumed`` where only the nominal figure is known."""

    @property
    def device_usable_bytes(self) -> float:
        """Memory of one device that the runtime reports, else the nominal figure."""
        card_bytes = self.accelerator.usable_memory_bytes or self.accelerator.memory_bytes
        return card_bytes / self.accelerator.devices_per_card


class ModelStudy:
    """What is known of one model under one catalog, each piece worked out once: its ways and its footprints."""

    def __init__(self, catalog: Catalog, model: Model) -> None:
        """Work out nothing yet but the order of the support rows."""
        self.catalog = catalog
        self.model = model
        self.resolver = PrecisionResolver(catalog, model)
        self._made: dict[tuple[str, bool], Footprint] = {}
        self._paddings: dict[tuple[str, str], tuple[float, ...]] = {}

    def footprint(self, number_format: str, *, with_mtp: bool) -> Footprint:
        """Return the model's footprint in ``number_format``."""
        key = (number_format, with_mtp)
        if key not in self._made:
            formats = self.catalog.number_formats
            self._made[key] = footprint(self.model, formats[number_format], formats, with_mtp=with_mtp)
        return self._made[key]

    def paddings(self, made: Footprint, engine: ServingEngine) -> tuple[float, ...]:
        """Return the factors by which ``engine`` pads the cache of the model's layers."""
        key = (engine.id, engine.version)
        if key not in self._paddings:
            self._paddings[key] = cache_paddings(made, engine)
        return self._paddings[key]


def engine_for(
    catalog: Catalog, accelerator: Accelerator, way: Way, *, asked: str | None, attention_data_parallel: int
) -> ServingEngine | None:
    """Return the serving engine that is meant: the one asked for, or the catalog's first that runs the way.

    None where it is documented not to; an engine of which nothing is known comes after those that are known to.

    With attention data parallelism asked and no engine named, an engine that keeps the ranks in one group comes first.
    """
    refused = {support.engine for support in way.engines if support.answer == "no"}
    if asked is not None:
        engine = catalog.serving_engines[asked]
        return engine if runs_on(engine, accelerator) and engine.id not in refused else None
    possible = [engine for engine in runnable_engines(catalog, accelerator) if engine.id not in refused]
    known = {support.engine for support in way.engines if support.answer == "yes"}
    possible.sort(key=lambda engine: engine.id not in known)
    if attention_data_parallel > 1:
        possible.sort(key=lambda engine: engine.attention_data_parallel != "in_group")
    return possible[0] if possible else None


def is_known_to_run(way: Way, engine_id: str) -> bool:
    """Whether a source says that the serving engine runs the way."""
    return any(support.engine == engine_id and support.answer == "yes" for support in way.engines)


def no_engine_sentence(accelerator: Accelerator, way: Way, asked: str | None) -> str:
    """Say that no engine, or not the one asked for, runs ``way`` on ``accelerator``."""
    if asked is not None:
        return f"{asked} does not run {way.number_format} on {accelerator.name}."
    return f"No serving engine of the catalog runs {way.number_format} on {accelerator.name}."


def card_limits(engine: ServingEngine, accelerator: Accelerator) -> BatchingLimits:
    """Default batching limits of the engine on one device of this accelerator."""
    card_bytes = accelerator.usable_memory_bytes or accelerator.memory_bytes
    return card_limits_for(engine, card_bytes / accelerator.devices_per_card, accelerator.generation)


def card_limits_for(engine: ServingEngine, device_bytes: float, generation: str) -> BatchingLimits:
    """Default batching limits of the engine on a device of ``device_bytes`` and a generation.

    Source: vLLM sets larger limits from 70 GiB upward and not on A100 (engine facts).
    """
    is_large = device_bytes >= engine.large_card_bytes and generation not in engine.large_card_excluded_generations
    wanted = "large" if is_large else "other"
    return next((limits for limits in engine.limits if limits.card_class == wanted), engine.limits[0])


def default_fraction(engine: ServingEngine, accelerator: Accelerator) -> float:
    """Share of a device that the engine fills by default: its fact, or what it leaves after what it keeps free.

    Source: SGLang keeps a number of bytes free and rounds the share to thousandths (engine facts).
    """
    kept_bytes = card_limits(engine, accelerator).kept_free_bytes
    device_bytes = (accelerator.usable_memory_bytes or accelerator.memory_bytes) / accelerator.devices_per_card
    if not 0.0 < kept_bytes < device_bytes:
        return engine.memory_fraction
    return round(1.0 - kept_bytes / device_bytes, 3)


def setting_for(
    study: ModelStudy,
    accelerator: Accelerator,
    way: Way,
    engine: ServingEngine,
    *,
    with_mtp: bool,
    cache_format: str | None,
    memory_fraction: float | None,
) -> Setting:
    """Bring the facts together; blanks take the engine's defaults."""
    made = study.footprint(way.number_format, with_mtp=with_mtp)
    cache = cache_format or engine.default_cache_format
    return Setting(
        accelerator=accelerator,
        way=way,
        footprint=made,
        engine=engine,
        cache_format=cache,
        memory_fraction=memory_fraction or default_fraction(engine, accelerator),
        usable_kind=_usable_kind(study.catalog, accelerator),
        keeping=Keeping(
            engine=engine,
            limits=card_limits(engine, accelerator),
            cache_element_bytes=_element_bytes(study.catalog, cache),
            state_padding=study.paddings(made, engine),
        ),
    )


def _usable_kind(catalog: Catalog, accelerator: Accelerator) -> FactKind:
    if accelerator.usable_memory_bytes is None:
        return "assumed"
    return catalog.facts[f"accelerators/{accelerator.id}/usable_memory_bytes"].kind


def _element_bytes(catalog: Catalog, cache_format: str) -> float:
    if cache_format == AUTOMATIC_CACHE:
        return SIXTEEN_BITS_IN_BYTES
    return catalog.number_formats[cache_format].storage_bits / BITS_PER_BYTE
