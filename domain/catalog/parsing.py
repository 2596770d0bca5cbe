"""A catalog out of the plain tables of its release: all of it, or every problem at once."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from domain.catalog.calibration import Calibration
from domain.catalog.calibration_entries import calibration
from domain.catalog.content import Content, digest
from domain.catalog.entry import Entry, Ledger
from domain.catalog.fact import Source
from domain.catalog.hardware_entries import accelerator, node
from domain.catalog.model_entries import alias, model
from domain.catalog.record import record
from domain.catalog.reference import missing_references
from domain.catalog.refusal import CatalogError
from domain.catalog.release import Catalog
from domain.catalog.serving_engine import ServingEngine
from domain.catalog.software_entries import format_support, number_format, published_deployment, serving_engine

TABLES = ("sources", "accelerators", "nodes", "models", "aliases", "number_formats", "serving_engines", "calibration")
LISTS = ("format_support", "published_deployments")
OPTIONAL = ("aliases", "calibration")
Part = TypeVar("Part")


def parse(release: str, files: Mapping[str, Mapping[str, object]]) -> Catalog:
    """Build the catalog of ``release`` from its files, given as plain nested mappings by file name.

    Raises `CatalogError` with every problem, each beginning with the path of the fact.
    """
    ledger = Ledger(())
    tables = _merged(files, ledger)
    sources = _sources(tables["sources"], ledger)
    ledger.sources = frozenset(sources)
    content = _content(tables, _listed(files, ledger), sources, ledger)
    problems = (*ledger.problems, *missing_references(content))
    if problems:
        raise CatalogError(problems)
    return Catalog(
        release=release,
        digest=digest((release, *content)),
        **content._replace(serving_engines=_with_newest(content.serving_engines))._asdict(),
    )


def _content(
    tables: Mapping[str, Mapping[str, object]],
    lists: Mapping[str, list[object]],
    sources: Mapping[str, Source],
    ledger: Ledger,
) -> Content:
    def each(section: str, read: Callable[[Entry], Part]) -> dict[str, Part]:
        entries = (Entry(f"{section}/{key}", tables[section][key], ledger) for key in sorted(tables[section]))
        return {entry.key: _read(entry, read) for entry in entries}

    def every(section: str, read: Callable[[Entry], Part]) -> list[Part]:
        return [_read(Entry(f"{section}/{place}", item, ledger), read) for place, item in enumerate(lists[section], 1)]

    support = [row for rows in every("format_support", format_support) for row in rows]
    deployments = every("published_deployments", published_deployment)
    return Content(
        accelerators=each("accelerators", accelerator),
        nodes=each("nodes", node),
        models=each("models", model),
        aliases=each("aliases", alias),
        number_formats=each("number_formats", number_format),
        serving_engines=each("serving_engines", serving_engine),
        format_support=tuple(sorted(support, key=repr)),
        published_deployments=tuple(sorted(deployments, key=repr)),
        calibration=_calibration(tables["calibration"], ledger),
        sources=sources,
        facts=dict(sorted(ledger.facts.items())),
    )


def _calibration(table: Mapping[str, object], ledger: Ledger) -> Calibration | None:
    return _read(Entry("calibration", table, ledger), calibration) if table else None


def _read(entry: Entry, read: Callable[[Entry], Part]) -> Part:
    built = read(entry)
    entry.close()
    return built


def _sources(table: Mapping[str, object], ledger: Ledger) -> dict[str, Source]:
    entries = {key: Entry(f"sources/{key}", table[key], ledger) for key in sorted(table)}
    return {key: _read(entry, _source) for key, entry in entries.items()}


def _source(entry: Entry) -> Source:
    return record(entry, Source, key=entry.key, date=entry.text("date", empty=True))


def _merged(files: Mapping[str, Mapping[str, object]], ledger: Ledger) -> dict[str, dict[str, object]]:
    """Join the tables of one name over all files; an entry may stand once."""
    merged: dict[str, dict[str, object]] = {name: {} for name in TABLES}
    for file_name, section, table in _sections(files):
        if section in LISTS:
            continue
        if section not in merged or not isinstance(table, Mapping):
            ledger.refuse(section, f"unknown or misplaced table in {file_name}")
            continue
        for key, entry in table.items():
            if key in merged[section]:
                ledger.refuse(f"{section}/{key}", f"stands twice, again in {file_name}")
            merged[section][key] = entry
    for section in TABLES:
        if not merged[section] and section not in OPTIONAL:
            ledger.refuse(section, "is missing")
    return merged


def _listed(files: Mapping[str, Mapping[str, object]], ledger: Ledger) -> dict[str, list[object]]:
    listed: dict[str, list[object]] = {name: [] for name in LISTS}
    for file_name, section, items in _sections(files):
        if section in listed and isinstance(items, list):
            listed[section].extend(items)
        elif section in listed:
            ledger.refuse(section, f"is not a list of tables in {file_name}")
    return listed


def _sections(files: Mapping[str, Mapping[str, object]]) -> Iterator[tuple[str, str, object]]:
    for file_name in sorted(files):
        for section, content in files[file_name].items():
            yield file_name, section, content


def _with_newest(engines: Mapping[str, ServingEngine]) -> dict[str, ServingEngine]:
    """Add the newest version of each engine under its bare id, engines in order of preference."""
    newest: dict[str, ServingEngine] = {}
    for engine in sorted(engines.values(), key=lambda engine: _numbers(engine.version)):
        newest[engine.id] = engine
    ordered = sorted(newest.values(), key=lambda engine: (engine.preference, engine.id))
    return {engine.id: engine for engine in ordered} | dict(engines)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))
