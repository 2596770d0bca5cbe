"""DeepSeek V4: compressed sparse attention, hashed routers and hyper-connections."""

from dataclasses import replace

from domain.catalog.huggingface.attention import head_count
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import SHARED_COUNTED, ExpertHabits, experts, mtp_layer_count
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.huggingface.latent import indexer
from domain.catalog.model import CompressedAttention, Layer, MixtureOfExperts

INDEXED_COMPRESSION = 4
"""Layers that compress by this much pick entries by an index; those that compress more read all of them."""
HASHED_LAYERS = 3
"""Layers that route by token id where the config does not say, as transformers takes it."""
MOST_COMPRESSION = 1 << 12
EXPERT_FORMATS = {"fp4": "mxfp4", "fp8": "fp8", "bf16": "bf16", "bfloat16": "bf16"}
RATES = {
    "sliding_attention": 0,
    "compressed_sparse_attention": INDEXED_COMPRESSION,
    "heavily_compressed_attention": 128,
}


def read_compressed(fields: Fields) -> Draft:
    """Read a DeepSeek V4."""
    layers = fields.layer_count()
    modules = mtp_layer_count(fields)
    hashed = _hashed_layers(fields, layers)
    rates = compressions(fields, layers, modules)
    attention = _attention(fields)
    mixture = experts(fields, ExpertHabits(required=SHARED_COUNTED))
    streams = fields.size("hc_mult", most=MOST_LAYERS)
    stored = fields.text("expert_dtype", EXPERT_FORMATS, "fp4")
    fields.unused_sizes("num_key_value_heads", "rope_head_dim")
    fields.only_off("attention_bias", "mlp_bias", "first_k_dense_replace")
    if hashed:
        fields.remark(
            f"The first {hashed} layers route by a table of token ids, which is no parameter and is not counted."
        )
    stack = [_layer(attention, rate, mixture, streams, hashed=index < hashed) for index, rate in enumerate(rates)]
    return Draft(
        family="DeepSeek",
        hidden_size=hidden_size(fields),
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=tuple(stack[:layers]),
        mtp_layer_count=modules,
        mtp_layer=stack[-1] if modules else None,
        experts_stored=EXPERT_FORMATS[stored],
        confidence="med",
    )


def _hashed_layers(fields: Fields, layers: int) -> int:
    """Read how many of the first layers route by token id."""
    labels = fields.labels("mlp_layer_types", layers, ("hash_moe", "moe"))
    stated = fields.optional_size("num_hash_layers", least=0, most=MOST_LAYERS)
    if stated is None and labels is None:
        return min(HASHED_LAYERS, layers)
    return stated if stated is not None else (labels or ()).count("hash_moe")


def compressions(fields: Fields, layers: int, modules: int) -> tuple[int, ...]:
    """Tokens per cached entry of each layer, MTP modules behind them; 0 where there is the window alone."""
    total = layers + modules
    fields.known("compress_rates")
    labels = fields.labels("layer_types", layers, RATES) if not fields.has("compress_ratios") else None
    if labels is not None:
        return (*(RATES[label] for label in labels), *(0,) * modules)
    stated = fields.raw("compress_ratios")
    length = layers if isinstance(stated, (list, tuple)) and len(stated) == layers else total
    ratios = fields.numbers("compress_ratios", length, most=MOST_COMPRESSION)
    if ratios is None:
        fields.refuse("compress_ratios", f"a list of {total} whole numbers from 0 to {MOST_COMPRESSION}")
        return (0,) * total
    return (*ratios, *(0,) * (total - length))


def _attention(fields: Fields) -> CompressedAttention:
    heads = head_count(fields)
    groups = fields.size("o_groups")
    if heads % groups:
        fields.refuse("o_groups", f"a divisor of the {heads} heads")
    return CompressedAttention(
        head_count=heads,
        head_dim=fields.size("head_dim"),
        rope_head_dim=fields.size("qk_rope_head_dim"),
        query_lora_rank=fields.size("q_lora_rank"),
        output_lora_rank=fields.size("o_lora_rank"),
        output_group_count=groups,
        window_tokens=fields.size("sliding_window"),
        compression=0,
        indexer=indexer(fields),
    )


def _layer(
    attention: CompressedAttention, rate: int, mixture: MixtureOfExperts, streams: int, *, hashed: bool
) -> Layer:
    chosen = attention.indexer if rate == INDEXED_COMPRESSION else None
    return Layer(
        attention=replace(attention, compression=rate, indexer=chosen),
        feed_forward=replace(mixture, router_bias=not hashed),
        norm_count=2,
        hyper_connection_count=streams,
    )
