"""Number formats, serving engines, what runs on what, and published deployments out of the tables of a release."""

from typing import cast, get_args

from domain.catalog.entry import Entry
from domain.catalog.fact import Fact
from domain.catalog.model_entries import COMPONENTS
from domain.catalog.number_format import FormatPath, FormatSupport, NumberFormat
from domain.catalog.record import record
from domain.catalog.serving_engine import BatchingLimits, PublishedDeployment, ServingEngine

PATHS: tuple[str, ...] = get_args(FormatPath)


def number_format(entry: Entry) -> NumberFormat:
    """Read one number format."""
    entry.sources()
    built = record(entry, NumberFormat, id=entry.key)
    for component in built.kept_16bit:
        if component not in COMPONENTS:
            entry.refuse("kept_16bit", f"{component!r} is not a component of a model")
    return built


def serving_engine(entry: Entry) -> ServingEngine:
    """Read one release of a serving engine; the entry is named ``id@version``."""
    entry.sources()
    engine_id, _, version = entry.key.partition("@")
    if not version:
        entry.refuse("", "is not named id@version")
    limits = tuple(_limits(kind, table) for kind, table in entry.each("limits"))
    return record(entry, ServingEngine, id=engine_id, version=version, limits=limits)


def format_support(entry: Entry) -> tuple[FormatSupport, ...]:
    """Read what one source says of an engine and its formats: a path for each generation of accelerators."""
    table = entry.inside("paths")
    paths = {generation: cast("FormatPath", table.choice(generation, PATHS)) for generation in table.names()}
    shared = {
        "engine": entry.text("engine"),
        "engine_version": entry.text("engine_version", empty=True),
        "source": entry.ledger.name(entry.path, entry.value("source")),
        "note": entry.text("note", empty=True),
    }
    rows = tuple(
        FormatSupport(generation=generation, number_format=number, path=path, **shared)
        for number in entry.texts("number_formats")
        for generation, path in paths.items()
    )
    for row in rows:
        _keep_support(entry, row)
    return rows


def _keep_support(entry: Entry, row: FormatSupport) -> None:
    """Keep the row as a fact; what one source has said once no other row may say again or deny."""
    where = f"format_support/{row.engine}/{row.number_format}/{row.generation}"
    said = {path: entry.ledger.facts[f"{where}/{path}"] for path in PATHS if f"{where}/{path}" in entry.ledger.facts}
    if row.path in said or (said and "no" in {row.path, *said}):
        entry.refuse("", f"{where} stands twice")
    entry.ledger.facts[f"{where}/{row.path}"] = Fact(value=row.path, kind="vendor", source=row.source, note=row.note)


def published_deployment(entry: Entry) -> PublishedDeployment:
    """Read one deployment that somebody publishes."""
    source = entry.ledger.name(entry.path, entry.value("source"))
    return record(entry, PublishedDeployment, source=source)


def _limits(card_class: str, entry: Entry) -> BatchingLimits:
    if card_class not in {"large", "other"}:
        entry.refuse("", "is neither large nor other")
    built = BatchingLimits(
        card_class="large" if card_class == "large" else "other",
        sequence_count=round(entry.known("sequence_count")),
        batched_tokens=round(entry.known("batched_tokens")),
        kept_free_bytes=entry.known("kept_free_bytes") if entry.has("kept_free_bytes") else 0.0,
    )
    entry.close()
    return built
