"""How many bytes one device of a pipeline stage needs, by part: for one plan, or for a column of plans."""

from dataclasses import dataclass
from typing import Generic, cast

import numpy as np

from domain.catalog.serving_engine import BatchingLimits, ServingEngine
from domain.engine.footprint import Footprint, LayerFootprint, Share
from domain.engine.model import CachePart, Component
from domain.quantity import Number, larger, smaller, whole_down, whole_up

SIXTEEN_BIT_BYTES = 2.0
HIDDEN_AND_RESIDUAL = 2.0
"""Copies of the hidden state that live through a layer."""
GROUP_SPREAD = 1.25
"""vLLM takes the larger of two layer counts as its group while it is at most this much larger."""
CONSTANT_PARTS = ("state", "convolution")
"""Cache parts that a sequence has whatever its length."""
CONTEXT_CHUNK_TOKENS = 65_536.0
"""Cached tokens of which vLLM rebuilds keys and values at once in MLA prefill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division(Generic[Number]):
    """Over how many ranks things are divided."""

    tensor_parallel: Number
    attention_data_parallel: Number
    expert_parallel: Number
    decode_context_parallel: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContent(Generic[Number]):
    """What a stage holds, in numbers: layers by kind, and 1 or 0 for the tables at the ends."""

    layer_counts: tuple[Number, ...]
    is_first: Number
    is_last: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How an engine keeps memory on one class of cards."""

    engine: ServingEngine
    limits: BatchingLimits
    cache_element_bytes: float
    state_padding: tuple[float, ...]
    """Factor by kind of layer by which grouping pads the cache."""


def divisor(share: Share, division: Division[Number], engine: ServingEngine) -> Number:
    """Ranks over which ``share`` is divided; where heads run out, the rest are copies.

    Attention data parallelism copies attention and embedding; an engine that runs the copies as one group still
    divides the dense layers and the output head over all of them, one that runs them apart copies these too.
    Source: SGLang ``--enable-dp-attention``; vLLM data parallel deployment (engine facts).
    """
    tensor = division.tensor_parallel
    everyone = tensor * division.attention_data_parallel
    grouped = everyone if engine.attention_data_parallel == "in_group" else tensor
    match share.split:
        case "none":
            return tensor / tensor
        case "kv_heads" | "linear_heads":
            return cast("Number", np.minimum(tensor, float(share.head_count)))
        case "experts":
            return everyone
        case "intermediate":
            return grouped
        case "vocabulary" if share.component == "output_head":
            return grouped
        case _:
            return tensor


def weights_bytes_by_component(
    footprint: Footprint, division: Division[Number], stage: StageContent[Number], engine: ServingEngine
) -> dict[Component, Number]:
    r"""Bytes of weights on one rank of a stage, by component.

    .. math:: \sum_{kind} n_{kind} \sum_{share} B_{share} / d_{share}

    n ``layer_counts`` [layers], B ``size_bytes`` [bytes], d `divisor` [ranks].

    Check: DeepSeek-V3 FP8 under TP8 -> 79 to 85 GiB.
    """
    sums: dict[Component, Number] = {}

    def add(shares: tuple[Share, ...], times: Number) -> None:
        for share in shares:
            value = times * share.size_bytes / divisor(share, division, engine)
            sums[share.component] = sums[share.component] + value if share.component in sums else value

    for layer, count in zip(footprint.layers, stage.layer_counts, strict=True):
        add(layer.weights, count)
    add(footprint.first_stage, stage.is_first)
    add(footprint.last_stage, stage.is_last)
    add(footprint.tied_head, stage.is_last * (1.0 - stage.is_first))
    return sums


def kept_tokens(tokens: Number, part: CachePart, keeping: Keeping) -> Number:
    """Tokens of one sequence that a cache part keeps, in whole blocks.

    A window keeps what it looks back on plus what one step may add.
    Source: vLLM, ``SlidingWindowSpec.max_memory_usage_bytes``.
    """
    block = float(keeping.engine.block_tokens)
    if part.window_tokens is not None:
        tokens = smaller(tokens, tokens * 0.0 + (part.window_tokens - 1.0 + keeping.limits.batched_tokens))
    return whole_up(tokens / block) * block


def cache_bytes_per_sequence(
    footprint: Footprint,
    division: Division[Number],
    stage: StageContent[Number],
    keeping: Keeping,
    tokens: Number,
) -> Number:
    r"""Bytes that one sequence of ``tokens`` tokens occupies on one rank of a stage.

    .. math:: \sum_{kind} n_{kind} \, p_{kind} \sum_{part} (e_{part} \, b \, t_{part} + s_{part}) / d_{part}

    n layers, p padding by grouping, e elements per token, b bytes per element, t kept tokens, s bytes of constant
    state, d ranks that share the part: heads divide, a latent is copied to every tensor rank.

    Check: DeepSeek-V3, BF16 -> 70 272 bytes per token on every rank (arXiv:2505.09343, table 1).
    """
    total = tokens * 0.0
    for layer, count, padding in zip(footprint.layers, stage.layer_counts, keeping.state_padding, strict=True):
        for part in layer.cache:
            total = total + count * padding * _part_bytes(part, division, keeping, tokens)
    return total


def _part_bytes(part: CachePart, division: Division[Number], keeping: Keeping, tokens: Number) -> Number:
    element_bytes = keeping.cache_element_bytes if part.element_bytes is None else part.element_bytes
    heads = cast("Number", np.minimum(division.tensor_parallel, float(part.head_count)))
    if part.kind in CONSTANT_PARTS:
        return tokens * 0.0 + part.elements_per_sequence * element_bytes / heads
    kept = kept_tokens(tokens, part, keeping)
    if part.window_tokens is None:
        kept = kept / division.decode_context_parallel
    return kept * part.elements_per_token * element_bytes / heads


def activations_bytes(
    footprint: Footprint, division: Division[Number], stage: StageContent[Number], keeping: Keeping
) -> Number:
    """Peak of transient memory on one rank, from the engine's batching limits.

    The larger of one layer's forward pass over a full batch and, in the last stage, sampling for every sequence;
    buffers of the experts and of MLA's context stay allocated beside it.
    Source: vLLM, memory profiling at start; constants are engine facts. Check: start-up logs of vLLM 0.19.0.
    """
    hidden = keeping.limits.batched_tokens * footprint.model.hidden_size * SIXTEEN_BIT_BYTES
    entries = keeping.limits.sequence_count * footprint.model.vocabulary_size * keeping.engine.logits_bytes_per_entry
    forward = division.tensor_parallel * 0.0
    standing = division.tensor_parallel * 0.0
    for layer, count in zip(footprint.layers, stage.layer_counts, strict=True):
        present = cast("Number", np.minimum(count, 1.0))
        forward = larger(forward, present * _forward_bytes(layer, division, keeping))
        standing = larger(standing, present * _standing_bytes(layer, footprint, division, keeping))
    sampling = stage.is_last * entries + hidden
    return larger(forward + HIDDEN_AND_RESIDUAL * hidden, sampling) + standing + keeping.engine.workspace_bytes


def _forward_bytes(layer: LayerFootprint, division: Division[Number], keeping: Keeping) -> Number:
    return keeping.limits.batched_tokens * SIXTEEN_BIT_BYTES * layer.dense_width / division.tensor_parallel


def _standing_bytes(
    layer: LayerFootprint, footprint: Footprint, division: Division[Number], keeping: Keeping
) -> Number:
    ranks = division.tensor_parallel * division.attention_data_parallel
    by_expert = division.expert_parallel > 1.0
    width = cast("Number", np.where(by_expert, float(layer.expert_width), layer.expert_width / ranks))
    hidden = division.tensor_parallel * 0.0 + footprint.model.hidden_size
    inside = larger(2.0 * width, hidden) + width
    experts = keeping.limits.batched_tokens * layer.experts_per_token * SIXTEEN_BIT_BYTES * inside
    return experts + CONTEXT_CHUNK_TOKENS * SIXTEEN_BIT_BYTES * layer.latent_width


def reserve_bytes(division: Division[Number], engine: ServingEngine) -> Number:
    """Device memory outside the allocator: context, communication buffers, and graphs where the share pays them."""
    together = division.tensor_parallel * division.attention_data_parallel
    graphs = engine.graph_bytes if engine.graphs_within_fraction else 0.0
    apart = cast("Number", np.where(together > 1.0, engine.parallel_context_bytes, engine.context_bytes))
    return apart + graphs


def cache_room_bytes(
    usable_bytes: Number,
    memory_fraction: Number,
    engine: ServingEngine,
    *,
    weights: Number,
    transient: Number,
) -> Number:
    """Bytes that the KV cache may have on one device; negative is what is missing.

    ``transient`` is activations and reserve. vLLM pays everything out of its share of the total; SGLang only
    weights and cache, the rest must find room beside it; TensorRT-LLM gives the cache a share of what is left.
    """
    if engine.fraction_of == "free_after_weights":
        left = usable_bytes - weights - transient
        return smaller(left, memory_fraction * left)
    if engine.activations_within_fraction:
        return usable_bytes * memory_fraction - weights - transient
    return smaller(usable_bytes * memory_fraction - weights, usable_bytes - weights - transient)


def sequence_capacity(room_bytes: Number, bytes_per_sequence: Number) -> Number:
    """Whole sequences that find room on one rank; 0 where there is no room."""
    return larger(whole_down(room_bytes / bytes_per_sequence), bytes_per_sequence * 0.0)


def cache_paddings(footprint: Footprint, engine: ServingEngine) -> tuple[float, ...]:
    """Factor by kind of layer by which grouping pads the cache.

    Layers with a window and layers without are put into groups of equal size, and each group is padded to it.
    Source: vLLM, hybrid KV cache manager. Check: Gemma-3-4B, 29 + 5 layers -> 35 (start-up log, 468 144 tokens).
    """
    windowed = sum(layer.layer_count for layer in footprint.layers if _is_windowed(layer))
    full = sum(layer.layer_count for layer in footprint.layers if _is_full(layer))
    if not engine.groups_cache_layers or not windowed or not full:
        return tuple(1.0 for _ in footprint.layers)
    smallest, largest = sorted((windowed, full))
    group = largest if largest < smallest * GROUP_SPREAD else smallest
    windowed_padding, full_padding = (-(-count // group) * group / count for count in (windowed, full))
    return tuple(
        windowed_padding if _is_windowed(layer) else full_padding if _is_full(layer) else 1.0
        for layer in footprint.layers
    )


def _is_windowed(layer: LayerFootprint) -> bool:
    return any(part.kind == "key_value" and part.window_tokens is not None for part in layer.cache)


def _is_full(layer: LayerFootprint) -> bool:
    return any(part.kind == "key_value" and part.window_tokens is None for part in layer.cache)
