"""Names that one part of a release uses for another: each must lead somewhere."""

from collections.abc import Container, Iterator
from typing import NamedTuple

from domain.catalog.content import Content
from domain.catalog.model import StoredWeights


class _Reference(NamedTuple):
    path: str
    kind: str
    name: str
    known: Container[str]


def missing_references(content: Content) -> Iterator[str]:
    """Yield a problem for every name that leads nowhere."""
    for path, kind, name, known in _references(content):
        if name not in known:
            yield f"{path}: no {kind} {name!r} in this release"


def _references(content: Content) -> Iterator[_Reference]:
    yield from _hardware_references(content)
    yield from _model_references(content)
    yield from _engine_references(content)


def _hardware_references(content: Content) -> Iterator[_Reference]:
    for node in content.nodes.values():
        yield _Reference(f"nodes/{node.id}/accelerator", "accelerator", node.accelerator, content.accelerators)
    for place, row in enumerate(content.published_deployments, 1):
        path = f"published_deployments/{row.model} on {row.accelerator} ({place})"
        yield _Reference(path, "model", row.model, content.models)
        yield _Reference(path, "accelerator", row.accelerator, content.accelerators)
        yield _Reference(path, "number format", row.number_format, content.number_formats)


def _model_references(content: Content) -> Iterator[_Reference]:
    for model in content.models.values():
        yield from _formats(f"models/{model.id}", model.stored, content)
    for alias in content.aliases.values():
        yield _Reference(f"aliases/{alias.id}/model", "model", alias.model, content.models)
        if alias.stored:
            yield from _formats(f"aliases/{alias.id}", alias.stored, content)


def _formats(path: str, stored: StoredWeights, content: Content) -> Iterator[_Reference]:
    for name in (stored.number_format, *dict(stored.by_component).values()):
        yield _Reference(f"{path}/stored", "number format", name, content.number_formats)


def _engine_references(content: Content) -> Iterator[_Reference]:
    engines = {engine.id for engine in content.serving_engines.values()}
    generations = {accelerator.generation for accelerator in content.accelerators.values()}
    for row in content.format_support:
        path = f"format_support/{row.engine}/{row.number_format}/{row.generation}"
        yield _Reference(path, "serving engine", row.engine, engines)
        yield _Reference(path, "number format", row.number_format, content.number_formats)
        yield _Reference(path, "generation", row.generation, generations)
    for key, engine in content.serving_engines.items():
        for generation in (*engine.excluded_generations, *engine.large_card_excluded_generations):
            yield _Reference(f"serving_engines/{key}", "generation", generation, generations)
