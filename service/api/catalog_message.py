"""What the catalog states, as messages: each number with the source that a reader can open."""

from collections import Counter
from collections.abc import Iterable, Iterator

from tonnage.v1 import catalog_pb2 as pb

from domain.catalog.accelerator import Accelerator, Node
from domain.catalog.fact import Fact
from domain.catalog.model import Layer, Model
from domain.catalog.release import Catalog
from domain.engine.model import (
    cache_bytes_per_token,
    index_bytes_per_token,
    parameter_counts,
    state_bytes_per_sequence,
)
from service.api.conversion import enum_number, message_of

SIXTEEN_BIT_BYTES = 2.0


def release(catalog: Catalog) -> pb.Release:
    """Return the name of the release."""
    return pb.Release(name=catalog.release, digest=catalog.digest)


def accelerator(card: Accelerator) -> pb.Accelerator:
    """Return the card; arithmetic whose rate nobody states is named apart."""
    unknown = [name for name, peak in card.peak_flops_per_s.items() if peak is None]
    return message_of(card, pb.Accelerator, unknown_peaks=unknown)


def node(server: Node) -> pb.Node:
    """Return the server."""
    return message_of(server, pb.Node)


def nodes_of(catalog: Catalog, accelerator_id: str) -> tuple[Node, ...]:
    """Return the servers that carry the accelerator."""
    return tuple(server for server in catalog.nodes.values() if server.accelerator == accelerator_id)


def facts(catalog: Catalog, *paths: str) -> Iterator[pb.Fact]:
    """Return every fact under one of the paths, in the order of the catalog."""
    folders = tuple(f"{path}/" for path in paths)
    for path, stated in catalog.facts.items():
        if path in paths or path.startswith(folders):
            yield fact(catalog, path, stated)


def fact(catalog: Catalog, path: str, stated: Fact) -> pb.Fact:
    """Return one fact with its source."""
    source = catalog.sources.get(stated.source)
    message = pb.Fact(
        path=path,
        kind=enum_number(pb.FactKind.DESCRIPTOR, stated.kind),  # type: ignore[arg-type]
        source=pb.Source(key=stated.source) if source is None else message_of(source, pb.Source),
        note=stated.note,
    )
    match stated.value:
        case bool():
            message.flag = stated.value
        case int() | float():
            message.number = stated.value
        case str():
            message.text = stated.value
        case None:
            pass
    return message


def model(described: Model) -> pb.Model:
    """Return the model layer by layer, with what it weighs and keeps."""
    return message_of(
        described,
        pb.Model,
        layers=list(_layers(described)),
        parameters=message_of(parameter_counts(described), pb.ParameterCounts),
        cache=pb.CacheSize(
            kv_bytes_per_token=cache_bytes_per_token(described, SIXTEEN_BIT_BYTES),
            index_bytes_per_token=index_bytes_per_token(described),
            state_bytes_per_sequence=state_bytes_per_sequence(described),
        ),
    )


def model_summary(described: Model) -> pb.ModelSummary:
    """Return the model as a row of a list."""
    counts = parameter_counts(described)
    return message_of(
        described,
        pb.ModelSummary,
        total_parameter_count=counts.total,
        active_parameter_count=counts.active,
        stored_format=described.stored.number_format,
        kv_bytes_per_token=cache_bytes_per_token(described, SIXTEEN_BIT_BYTES),
    )


def model_paths(catalog: Catalog, name: str) -> tuple[str, ...]:
    """Return where the facts of a model stand: under its id, and under that of the model whose layers it shares."""
    alias = catalog.aliases.get(name)
    return (f"models/{name}",) if alias is None else (f"models/{name}", f"aliases/{name}", f"models/{alias.model}")


def _layers(described: Model) -> Iterator[pb.Layer]:
    counts = Counter(described.pattern)
    for index, kind in enumerate(described.layers):
        yield _layer(kind, counts[index])


def _layer(kind: Layer, layer_count: int) -> pb.Layer:
    return message_of(kind, pb.Layer, layer_count=layer_count)


def matching_accelerators(catalog: Catalog, request: pb.ListAcceleratorsRequest) -> Iterable[Accelerator]:
    """Return the cards that pass the filters of the request."""
    for card in catalog.accelerators.values():
        if (
            (not request.HasField("vendor") or card.vendor == request.vendor)
            and (not request.HasField("generation") or card.generation == request.generation)
            and card.memory_bytes >= request.min_memory_bytes
        ):
            yield card


def matching_models(catalog: Catalog, request: pb.ListModelsRequest) -> Iterable[Model]:
    """Return the models that pass the filters of the request, other checkpoints of theirs included."""
    wanted = request.name_contains.lower()
    for name in (*catalog.models, *catalog.aliases):
        if wanted in name.lower():
            described = catalog.model(name)
            if not request.HasField("family") or described.family == request.family:
                yield described
