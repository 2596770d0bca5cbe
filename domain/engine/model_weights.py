"""Parameters of a model: by layer, around the layers, and in all."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import assert_never

from domain.catalog.model import DenseFeedForward, FeedForward, Layer, MixtureOfExperts, Model
from domain.engine.model_attention import attention_weight_parts
from domain.engine.model_part import Component, WeightPart, matrix, present, vector


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCounts:
    """Parameters of the language model; MTP modules and towers stand apart and are in no other figure."""

    total: int
    active: int
    """Parameters that one token passes, the whole input embedding included."""
    active_without_input_embedding: int
    """The same without tables that are only looked up; a tied embedding stays, it is also the output head."""
    mtp: int
    tower: int
    by_component: tuple[tuple[Component, int], ...]
    """Every component that holds something, MTP modules and towers too."""


def dense_feed_forward_parts(feed_forward: DenseFeedForward, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of a dense feed-forward layer: up (and gate) and down projection.

    .. math:: m \, d \, f \;(+\, (m - 1) f + d \text{ biases}), \quad m = 3 \text{ gated}, 2 \text{ plain}

    d ``hidden_size``, f ``intermediate_size`` [elements].

    Source: arXiv:2002.05202, sec. 2.   Check: Llama-2-7B, 6 738 415 616 in all.
    """
    inputs = 2 if feed_forward.gated else 1
    bias = int(feed_forward.bias)
    return present(
        (
            matrix("dense_ffn", "intermediate", (inputs + 1) * hidden_size * feed_forward.intermediate_size),
            vector("dense_ffn", "intermediate", bias * inputs * feed_forward.intermediate_size),
            vector("dense_ffn", "none", bias * hidden_size),
        )
    )


def mixture_of_experts_parts(experts: MixtureOfExperts, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of a mixture of experts: routed and shared experts, router, and a dense layer beside them.

    .. math::

        E \, m \, d_e f + m \, d \, f_s + d E \;(+\, E \text{ router bias}), \quad \text{active: } k \, m \,
            d_e f \text{ of the first}

    E ``expert_count``, k ``experts_per_token``, f ``intermediate_size``, f_s ``shared_intermediate_size``, m
    matrices per expert (3 gated, 2 plain), d ``hidden_size``, d_e the width the experts work in: d, or
    ``latent_size``, which every token is projected to and back from.

    Source: arXiv:2401.06066, sec. 3.   Check: DeepSeek-V3, 671.03e9 in all, 37.55e9 active.
    """
    inputs = 2 if experts.gated else 1
    matrices = inputs + 1
    residual = experts.residual_intermediate_size
    return present(
        (
            *_routed_parts(experts, experts.latent_size or hidden_size, inputs),
            matrix("dense_ffn", "none", 2 * hidden_size * (experts.latent_size or 0)),
            vector("norms", "none", int(experts.latent_norm) * (experts.latent_size or 0)),
            matrix("shared_experts", "intermediate", matrices * hidden_size * experts.shared_intermediate_size),
            matrix("dense_ffn", "intermediate", matrices * hidden_size * residual),
            matrix("router", "none", hidden_size * (experts.expert_count + int(experts.shared_gate))),
            vector("router", "none", int(experts.router_bias) * experts.expert_count),
            vector("router", "none", int(experts.router_scales) * (hidden_size + experts.expert_count)),
        )
    )


def _routed_parts(experts: MixtureOfExperts, width: int, inputs: int) -> tuple[WeightPart, ...]:
    expert = (inputs + 1) * width * experts.intermediate_size
    bias = int(experts.expert_bias) * (inputs * experts.intermediate_size + width)
    chosen = experts.experts_per_token
    return (
        matrix("routed_experts", "experts", experts.expert_count * expert, chosen * expert),
        vector("routed_experts", "experts", experts.expert_count * bias, chosen * bias),
    )


def feed_forward_weight_parts(feed_forward: FeedForward, hidden_size: int) -> tuple[WeightPart, ...]:
    """Parameters of the feed-forward half of one layer, by how they divide."""
    match feed_forward:
        case DenseFeedForward():
            return dense_feed_forward_parts(feed_forward, hidden_size)
        case MixtureOfExperts():
            return mixture_of_experts_parts(feed_forward, hidden_size)
        case _:
            assert_never(feed_forward)


def layer_weight_parts(layer: Layer, hidden_size: int) -> tuple[WeightPart, ...]:
    """Parameters of one layer, by component and split."""
    attention = () if layer.attention is None else attention_weight_parts(layer.attention, hidden_size)
    feed_forward = () if layer.feed_forward is None else feed_forward_weight_parts(layer.feed_forward, hidden_size)
    norms = layer.norm_count * hidden_size * (2 if layer.norm_bias else 1)
    return (
        *attention,
        *feed_forward,
        *present((vector("norms", "none", norms + layer.scale_count),)),
        *hyper_connection_parts(layer, hidden_size),
        *_per_layer_input_parts(layer, hidden_size),
    )


def hyper_connection_parts(layer: Layer, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters that mix residual streams before attention and before the feed-forward half.

    .. math:: 2 \, (n (n + 2) \, n d + n (n + 2) + 3)

    d ``hidden_size``, n ``hyper_connection_count`` streams: n to read, n to write, n^2 to mix them; three scales.

    Source: DeepSeek-V4 technical report, sec. 2.2.
    Check: DeepSeek-V4-Flash, 284e9 in all, as named.
    """
    streams = layer.hyper_connection_count
    if not streams:
        return ()
    mixes = streams * (streams + 2)
    return (
        matrix("norms", "none", 2 * mixes * streams * hidden_size),
        vector("norms", "none", 2 * (mixes + 3)),
    )


def _per_layer_input_parts(layer: Layer, hidden_size: int) -> tuple[WeightPart, ...]:
    """Gate and projection of the layer's own input, and the norm behind them."""
    if not layer.per_layer_input_size:
        return ()
    return (
        matrix("dense_ffn", "none", 2 * hidden_size * layer.per_layer_input_size),
        vector("norms", "none", hidden_size),
    )


def entry_weight_parts(model: Model) -> tuple[WeightPart, ...]:
    """What stands before the first layer: input embedding, learned positions, tables of the layers, towers."""
    embedding_norm = int(model.embedding_norm) * _norm_size(model)
    return present(
        (
            matrix("embedding", "vocabulary", model.vocabulary_size * model.hidden_size),
            matrix("embedding", "none", model.learned_position_count * model.hidden_size),
            vector("norms", "none", embedding_norm),
            *_layer_table_parts(model),
            *(matrix("tower", "none", tower.parameter_count, 0) for tower in model.towers),
        )
    )


def _norm_size(model: Model) -> int:
    return model.hidden_size * (2 if model.final_norm_bias else 1)


def _layer_table_parts(model: Model) -> tuple[WeightPart, ...]:
    """The table that gives each layer an input of its own, and what projects the hidden state beside it."""
    sizes = _layer_input_sizes(model)
    if not any(sizes):
        return ()
    return (
        matrix("embedding", "vocabulary", _layer_table_size(model)),
        matrix("embedding", "none", model.hidden_size * sum(sizes)),
        vector("norms", "none", max(sizes)),
    )


def _layer_table_size(model: Model) -> int:
    return model.per_layer_vocabulary_size * sum(_layer_input_sizes(model))


def _layer_input_sizes(model: Model) -> list[int]:
    return [model.layers[kind].per_layer_input_size for kind in model.pattern]


def exit_weight_parts(model: Model) -> tuple[WeightPart, ...]:
    """What stands behind the last layer: final norm, and the output head unless it is the embedding table."""
    head_bias = int(model.output_head_bias) * model.vocabulary_size
    return present(
        (
            vector("norms", "none", model.final_norm_count * _norm_size(model)),
            *_stream_collector_parts(model),
            *(() if model.tied_embeddings else output_head_parts(model)),
            vector("output_head", "vocabulary", head_bias),
        )
    )


def _stream_collector_parts(model: Model) -> tuple[WeightPart, ...]:
    """What makes one hidden state out of the residual streams of hyper-connections."""
    streams = model.layers[model.pattern[-1]].hyper_connection_count
    return present(
        (
            matrix("norms", "none", streams * streams * model.hidden_size),
            vector("norms", "none", streams + 1 if streams else 0),
        )
    )


def output_head_parts(model: Model) -> tuple[WeightPart, ...]:
    """The table that makes logits.

    With tied embeddings it is the input embedding, which a last pipeline stage that is not the first holds
    once more.
    """
    return (matrix("output_head", "vocabulary", model.vocabulary_size * model.hidden_size),)


def mtp_weight_parts(model: Model) -> tuple[WeightPart, ...]:
    r"""Parameters of the multi-token-prediction modules: a layer, a projection and three norms each.

    .. math:: n \, (\text{layer} + 2 d^2 + 3 d)

    d ``hidden_size``, n ``mtp_layer_count``. Embedding and output head are the main model's.

    Source: arXiv:2412.19437, sec. 2.2.   Check: DeepSeek-V3, 11.6e9 (its weights' README: 11.5B unique).
    """
    if not model.mtp_layer_count:
        return ()
    width = model.hidden_size
    kind = model.pattern[-1] if model.mtp_kind is None else model.mtp_kind
    module = (
        *layer_weight_parts(model.layers[kind], width),
        *_stream_collector_parts(model),
        matrix("mtp", "none", 2 * width * width),
        vector("mtp", "none", 3 * width),
    )
    return _times(tuple(replace(part, component="mtp") for part in module), model.mtp_layer_count)


def outer_weight_parts(model: Model) -> tuple[WeightPart, ...]:
    """Parameters outside the layers: tables, final norm, MTP modules, towers."""
    return (*entry_weight_parts(model), *exit_weight_parts(model), *mtp_weight_parts(model))


def weight_parts(model: Model) -> tuple[WeightPart, ...]:
    """Parameters of the whole model, parts that are stored, divided and used alike added up."""
    layers = Counter(model.pattern)
    parts = list(outer_weight_parts(model))
    for kind, count in layers.items():
        parts.extend(_times(layer_weight_parts(model.layers[kind], model.hidden_size), count))
    return merged(parts)


def merged(parts: list[WeightPart]) -> tuple[WeightPart, ...]:
    """Add up the parts that differ in nothing but their counts."""
    sums: dict[tuple[Component, str, bool], WeightPart] = {}
    for part in parts:
        key = (part.component, part.split, part.matrix)
        known = sums.get(key)
        sums[key] = part if known is None else _added(known, part)
    return tuple(sums.values())


def _added(one: WeightPart, other: WeightPart) -> WeightPart:
    return replace(
        one,
        parameter_count=one.parameter_count + other.parameter_count,
        active_parameter_count=one.active_parameter_count + other.active_parameter_count,
    )


def _times(parts: tuple[WeightPart, ...], count: int) -> tuple[WeightPart, ...]:
    return tuple(
        replace(
            part,
            parameter_count=part.parameter_count * count,
            active_parameter_count=part.active_parameter_count * count,
        )
        for part in parts
    )


def parameter_counts(model: Model) -> ParameterCounts:
    """Count the parameters of a model, in all and by component.

    Check: DeepSeek-V3 671.03e9 in all, 37.55e9 active, 36.6e9 of them without the input embedding, MTP 11.6e9
    apart.
    """
    sums: Counter[Component] = Counter()
    active = 0
    for part in weight_parts(model):
        sums[part.component] += part.parameter_count
        active += part.active_parameter_count if part.component not in ("mtp", "tower") else 0
    own_table = 0 if model.tied_embeddings else model.vocabulary_size * model.hidden_size
    looked_up = own_table + model.learned_position_count * model.hidden_size + _layer_table_size(model)
    return ParameterCounts(
        total=sums.total() - sums["mtp"] - sums["tower"],
        active=active,
        active_without_input_embedding=active - looked_up,
        mtp=sums["mtp"],
        tower=sums["tower"],
        by_component=tuple((component, count) for component, count in sums.items() if count),
    )
