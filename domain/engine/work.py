"""What one step of a serving engine has to do on one rank: bytes, multiplications and messages by operator group."""

from dataclasses import dataclass
from typing import Generic

from domain.catalog.model import CompressedAttention, LatentAttention, Layer, LinearAttention, SelfAttention
from domain.catalog.serving_engine import ServingEngine
from domain.engine.collectives import expert_exchange_bytes, ring_all_reduce_bytes
from domain.engine.footprint import Footprint, LayerFootprint, Share
from domain.engine.memory import Division, Keeping, divisor
from domain.engine.model import CachePart
from domain.quantity import Number, power, smaller

MULTIPLY_AND_ADD = 2.0
HIDDEN_ELEMENT_BYTES = 2.0
MESSAGES_PER_LAYER = 2.0
"""All-reduces of a tensor-parallel layer: after attention and after the feed-forward part."""
READ_AND_WRITE = 2.0
ATTENTION_GROUP = ("attention", "norms")
DENSE_GROUP = ("dense_ffn", "shared_experts", "router")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatch(Generic[Number]):
    """What one step processes on one attention group of ranks."""

    decode_sequences: Number
    prefill_tokens: Number
    context_tokens: Number
    """Mean tokens that a decoding sequence looks back on."""
    prefill_context_tokens: Number
    """Mean tokens that a prefill token looks back on: half the prompt when nothing is cached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupWork(Generic[Number]):
    """One operator group: what it reads and what it multiplies on one rank."""

    bytes: Number
    flops: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWork(Generic[Number]):
    """One step on one rank, over all layers."""

    attention_projections: GroupWork[Number]
    attention: GroupWork[Number]
    """Reading the cache and multiplying with it."""
    dense_layers: GroupWork[Number]
    """Dense feed-forward, shared experts, routers."""
    routed_experts: GroupWork[Number]
    output_head: GroupWork[Number]
    tensor_messages: Number
    tensor_message_bytes: Number
    """Bytes that a ring all-reduce moves over one rank's link, all messages together."""
    expert_messages: Number
    expert_message_bytes: Number
    """Bytes that one rank sends and receives to exchange tokens with experts elsewhere."""
    stage_messages: Number
    stage_message_bytes: Number
    sequences: Number
    """Sequences that the engine handles on the host, over all attention groups."""
    layers: Number
    expert_layers: Number
    steps: Number
    """1: engine overhead is paid once."""


def step_work(
    footprint: Footprint, division: Division[Number], stages: Number, batch: StepBatch[Number], keeping: Keeping
) -> StepWork[Number]:
    """Work of one step through all layers; ``stages`` only add the messages between them."""
    tokens = batch.decode_sequences + batch.prefill_tokens
    zero = tokens * 0.0
    everyone = division.attention_data_parallel
    layer_count = float(footprint.model.layer_count)
    expert_layers = float(sum(layer.layer_count for layer in footprint.layers if layer.expert_count))
    hidden_bytes = footprint.model.hidden_size * HIDDEN_ELEMENT_BYTES
    chosen = max((layer.experts_per_token for layer in footprint.layers), default=0)
    sent = ring_all_reduce_bytes(tokens * hidden_bytes, division.tensor_parallel)
    exchanged = expert_exchange_bytes(
        tokens,
        zero + chosen,
        zero + footprint.model.hidden_size,
        zero + HIDDEN_ELEMENT_BYTES,
        zero + HIDDEN_ELEMENT_BYTES,
    )
    is_tensor = smaller(division.tensor_parallel - 1.0, zero + 1.0)
    is_spread = smaller(everyone - 1.0, zero + 1.0)
    return StepWork(
        attention_projections=_linear(footprint, ATTENTION_GROUP, division, tokens, keeping.engine),
        attention=_attention(footprint, division, batch, keeping.cache_element_bytes),
        dense_layers=_linear(footprint, DENSE_GROUP, division, tokens, keeping.engine),
        routed_experts=_experts(footprint, division, tokens),
        output_head=_head(footprint, division, batch, keeping.engine),
        tensor_messages=is_tensor * MESSAGES_PER_LAYER * layer_count,
        tensor_message_bytes=MESSAGES_PER_LAYER * layer_count * sent,
        expert_messages=is_spread * READ_AND_WRITE * expert_layers,
        expert_message_bytes=is_spread * expert_layers * exchanged,
        stage_messages=stages - 1.0 + zero,
        stage_message_bytes=(stages - 1.0) * tokens * hidden_bytes,
        sequences=batch.decode_sequences * everyone,
        layers=zero + layer_count,
        expert_layers=zero + expert_layers,
        steps=zero + 1.0,
    )


def _linear(
    footprint: Footprint,
    components: tuple[str, ...],
    division: Division[Number],
    tokens: Number,
    engine: ServingEngine,
) -> GroupWork[Number]:
    """Weights of dense components, read once a step, and their products with every token."""
    size_bytes, flops = tokens * 0.0, tokens * 0.0
    for layer in footprint.layers:
        for share in layer.weights:
            if share.component in components:
                ranks = divisor(share, division, engine)
                size_bytes = size_bytes + layer.layer_count * share.size_bytes / ranks
                flops = flops + layer.layer_count * _products(share, division, tokens, engine) / ranks
    return GroupWork(bytes=size_bytes, flops=flops)


def _products(share: Share, division: Division[Number], tokens: Number, engine: ServingEngine) -> Number:
    """Multiplications of all tokens that meet on the ranks that divide ``share``."""
    meets_all = share.split == "experts" or (
        share.split == "intermediate" and engine.attention_data_parallel == "in_group"
    )
    groups = division.attention_data_parallel if meets_all else tokens * 0.0 + 1.0
    return MULTIPLY_AND_ADD * share.active_parameter_count * tokens * groups


def _experts(footprint: Footprint, division: Division[Number], tokens: Number) -> GroupWork[Number]:
    r"""Routed experts: weights of the experts that at least one token chose, and the products.

    .. math:: E (1 - (1 - k/E)^{n})

    E experts, k chosen per token, n tokens of all attention groups in the step.
    """
    size_bytes, flops = tokens * 0.0, tokens * 0.0
    ranks = division.tensor_parallel * division.attention_data_parallel
    everyone = tokens * division.attention_data_parallel
    for layer in footprint.layers:
        for share in (one for one in layer.weights if one.component == "routed_experts"):
            unread = power(tokens * 0.0 + (1.0 - layer.experts_per_token / layer.expert_count), everyone)
            size_bytes = size_bytes + layer.layer_count * share.size_bytes * (1.0 - unread) / ranks
            products = MULTIPLY_AND_ADD * share.active_parameter_count * everyone
            flops = flops + layer.layer_count * products / ranks
    return GroupWork(bytes=size_bytes, flops=flops)


def _head(
    footprint: Footprint, division: Division[Number], batch: StepBatch[Number], engine: ServingEngine
) -> GroupWork[Number]:
    """The output head, for one token of each sequence only."""
    size_bytes, flops = batch.decode_sequences * 0.0, batch.decode_sequences * 0.0
    shares = footprint.tied_head or footprint.last_stage
    for share in (one for one in shares if one.split == "vocabulary"):
        ranks = divisor(share, division, engine)
        size_bytes = size_bytes + share.size_bytes / ranks
        flops = flops + MULTIPLY_AND_ADD * share.active_parameter_count * batch.decode_sequences / ranks
    return GroupWork(bytes=size_bytes, flops=flops)


def _attention(
    footprint: Footprint, division: Division[Number], batch: StepBatch[Number], element_bytes: float
) -> GroupWork[Number]:
    """Cache read by every decoding sequence; products of queries with what they look back on."""
    size_bytes, flops = batch.decode_sequences * 0.0, batch.decode_sequences * 0.0
    for layer, kind in zip(footprint.layers, footprint.model.layers, strict=True):
        for part in layer.cache:
            read = _read_bytes(part, division, batch.context_tokens, element_bytes)
            size_bytes = size_bytes + layer.layer_count * batch.decode_sequences * read
        flops = flops + layer.layer_count * _attention_flops(layer, kind, division, batch)
    return GroupWork(bytes=size_bytes, flops=flops)


def _read_bytes(
    part: CachePart, division: Division[Number], context_tokens: Number, cache_element_bytes: float
) -> Number:
    element_bytes = cache_element_bytes if part.element_bytes is None else part.element_bytes
    heads = smaller(division.tensor_parallel, division.tensor_parallel * 0.0 + part.head_count)
    if not part.elements_per_token:
        return READ_AND_WRITE * part.elements_per_sequence * element_bytes / heads
    kept = within(context_tokens, part.window_tokens) / division.decode_context_parallel
    return kept * part.elements_per_token * element_bytes / heads


def within(context_tokens: Number, window_tokens: float | None) -> Number:
    """Tokens that are looked at: all, or those inside a window."""
    if window_tokens is None:
        return context_tokens
    return smaller(context_tokens, context_tokens * 0.0 + window_tokens)


def _attention_flops(
    layer: LayerFootprint, kind: Layer, division: Division[Number], batch: StepBatch[Number]
) -> Number:
    """Products of one layer's queries with keys and values, or with its state."""
    decode, prefill = _flops_per_pair(kind)
    window = min((part.window_tokens for part in layer.cache if part.window_tokens is not None), default=None)
    selected = _selected_tokens(kind)
    decoded = within(within(batch.context_tokens, window), selected)
    filled = within(within(batch.prefill_context_tokens, window), selected)
    pairs = batch.decode_sequences * decoded * decode + batch.prefill_tokens * filled * prefill
    return pairs / division.tensor_parallel


def _selected_tokens(kind: Layer) -> float | None:
    match kind.attention:
        case LatentAttention(indexer=indexer) | CompressedAttention(indexer=indexer) if indexer is not None:
            return float(indexer.selected_token_count)
        case _:
            return None


def _flops_per_pair(kind: Layer) -> tuple[float, float]:
    """Flops per (query token, token looked at), in decode and in prefill; MLA is absorbed in decode."""
    match kind.attention:
        case SelfAttention() as attention:
            flops = MULTIPLY_AND_ADD * attention.head_count * (attention.head_dim + attention.value_head_dim)
            return flops, flops
        case LatentAttention() as attention:
            latent = 2.0 * attention.kv_lora_rank + attention.rope_head_dim
            rebuilt = attention.nope_head_dim + attention.rope_head_dim + attention.value_head_dim
            per_head = MULTIPLY_AND_ADD * attention.head_count
            return per_head * latent, per_head * rebuilt
        case CompressedAttention() as attention:
            flops = MULTIPLY_AND_ADD * attention.head_count * 2.0 * attention.head_dim
            return flops, flops
        case LinearAttention() | _:
            return 0.0, 0.0
