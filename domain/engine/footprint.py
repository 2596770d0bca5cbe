"""A model in a number format, reduced to what divides how: coefficients from which every layout follows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from domain.catalog.model import (
    LatentAttention,
    Layer,
    LinearAttention,
    MixtureOfExperts,
    Model,
    SelfAttention,
)
from domain.catalog.number_format import NumberFormat
from domain.engine.model import (
    CachePart,
    Component,
    Split,
    WeightPart,
    cache_parts,
    entry_weight_parts,
    exit_weight_parts,
    layer_weight_parts,
    mtp_weight_parts,
    output_head_parts,
)
from domain.engine.parallelism import balanced_stages, kv_head_count
from domain.engine.storage import component_bytes, part_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Bytes of one component that divide in one way."""

    component: Component
    split: Split
    head_count: int
    """Heads at most among which a split by heads divides; the rest are copies."""
    size_bytes: float
    active_parameter_count: float
    """Parameters of matrices that one token passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFootprint:
    """One kind of layer: its weights by share, its cache by part, and the widths that decide activations."""

    weights: tuple[Share, ...]
    cache: tuple[CachePart, ...]
    layer_count: int
    """Layers of this kind in the model."""
    dense_width: int
    """Elements per token of the widest dense intermediate, gate included; divides by tensor ranks."""
    expert_width: int
    """Elements per token and chosen expert inside the experts; divides by ranks unless spread by expert."""
    experts_per_token: int
    expert_count: int
    latent_width: int
    """Elements per token and layer of the latent that MLA caches; 0 for other attention."""

    @property
    def weights_bytes(self) -> float:
        """All weights of one such layer, undivided."""
        return sum(share.size_bytes for share in self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Everything about one model in one format that memory depends on."""

    model: Model
    number_format: NumberFormat
    layers: tuple[LayerFootprint, ...]
    first_stage: tuple[Share, ...]
    last_stage: tuple[Share, ...]
    tied_head: tuple[Share, ...]
    """The copy of a tied embedding table that the last stage needs when it is not the first too."""
    stages: dict[int, tuple[int, ...]] = field(default_factory=dict, compare=False)
    """Balanced divisions found so far, by number of stages."""

    def balanced(self, stage_count: int) -> tuple[int, ...]:
        """Layers of each of ``stage_count`` stages such that the fullest is lightest; found once."""
        if stage_count not in self.stages:
            loads = [layer.weights_bytes for layer in self.layers]
            self.stages[stage_count] = balanced_stages(
                [loads[kind] for kind in self.model.pattern],
                stage_count,
                first_extra=sum(share.size_bytes for share in self.first_stage),
                last_extra=sum(share.size_bytes for share in (*self.last_stage, *self.tied_head)),
            )
        return self.stages[stage_count]

    @property
    def weights_bytes(self) -> float:
        """All weights once, undivided."""
        outer = sum(share.size_bytes for share in (*self.first_stage, *self.last_stage))
        return outer + sum(layer.weights_bytes * layer.layer_count for layer in self.layers)


def footprint(
    model: Model, number_format: NumberFormat, formats: Mapping[str, NumberFormat], *, with_mtp: bool
) -> Footprint:
    """Reduce ``model`` in ``number_format``; MTP modules are held by the last stage when they are loaded."""
    scheme = component_bytes(model, number_format, formats)
    mtp = mtp_weight_parts(model) if with_mtp else ()
    return Footprint(
        model=model,
        number_format=number_format,
        layers=tuple(_layer(model, kind, layer, scheme) for kind, layer in enumerate(model.layers)),
        first_stage=_shares(entry_weight_parts(model), scheme, 1),
        last_stage=_shares((*exit_weight_parts(model), *mtp), scheme, 1),
        tied_head=_shares(output_head_parts(model), scheme, 1) if model.tied_embeddings else (),
    )


def _layer(model: Model, kind: int, layer: Layer, scheme: Mapping[Component, float]) -> LayerFootprint:
    dense, expert, chosen, count = _widths(layer)
    return LayerFootprint(
        weights=_shares(layer_weight_parts(layer, model.hidden_size), scheme, kv_head_count(layer)),
        cache=cache_parts(layer.attention) if layer.attention is not None else (),
        layer_count=model.pattern.count(kind),
        dense_width=dense,
        expert_width=expert,
        experts_per_token=chosen,
        expert_count=count,
        latent_width=_latent_width(layer),
    )


def _shares(parts: Iterable[WeightPart], scheme: Mapping[Component, float], head_count: int) -> tuple[Share, ...]:
    """Sum parts that stand in the same component and divide alike."""
    sums: dict[tuple[Component, Split], tuple[float, float]] = {}
    for part in parts:
        key = (part.component, part.split)
        size_bytes, active = sums.get(key, (0.0, 0.0))
        sums[key] = (size_bytes + part_bytes(part, scheme), active + part.active_parameter_count * part.matrix)
    return tuple(
        Share(
            component=component,
            split=split,
            head_count=head_count,
            size_bytes=size_bytes,
            active_parameter_count=active,
        )
        for (component, split), (size_bytes, active) in sums.items()
    )


def _widths(layer: Layer) -> tuple[int, int, int, int]:
    feed_forward = layer.feed_forward
    if feed_forward is None:
        return _mixer_width(layer), 0, 0, 0
    gate_and_up = 2 if feed_forward.gated else 1
    if isinstance(feed_forward, MixtureOfExperts):
        shared = max(feed_forward.shared_intermediate_size, feed_forward.residual_intermediate_size)
        dense = (gate_and_up + 1) * shared
        return (
            max(dense, _mixer_width(layer)),
            feed_forward.intermediate_size,
            feed_forward.experts_per_token,
            feed_forward.expert_count,
        )
    return max((gate_and_up + 1) * feed_forward.intermediate_size, _mixer_width(layer)), 0, 0, 0


def _mixer_width(layer: Layer) -> int:
    match layer.attention:
        case SelfAttention() as attention:
            heads = 2 * attention.head_count + 2 * attention.kv_head_count
            return heads * max(attention.head_dim, attention.value_head_dim)
        case LatentAttention() as attention:
            return attention.head_count * (attention.nope_head_dim + attention.rope_head_dim + attention.value_head_dim)
        case LinearAttention() as attention:
            return 3 * attention.value_head_count * attention.value_head_dim
        case _:
            return 0


def _latent_width(layer: Layer) -> int:
    match layer.attention:
        case LatentAttention() as attention:
            return attention.kv_lora_rank + attention.rope_head_dim
        case _:
            return 0
