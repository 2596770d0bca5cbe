"""Weights of one attention layer, by kind of attention."""

from typing import assert_never

from domain.catalog.model import (
    Attention,
    CompressedAttention,
    LatentAttention,
    LinearAttention,
    SelfAttention,
    SparseIndexer,
)
from domain.engine.model_part import WeightPart, matrix, present, vector


def attention_weight_parts(attention: Attention, hidden_size: int) -> tuple[WeightPart, ...]:
    """Parameters of the attention of one layer, by how they divide; its layer norms apart."""
    match attention:
        case SelfAttention():
            return self_attention_parts(attention, hidden_size)
        case LatentAttention():
            return latent_attention_parts(attention, hidden_size)
        case CompressedAttention():
            return compressed_attention_parts(attention, hidden_size)
        case LinearAttention():
            return linear_attention_parts(attention, hidden_size)
        case _:
            assert_never(attention)


def self_attention_parts(attention: SelfAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of softmax attention with grouped key/value heads.

    .. math::

        d \, (n_h d_h g + n_{kv} d_h + n_{kv} d_v + n_h d_v) + \text{biases} + \text{query/key norms} +
            \text{sinks}

    d ``hidden_size``, n_h ``head_count``, n_kv ``kv_head_count``, d_h ``head_dim``, d_v ``value_head_dim``
    [elements], g is 2 where the query projection also makes the output gate. Where key equals value there is
    no value projection.

    Source: arXiv:2305.13245 (GQA), sec. 2.2.
    Check: Qwen2.5-7B, 7 615 616 512 in all (its checkpoint's own count).
    """
    query_width = attention.head_count * attention.head_dim
    key_width = 0 if attention.reuses_cache else attention.kv_head_count * attention.head_dim
    value_width = _value_width(attention)
    projected_width = query_width * (2 if attention.output_gate else 1)
    bias, output_bias = int(attention.qkv_bias), int(attention.output_bias)
    return present(
        (
            matrix("attention", "query_heads", hidden_size * projected_width),
            matrix("attention", "kv_heads", hidden_size * (key_width + value_width)),
            matrix("attention", "query_heads", attention.head_count * attention.value_head_dim * hidden_size),
            vector(
                "attention",
                "query_heads",
                bias * projected_width + int(attention.sinks) * attention.head_count,
            ),
            vector("attention", "kv_heads", bias * (key_width + value_width)),
            vector("attention", "none", output_bias * hidden_size),
            *_query_key_norms(attention),
            *_block_indexer_parts(attention.indexer, hidden_size),
        )
    )


def _block_indexer_parts(indexer: SparseIndexer | None, hidden_size: int) -> tuple[WeightPart, ...]:
    """Query heads and one key of the index, each with a norm."""
    if indexer is None:
        return ()
    return (
        matrix("attention", "none", hidden_size * (indexer.head_count + 1) * indexer.head_dim),
        vector("norms", "none", 2 * indexer.head_dim),
    )


def _value_width(attention: SelfAttention) -> int:
    projected = not (attention.key_equals_value or attention.reuses_cache)
    return attention.kv_head_count * attention.value_head_dim if projected else 0


def _query_key_norms(attention: SelfAttention) -> tuple[WeightPart, ...]:
    normed = 1 if attention.reuses_cache else 2
    match attention.query_key_norm:
        case "per_head":
            return (vector("norms", "none", normed * attention.head_dim),)
        case "per_layer":
            return (
                vector("norms", "query_heads", attention.head_count * attention.head_dim),
                vector("norms", "kv_heads", attention.kv_head_count * attention.head_dim),
            )
        case "none":
            return ()
        case unknown:
            raise ValueError(f"query_key_norm is one of none, per_head, per_layer; {unknown!r} given")


def latent_attention_parts(attention: LatentAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of multi-head latent attention: two compressions with a norm each, and what expands them.

    .. math::

        d (r_q + r_{kv} + d_{rope}) + r_q n_h (d_{nope} + d_{rope}) + r_{kv} n_h (d_{nope} + d_v) + n_h d_v d
        + r_q + r_{kv}

    d ``hidden_size``, r_q ``query_lora_rank`` (where None: one projection d n_h (d_nope + d_rope)), r_kv
    ``kv_lora_rank``, n_h ``head_count`` [elements]. The compressions are the same for every head, so that
    each tensor rank holds them whole. An output gate (Kimi K3) takes another n_h d_v d.

    Source: arXiv:2405.04434, sec. 2.1 and appendix C.
    Check: DeepSeek-V3, 671.03e9 in all (arXiv:2412.19437, sec. 4.2).
    """
    query_width = attention.head_count * (attention.nope_head_dim + attention.rope_head_dim)
    expanded_width = attention.head_count * (attention.nope_head_dim + attention.value_head_dim)
    latent_width = attention.kv_lora_rank + attention.rope_head_dim
    query_rank = attention.query_lora_rank
    values = attention.head_count * attention.value_head_dim
    return present(
        (
            matrix("attention", "none", hidden_size * ((query_rank or 0) + latent_width)),
            matrix("attention", "query_heads", (query_rank or hidden_size) * query_width),
            matrix("attention", "query_heads", attention.kv_lora_rank * expanded_width),
            matrix("attention", "query_heads", (2 if attention.output_gate else 1) * values * hidden_size),
            vector("norms", "none", (query_rank or 0) + attention.kv_lora_rank),
            *_indexer_parts(attention.indexer, hidden_size, query_rank or hidden_size),
        )
    )


def _indexer_parts(indexer: SparseIndexer | None, hidden_size: int, query_rank: int) -> tuple[WeightPart, ...]:
    """Query, key and head weights of the index, and the norm of its key, which has a bias."""
    if indexer is None:
        return ()
    query = query_rank * indexer.head_count * indexer.head_dim
    key_and_weights = hidden_size * (indexer.head_dim + indexer.head_count)
    return (
        matrix("attention", "none", query + key_and_weights),
        vector("norms", "none", 2 * indexer.head_dim),
    )


def compressed_attention_parts(attention: CompressedAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of DeepSeek V4's attention: one shared key/value head, and an output projection in groups.

    .. math::

        d \, r_q + r_q n_h d_h + d \, d_h + n_h d_h r_o + d \, g \, r_o + n_h + r_q + d_h + \text{compressor}

    d ``hidden_size``, r_q ``query_lora_rank``, n_h ``head_count``, d_h ``head_dim``, r_o ``output_lora_rank`` of
    each of g ``output_group_count`` groups, which read n_h d_h / g each [elements].

    Source: DeepSeek-V4 technical report, sec. 2.3.
    Check: DeepSeek-V4-Flash, 284e9 in all, 13e9 active, as named.
    """
    query_width = attention.head_count * attention.head_dim
    output_width = attention.output_group_count * attention.output_lora_rank
    ranks = attention.query_lora_rank + attention.head_dim
    return (
        matrix("attention", "none", hidden_size * ranks),
        matrix("attention", "query_heads", attention.query_lora_rank * query_width),
        matrix("attention", "query_heads", query_width * attention.output_lora_rank),
        matrix("attention", "query_heads", output_width * hidden_size),
        vector("attention", "query_heads", attention.head_count),
        vector("norms", "none", ranks),
        *_compressor_parts(attention, hidden_size),
    )


def _compressor_parts(attention: CompressedAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    """What makes one entry out of ``compression`` tokens; layers with an index do it in overlapping pairs."""
    if not attention.compression:
        return ()
    indexer = attention.indexer
    if indexer is None:
        return _pooling_parts(attention.head_dim, 1, attention.compression, hidden_size)
    query = attention.query_lora_rank * indexer.head_count * indexer.head_dim
    return (
        *_pooling_parts(attention.head_dim, 2, attention.compression, hidden_size),
        *_pooling_parts(indexer.head_dim, 2, attention.compression, hidden_size),
        matrix("attention", "none", query + hidden_size * indexer.head_count),
    )


def _pooling_parts(head_dim: int, copies: int, compression: int, hidden_size: int) -> tuple[WeightPart, ...]:
    width = copies * head_dim
    return (
        matrix("attention", "none", 2 * hidden_size * width),
        vector("attention", "none", compression * width),
        vector("norms", "none", head_dim),
    )


def linear_attention_parts(attention: LinearAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    """Parameters of one recurrent layer, by its kind."""
    match attention.kind:
        case "gated_deltanet":
            return gated_deltanet_parts(attention, hidden_size)
        case "mamba2":
            return mamba2_parts(attention, hidden_size)
        case "lightning":
            return lightning_parts(attention, hidden_size)
        case "kda":
            return kimi_delta_parts(attention, hidden_size)
        case unknown:
            raise ValueError(f"linear attention is one of gated_deltanet, mamba2, lightning, kda; {unknown!r} given")


def gated_deltanet_parts(attention: LinearAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of a gated DeltaNet layer.

    .. math:: d (2 K + 2 V + 2 n_v) + V d + w (2 K + V) + 2 n_v + d_v, \quad K = n_k d_k, \; V = n_v d_v

    d ``hidden_size``, n_k and n_v key and value heads, w ``convolution_width``: query, key, value and gate,
    two rates per head (with one decay and one offset vector), the output, the short convolution, the norm
    over a head.

    Source: arXiv:2412.06464, sec. 3.4; Qwen3-Next.   Check: Qwen3-Next-80B-A3B, 79 674 391 296 in all.
    """
    key_width = attention.key_head_count * attention.key_head_dim
    value_width = attention.value_head_count * attention.value_head_dim
    inputs = 2 * key_width + 2 * value_width + 2 * attention.value_head_count
    return (
        matrix("attention", "linear_heads", hidden_size * (inputs + value_width)),
        vector("attention", "linear_heads", attention.convolution_width * (2 * key_width + value_width)),
        vector("attention", "linear_heads", 2 * attention.value_head_count),
        vector("norms", "none", attention.value_head_dim),
    )


def mamba2_parts(attention: LinearAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of a Mamba-2 mixer.

    .. math:: d (2 I + 2 g s + n_h) + I d + (w + 1)(I + 2 g s) + 3 n_h + I, \quad I = n_h d_h

    d ``hidden_size``, n_h ``value_head_count``, d_h ``value_head_dim``, g ``group_count``, s ``key_head_dim``
    (the state size), w ``convolution_width``: gate, input, B, C and step size; the convolution with its bias;
    decay, skip and step offset per head; the gated norm.

    Source: arXiv:2405.21060, sec. 7 and 8.   Check: Nemotron-3-Nano-30B-A3B, 31 577 940 288 in all.
    """
    inner_width = attention.value_head_count * attention.value_head_dim
    group_width = 2 * attention.group_count * attention.key_head_dim
    inputs = 2 * inner_width + group_width + attention.value_head_count
    return (
        matrix("attention", "linear_heads", hidden_size * (inputs + inner_width)),
        vector("attention", "linear_heads", (attention.convolution_width + 1) * (inner_width + group_width)),
        vector("attention", "linear_heads", 3 * attention.value_head_count),
        vector("norms", "linear_heads", inner_width),
    )


def lightning_parts(attention: LinearAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of a lightning attention layer: query, key, value, output gate, output, norm over all heads.

    .. math:: 5 \, d \, n_h d_h + n_h d_h

    Source: arXiv:2501.08313, sec. 2.2.   Check: MiniMax-Text-01, 456 089 655 296 in all.
    """
    width = attention.value_head_count * attention.value_head_dim
    return (
        matrix("attention", "linear_heads", 5 * hidden_size * width),
        vector("norms", "linear_heads", width),
    )


def kimi_delta_parts(attention: LinearAttention, hidden_size: int) -> tuple[WeightPart, ...]:
    r"""Parameters of a Kimi delta attention layer.

    .. math:: d (2 K + V) + V d + 2 (d \, d_v) + d_v (K + V) + d \, n_h + w (2 K + V) + K + n_h + d_v

    Query, key, value, output; a decay per channel and an output gate, each through a rank of one head's
    width; one rate per head; three short convolutions; decay offset, decay per head, the norm over a head.
    A gate of full rank (Kimi K3) takes d V instead of d d_v + d_v V.

    Source: arXiv:2510.26692, sec. 3 and 4.
    Check: Kimi-Linear-48B-A3B, 48e9 in all and 3e9 active, as named.
    """
    key_width = attention.key_head_count * attention.key_head_dim
    value_width = attention.value_head_count * attention.value_head_dim
    heads = attention.value_head_count
    rank = attention.value_head_dim
    decay = hidden_size * rank, rank * key_width
    gate = (0, hidden_size * value_width) if attention.full_rank_gate else (hidden_size * rank, rank * value_width)
    return (
        matrix("attention", "linear_heads", hidden_size * (2 * key_width + 2 * value_width + heads)),
        matrix("attention", "none", decay[0] + gate[0]),
        matrix("attention", "linear_heads", decay[1] + gate[1]),
        vector("attention", "linear_heads", attention.convolution_width * (2 * key_width + value_width)),
        vector("attention", "linear_heads", key_width + heads),
        vector("norms", "none", attention.value_head_dim),
    )
