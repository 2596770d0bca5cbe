"""Models and their aliases out of the tables of a release."""

from collections.abc import Mapping

from domain.catalog.entry import Entry
from domain.catalog.fact import Fact
from domain.catalog.model import (
    Alias,
    Attention,
    CompressedAttention,
    DenseFeedForward,
    FeedForward,
    LatentAttention,
    Layer,
    LinearAttention,
    MixtureOfExperts,
    Model,
    SelfAttention,
    SparseIndexer,
    StoredWeights,
    Tower,
)
from domain.catalog.record import record

ATTENTION_KINDS: Mapping[str, type[SelfAttention | LatentAttention | CompressedAttention | LinearAttention]] = {
    "self": SelfAttention,
    "latent": LatentAttention,
    "compressed": CompressedAttention,
    "gated_deltanet": LinearAttention,
    "mamba2": LinearAttention,
    "lightning": LinearAttention,
    "kda": LinearAttention,
}
FEED_FORWARD_KINDS: Mapping[str, type[DenseFeedForward | MixtureOfExperts]] = {
    "dense": DenseFeedForward,
    "experts": MixtureOfExperts,
}
COMPONENTS = (
    "embedding",
    "attention",
    "dense_ffn",
    "routed_experts",
    "shared_experts",
    "router",
    "norms",
    "output_head",
    "mtp",
    "tower",
)
PUBLISHED = ("published_parameter_count", "published_active_parameter_count", "published_kv_bytes_per_token")


def model(entry: Entry) -> Model:
    """Read one model: its kinds of layers and the order in which they follow each other."""
    sources = entry.sources()
    names, layers = _layers(entry)
    built = record(
        entry,
        Model,
        id=entry.key,
        layers=layers,
        pattern=_pattern(entry, names),
        towers=tuple(_towers(entry)) if entry.has("towers") else (),
        stored=_stored(entry.inside("stored")),
    )
    for name in PUBLISHED:
        if entry.has(name):
            entry.known(name)
    first = sources[0] if sources else ""
    entry.ledger.facts[entry.path] = Fact(value=built.family, kind="vendor", source=first, note=built.note)
    return built


def alias(entry: Entry) -> Alias:
    """Read one alias: another checkpoint of an architecture that the catalog has."""
    sources = entry.sources()
    stored = _stored(entry.inside("stored")) if entry.has("stored") else None
    built = record(entry, Alias, id=entry.key, stored=stored)
    first = sources[0] if sources else ""
    entry.ledger.facts[f"models/{entry.key}"] = Fact(
        value=f"as {built.model}", kind="vendor", source=first, note=built.note
    )
    return built


def _layers(entry: Entry) -> tuple[tuple[str, ...], tuple[Layer, ...]]:
    names, layers = [], []
    for name, table in entry.each("layers"):
        names.append(name)
        layers.append(_layer(table))
        table.close()
    return tuple(names), tuple(layers)


def _layer(entry: Entry) -> Layer:
    if not entry.has("attention") and not entry.has("feed_forward"):
        entry.refuse("", "has neither attention nor feed_forward")
    return record(
        entry,
        Layer,
        attention=_attention(entry.inside("attention")) if entry.has("attention") else None,
        feed_forward=_feed_forward(entry.inside("feed_forward")) if entry.has("feed_forward") else None,
    )


def _attention(entry: Entry) -> Attention | None:
    kind = entry.choice("kind", ATTENTION_KINDS)
    if kind not in ATTENTION_KINDS:
        return None
    given: dict[str, object] = {}
    if entry.has("indexer"):
        given["indexer"] = _indexer(entry.inside("indexer"))
    if entry.has("state_element_bytes"):
        given["state_element_bytes"] = entry.number("state_element_bytes")
    built = record(entry, ATTENTION_KINDS[kind], **given)
    entry.close()
    return built


def _indexer(entry: Entry) -> SparseIndexer:
    built = record(entry, SparseIndexer)
    entry.close()
    return built


def _feed_forward(entry: Entry) -> FeedForward | None:
    kind = entry.choice("kind", FEED_FORWARD_KINDS)
    if kind not in FEED_FORWARD_KINDS:
        return None
    built = record(entry, FEED_FORWARD_KINDS[kind])
    entry.close()
    return built


def _pattern(entry: Entry, names: tuple[str, ...]) -> tuple[int, ...]:
    """Unroll ``[[3, "dense"], [58, "sparse"]]``: how often, then which kinds in turn."""
    runs = entry.value("pattern")
    if not isinstance(runs, list) or not runs:
        entry.refuse("pattern", "is missing" if runs is None else "is not a list of runs")
        return ()
    pattern: list[int] = []
    for run in runs:
        pattern.extend(_run(entry, run, names))
    for unused in set(names) - {names[index] for index in pattern}:
        entry.refuse("pattern", f"never names the layer kind {unused!r}")
    return tuple(pattern)


def _run(entry: Entry, run: object, names: tuple[str, ...]) -> list[int]:
    well_formed = isinstance(run, list) and len(run) > 1 and isinstance(run[0], int) and run[0] > 0
    if not isinstance(run, list) or not well_formed or not all(kind in names for kind in run[1:]):
        entry.refuse("pattern", f"{run!r} is not a count followed by kinds out of {', '.join(names)}")
        return []
    return [names.index(kind) for kind in run[1:]] * int(run[0])


def _stored(entry: Entry) -> StoredWeights:
    components = entry.inside("by_component") if entry.has("by_component") else None
    built = record(entry, StoredWeights, by_component=_by_component(components) if components else ())
    entry.close()
    return built


def _by_component(entry: Entry) -> tuple[tuple[str, str], ...]:
    stored = tuple((name, entry.text(name)) for name in COMPONENTS if entry.has(name))
    entry.close()
    return stored


def _towers(entry: Entry) -> list[Tower]:
    towers = []
    for name, table in entry.each("towers"):
        count = table.known("parameter_count")
        fact = table.ledger.facts.get(f"{table.path}/parameter_count")
        table.close()
        towers.append(Tower(name=name, parameter_count=round(count), source=fact.source if fact else ""))
    return towers
