"""What a question must satisfy before it is answered; every offending field is named at once."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain.catalog.accelerator import Accelerator
from domain.catalog.huggingface import ConfigError, read_config
from domain.catalog.model import Model
from domain.catalog.refusal import NotInCatalog
from domain.catalog.release import Catalog
from domain.engine.deployment import CheckRequest, Load, SizeRequest
from domain.quantity import Column

MOST_ACCELERATORS = 4096
MOST_TOKENS = 100_000_000
MOST_CONCURRENCY = 1_000_000
AUTOMATIC = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRefusal:
    """One field that cannot be, what was given, and what is allowed."""

    field: str
    given: str
    allowed: str

    def __str__(self) -> str:
        """Return the refusal as a sentence."""
        return f"{self.field}: {self.given} was given; {self.allowed}"


class QuestionRefused(Exception):
    """The question has fields that cannot be."""

    def __init__(self, fields: tuple[FieldRefusal, ...]) -> None:
        """Keep every field, not the first."""
        super().__init__("; ".join(str(field) for field in fields))
        self.fields = fields


def known_model(catalog: Catalog, model: str, config_json: str | None) -> Model:
    """Return the catalog's model, or the one that the given config.json describes."""
    if config_json is None:
        try:
            return catalog.model(model)
        except NotInCatalog as unknown:
            raise QuestionRefused((_unknown("model", unknown),)) from unknown
    try:
        return read_config(json.loads(config_json), id=model)
    except (json.JSONDecodeError, RecursionError) as broken:
        refusal = FieldRefusal(field="config_json", given=f"text that is not JSON ({broken})", allowed="a config.json")
        raise QuestionRefused((refusal,)) from broken
    except ConfigError as refused:
        refusal = FieldRefusal(
            field="config_json", given=str(refused), allowed="a config.json that is understood whole"
        )
        raise QuestionRefused((refusal,)) from refused


def known_accelerator(catalog: Catalog, accelerator: str, field: str = "accelerator") -> Accelerator:
    """Return the catalog's accelerator, or refuse with the nearest ids."""
    try:
        return catalog.accelerator(accelerator)
    except NotInCatalog as unknown:
        raise QuestionRefused((_unknown(field, unknown),)) from unknown


def _unknown(field: str, unknown: NotInCatalog) -> FieldRefusal:
    nearest = ", ".join(unknown.nearest) or "an id of the catalog"
    return FieldRefusal(field=field, given=repr(unknown.name), allowed=f"did you mean {nearest}")


def require_sound_check(catalog: Catalog, request: CheckRequest) -> None:
    """Raise `QuestionRefused` with every field of a check that cannot be."""
    refusals = (
        *_model(catalog, request.model, request.config_json),
        *_accelerators(catalog, (request.accelerator,), "accelerator"),
        *_count("accelerator_count", request.accelerator_count, MOST_ACCELERATORS),
        *_layout_fields(request),
        *_formats(catalog, request.weight_format, request.kv_cache_format),
        *_engine(catalog, request.engine, request.engine_version),
        *_load(request.load),
        *_fraction(request.memory_fraction),
    )
    if refusals:
        raise QuestionRefused(refusals)


def require_sound_size(catalog: Catalog, request: SizeRequest) -> None:
    """Raise `QuestionRefused` with every field of a sizing that cannot be."""
    refusals = (
        *_model(catalog, request.model, request.config_json),
        *_accelerators(catalog, request.accelerators, "accelerators"),
        *_count("max_accelerator_count", request.max_accelerator_count, MOST_ACCELERATORS),
        *_formats(catalog, request.weight_format, request.kv_cache_format),
        *_engine(catalog, request.engine, request.engine_version),
        *_load(request.load),
    )
    if refusals:
        raise QuestionRefused(refusals)


def _model(catalog: Catalog, model: str, config_json: str | None) -> Iterator[FieldRefusal]:
    try:
        known_model(catalog, model, config_json)
    except QuestionRefused as refused:
        yield from refused.fields


def _accelerators(catalog: Catalog, names: Iterable[str], field: str) -> Iterator[FieldRefusal]:
    for name in names:
        try:
            known_accelerator(catalog, name, field)
        except QuestionRefused as refused:
            yield from refused.fields


def _layout_fields(request: CheckRequest) -> Iterator[FieldRefusal]:
    for name in (
        "tensor_parallel",
        "pipeline_parallel",
        "expert_parallel",
        "attention_data_parallel",
        "decode_context_parallel",
        "replicas",
    ):
        value = getattr(request, name)
        if value is not None:
            yield from _count(name, value, MOST_ACCELERATORS)
    if not 0 <= request.speculative_draft_tokens <= MOST_CONCURRENCY:
        yield FieldRefusal(
            field="speculative_draft_tokens", given=str(request.speculative_draft_tokens), allowed="0 or more"
        )


def _load(load: Load) -> Iterator[FieldRefusal]:
    yield from _count("input_tokens", load.input_tokens, MOST_TOKENS)
    if not 0 <= load.output_tokens <= MOST_TOKENS:
        yield FieldRefusal(field="output_tokens", given=str(load.output_tokens), allowed=f"0 to {MOST_TOKENS}")
    yield from _count("concurrency", load.concurrency, MOST_CONCURRENCY)


def sound_loads(input_tokens: Column, output_tokens: Column, concurrency: Column) -> npt.NDArray[np.bool_]:
    """Whether each load of a column is one that may be asked about."""
    return (
        ((input_tokens >= 1.0) & (input_tokens <= MOST_TOKENS))
        & ((output_tokens >= 0.0) & (output_tokens <= MOST_TOKENS))
        & ((concurrency >= 1.0) & (concurrency <= MOST_CONCURRENCY))
    )


def _count(field: str, value: int, most: int) -> Iterator[FieldRefusal]:
    if not 1 <= value <= most:
        yield FieldRefusal(field=field, given=str(value), allowed=f"a whole number from 1 to {most}")


def _formats(catalog: Catalog, weight_format: str | None, cache_format: str | None) -> Iterator[FieldRefusal]:
    weights = sorted(key for key, value in catalog.number_formats.items() if value.for_weights)
    caches = [AUTOMATIC, *sorted(key for key, value in catalog.number_formats.items() if value.for_cache)]
    if weight_format is not None and weight_format not in weights:
        yield FieldRefusal(field="weight_format", given=repr(weight_format), allowed=f"one of {', '.join(weights)}")
    if cache_format is not None and cache_format not in caches:
        yield FieldRefusal(field="kv_cache_format", given=repr(cache_format), allowed=f"one of {', '.join(caches)}")


def _engine(catalog: Catalog, engine: str | None, version: str | None) -> Iterator[FieldRefusal]:
    if engine is None:
        if version is not None:
            yield FieldRefusal(field="engine_version", given=repr(version), allowed="give the engine too")
        return
    newest = sorted(key for key in catalog.serving_engines if "@" not in key)
    if engine not in newest:
        yield FieldRefusal(field="engine", given=repr(engine), allowed=f"one of {', '.join(newest)}")
    elif version is not None and f"{engine}@{version}" not in catalog.serving_engines:
        known = sorted(key.partition("@")[2] for key in catalog.serving_engines if key.startswith(f"{engine}@"))
        yield FieldRefusal(field="engine_version", given=repr(version), allowed=f"one of {', '.join(known)}")


def _fraction(memory_fraction: float | None) -> Iterator[FieldRefusal]:
    if memory_fraction is not None and not 0.0 < memory_fraction <= 1.0:
        yield FieldRefusal(field="memory_fraction", given=str(memory_fraction), allowed="above 0, at most 1")


def engine_key(engine: str | None, version: str | None) -> str | None:
    """Key of the asked engine release in the catalog; None when none is asked."""
    if engine is None:
        return None
    return engine if version is None else f"{engine}@{version}"
