"""What a model keeps of the tokens of a sequence: caches that grow, windows, and constant states."""

from collections import Counter
from typing import assert_never

from domain.catalog.model import (
    Attention,
    CompressedAttention,
    LatentAttention,
    LinearAttention,
    Model,
    SelfAttention,
    SparseIndexer,
)
from domain.engine.model_part import CachePart

CONVOLUTION_ELEMENT_BYTES = 2.0
"""Engines keep the inputs of short convolutions in the model's 16-bit type."""

INDEX_ELEMENT_BYTES = 1.0 + 4.0 / 128.0
"""Index keys are kept in FP8 with one FP32 scale per 128 elements (DeepSeek-V3.2-Exp's kernels)."""

WIDE_INDEX_ELEMENT_BYTES = 2.0
"""Index keys beside plain keys and values stay in the model's 16-bit type (MiniMax M3)."""


def cache_parts(attention: Attention | None) -> tuple[CachePart, ...]:
    """What one layer with this attention caches; nothing where it has none."""
    match attention:
        case None:
            return ()
        case SelfAttention():
            own = () if attention.reuses_cache else (self_attention_cache(attention),)
            return (*own, *_index_cache(attention.indexer, 1, WIDE_INDEX_ELEMENT_BYTES))
        case LatentAttention():
            return (latent_cache(attention), *_index_cache(attention.indexer, 1))
        case CompressedAttention():
            return compressed_caches(attention)
        case LinearAttention():
            return linear_states(attention)
        case _:
            assert_never(attention)


def self_attention_cache(attention: SelfAttention) -> CachePart:
    r"""Elements that one token occupies in one layer: a key and a value per key/value head.

    .. math:: n_{kv} (d_h + d_v)

    n_kv ``kv_head_count``, d_h ``head_dim``, d_v ``value_head_dim`` [elements]. Two tensors also where one
    projection serves as key and value: only the key is rotated, so that engines cache both.

    Source: arXiv:2305.13245.
    Check: Qwen2.5-72B 327 680, Llama-3.1-405B 516 096 bytes a token in BF16 (arXiv:2505.09343, table 1).
    """
    return CachePart(
        kind="key_value",
        elements_per_token=float(attention.kv_head_count * (attention.head_dim + attention.value_head_dim)),
        elements_per_sequence=0.0,
        window_tokens=attention.window_tokens,
        split="kv_heads",
        head_count=attention.kv_head_count,
        element_bytes=None,
    )


def latent_cache(attention: LatentAttention) -> CachePart:
    r"""Elements that one token occupies in one layer; the same on every tensor rank.

    .. math:: r_{kv} + d_{rope}

    r_kv ``kv_lora_rank``, d_rope ``rope_head_dim`` [elements]. Key and value are rebuilt from one latent, so
    there is no factor 2, and no head count.

    Source: arXiv:2405.04434, sec. 2.1.
    Check: DeepSeek-V3, BF16 -> 70 272 bytes (arXiv:2505.09343, table 1).
    """
    return CachePart(
        kind="latent",
        elements_per_token=float(attention.kv_lora_rank + attention.rope_head_dim),
        elements_per_sequence=0.0,
        window_tokens=None,
        split="none",
        head_count=1,
        element_bytes=None,
    )


def _index_cache(
    indexer: SparseIndexer | None, tokens_per_entry: int, element_bytes: float = INDEX_ELEMENT_BYTES
) -> tuple[CachePart, ...]:
    """One index key per entry, whatever the number of index heads."""
    if indexer is None:
        return ()
    return (
        CachePart(
            kind="index",
            elements_per_token=indexer.head_dim / tokens_per_entry,
            elements_per_sequence=0.0,
            window_tokens=None,
            split="none",
            head_count=1,
            element_bytes=element_bytes,
        ),
    )


def compressed_caches(attention: CompressedAttention) -> tuple[CachePart, ...]:
    r"""What one layer of DeepSeek V4 caches: the last tokens whole, and one entry for every few tokens.

    .. math:: \min(t, w) \, d_h + t \, d_h / c

    d_h ``head_dim`` [elements], w ``window_tokens``, c ``compression`` [tokens per entry]; one head serves as
    key and value of all query heads, so that every tensor rank holds it whole.

    Source: DeepSeek-V4 technical report, sec. 2 (compressed sparse and heavily compressed attention).
    """
    window = CachePart(
        kind="latent",
        elements_per_token=float(attention.head_dim),
        elements_per_sequence=0.0,
        window_tokens=attention.window_tokens,
        split="none",
        head_count=1,
        element_bytes=None,
    )
    if not attention.compression:
        return (window,)
    compressed = CachePart(
        kind="latent",
        elements_per_token=attention.head_dim / attention.compression,
        elements_per_sequence=0.0,
        window_tokens=None,
        split="none",
        head_count=1,
        element_bytes=None,
    )
    return (window, compressed, *_index_cache(attention.indexer, attention.compression))


def linear_states(attention: LinearAttention) -> tuple[CachePart, ...]:
    r"""What one recurrent layer keeps of a sequence, whatever its length.

    .. math:: n_h d_k d_v \quad \text{and} \quad (w - 1) \, c

    n_h ``value_head_count``, d_k ``key_head_dim`` (Mamba: the state size), d_v ``value_head_dim``, w
    ``convolution_width``, c the channels that pass the short convolution [elements].

    Source: arXiv:2412.06464, sec. 2; arXiv:2405.21060, sec. 6.
    Check: Qwen3-Next-80B-A3B, 75 497 472 bytes of FP32 state.
    """
    state = attention.value_head_count * attention.key_head_dim * attention.value_head_dim
    inputs = float(max(attention.convolution_width - 1, 0) * convolution_channels(attention))
    parts = [_constant("state", float(state), attention, attention.state_element_bytes)]
    if inputs:
        parts.append(_constant("convolution", inputs, attention, CONVOLUTION_ELEMENT_BYTES))
    return tuple(parts)


def convolution_channels(attention: LinearAttention) -> int:
    """Channels of the short convolution: query, key and value, or input, B and C of Mamba; lightning has none."""
    value_width = attention.value_head_count * attention.value_head_dim
    match attention.kind:
        case "mamba2":
            return value_width + 2 * attention.group_count * attention.key_head_dim
        case "lightning":
            return 0
        case _:
            return value_width + 2 * attention.key_head_count * attention.key_head_dim


def _constant(kind: str, elements: float, attention: LinearAttention, element_bytes: float) -> CachePart:
    return CachePart(
        kind="state" if kind == "state" else "convolution",
        elements_per_token=0.0,
        elements_per_sequence=elements,
        window_tokens=None,
        split="linear_heads",
        head_count=attention.value_head_count,
        element_bytes=element_bytes,
    )


def model_cache_parts(model: Model) -> tuple[tuple[CachePart, int], ...]:
    """Every cache part of the model with the number of layers that have it."""
    counts: Counter[CachePart] = Counter()
    for kind, layers in Counter(model.pattern).items():
        for part in cache_parts(model.layers[kind].attention):
            counts[part] += layers
    return tuple(counts.items())


def cache_bytes_per_token(model: Model, element_bytes: float, *, growing_only: bool = False) -> float:
    r"""Bytes of cache that one token occupies over all layers, index keys of sparse attention not counted.

    .. math:: b \sum_{l} e_l

    e_l elements per token of layer l, b ``element_bytes``. ``growing_only`` leaves out layers that keep a
    window: their part stops growing with the sequence.

    Source: arXiv:2505.09343, table 1.
    Check: DeepSeek-V3 70 272, Qwen2.5-72B 327 680, Llama-3.1-405B 516 096 at 2 bytes.
    """
    elements = sum(
        part.elements_per_token * layers
        for part, layers in model_cache_parts(model)
        if part.kind in ("key_value", "latent") and not (growing_only and part.window_tokens is not None)
    )
    return elements * element_bytes


def index_bytes_per_token(model: Model) -> float:
    """Bytes of index keys that one token occupies over all layers of sparse attention."""
    return sum(
        part.elements_per_token * (part.element_bytes or 0.0) * layers
        for part, layers in model_cache_parts(model)
        if part.kind == "index"
    )


def state_bytes_per_sequence(model: Model) -> float:
    """Bytes of recurrent state that one sequence occupies over all layers, convolution inputs not counted.

    Check: Nemotron-3-Nano-30B-A3B 48 234 496 bytes, MiniMax-Text-01 293 601 280 bytes.
    """
    return _constant_bytes(model, "state")


def convolution_bytes_per_sequence(model: Model) -> float:
    """Bytes that the inputs of short convolutions occupy per sequence over all layers."""
    return _constant_bytes(model, "convolution")


def _constant_bytes(model: Model, kind: str) -> float:
    return sum(
        part.elements_per_sequence * (part.element_bytes or 0.0) * layers
        for part, layers in model_cache_parts(model)
        if part.kind == kind
    )
