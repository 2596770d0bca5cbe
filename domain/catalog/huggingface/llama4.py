"""Llama 4: experts in every layer or every other, attention in chunks in three layers of four."""

from dataclasses import replace

from domain.catalog.huggingface.attention import self_attention
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import CHOSEN, COUNT, MOST_EXPERTS, stacked
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.model import DenseFeedForward, FeedForward, MixtureOfExperts

FULL_EVERY = 4
HEAD_DIM = 128
CHUNK_TOKENS = 8_192
"""What transformers takes where a config states no width of a head and no chunk."""


def read_llama4(fields: Fields) -> Draft:
    """Read a Llama 4; its query/key norm has no weights."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    biased = fields.flag("attention_bias", default=False)
    attention = self_attention(fields, width, qkv_bias=biased, output_bias=biased, default_head_dim=HEAD_DIM)
    windows = _chunks(fields, layers)
    fields.flag("use_qk_norm", default=True)
    fields.known("for_llm_compressor", "cache_layers")
    return Draft(
        family="Llama 4",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stacked(
            tuple(replace(attention, window_tokens=window) for window in windows), _feed_forwards(fields, layers)
        ),
    )


def _chunks(fields: Fields, layers: int) -> tuple[int | None, ...]:
    stated = fields.optional_size("attention_chunk_size")
    chunk = stated if fields.states("attention_chunk_size") else CHUNK_TOKENS
    every = fields.size("no_rope_layer_interval", default=FULL_EVERY, most=MOST_LAYERS)
    labels = fields.labels("layer_types", layers, ("chunked_attention", "full_attention"))
    rotated = _rotated(fields, layers)
    if labels is not None:
        return tuple(chunk if label == "chunked_attention" else None for label in labels)
    if rotated is not None:
        return tuple(chunk if is_rotated else None for is_rotated in rotated)
    return tuple(chunk if (index + 1) % every else None for index in range(layers))


def _rotated(fields: Fields, layers: int) -> tuple[int, ...] | None:
    """Layers with rotary positions are those in chunks; an empty list says nothing."""
    return fields.numbers("no_rope_layers", layers, most=1) if fields.raw("no_rope_layers") else None


def _feed_forwards(fields: Fields, layers: int) -> tuple[FeedForward, ...]:
    step = fields.size("interleave_moe_layer_step", default=1, most=MOST_LAYERS)
    chosen = fields.chosen_layers("moe_layers", layers) if fields.raw("moe_layers") else frozenset()
    sparse = chosen or frozenset(range(step - 1, layers, step))
    width = fields.size("intermediate_size")
    mixture = MixtureOfExperts(
        expert_count=fields.size("num_local_experts", *COUNT, most=MOST_EXPERTS),
        experts_per_token=fields.size(*CHOSEN, most=MOST_EXPERTS),
        intermediate_size=width,
        gated=True,
        shared_intermediate_size=width,
    )
    thick = DenseFeedForward(intermediate_size=fields.size("intermediate_size_mlp"), gated=True)
    return tuple(mixture if index in sparse else thick for index in range(layers))
