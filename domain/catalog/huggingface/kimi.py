"""Kimi Linear and Kimi K3: Kimi delta attention in most layers, latent attention in the listed ones."""

from dataclasses import replace

from domain.catalog.huggingface.attention import MOST_HEADS
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import (
    ALWAYS_BIASED,
    SHARED_COUNT,
    ExpertHabits,
    feed_forwards,
    mtp_layer_count,
    sparse_after_first,
    stacked,
)
from domain.catalog.huggingface.fields import Fields
from domain.catalog.huggingface.latent import DERIVED, latent_attention
from domain.catalog.model import FeedForward, LatentAttention, LinearAttention, MixtureOfExperts

PARTS = "full_attn_layers, kda_layers, num_heads, head_dim, short_conv_kernel_size"
PLAIN_VECTORS = 2
"""Vectors of the model's width in a layer: its two norms."""
RESIDUAL_VECTORS = 4
"""And where earlier blocks are attended to: a norm and a weight vector before each half of the layer."""


def read_kimi_linear(fields: Fields) -> Draft:
    """Read a Kimi Linear or the language model of a Kimi K3."""
    layers = fields.layer_count()
    latent = _latent(fields)
    linear, full = _linear(fields, layers)
    residual = fields.optional_size("attn_res_block_size") is not None
    fields.unused_sizes(*DERIVED)
    fields.known("mla_use_nope", "layer_types")
    return Draft(
        family="Kimi",
        hidden_size=hidden_size(fields),
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stacked(
            tuple(latent if index + 1 in full else linear for index in range(layers)),
            _feed_forwards(fields, layers),
            norm_count=PLAIN_VECTORS + (RESIDUAL_VECTORS if residual else 0),
        ),
        final_norm_count=1 + (2 if residual else 0),
        mtp_layer_count=mtp_layer_count(fields),
    )


def _latent(fields: Fields) -> LatentAttention:
    fields.only_off("attention_bias")
    gated = fields.flag("mla_use_output_gate", default=False)
    return replace(latent_attention(fields), output_gate=gated)


def _linear(fields: Fields, layers: int) -> tuple[LinearAttention, frozenset[int]]:
    """Read the delta attention, and which layers, counted from 1, are latent instead."""
    part = fields.inside("linear_attn_config")
    if part is None and fields.has("linear_num_heads"):
        return _flat_linear(fields), _full_by_label(fields, layers)
    if part is None:
        fields.refuse("linear_attn_config", f"an object with {PARTS}")
        part = Fields({}, "linear_attn_config.", fields)
    full = _listed_layers(part, "full_attn_layers", layers)
    delta = _listed_layers(part, "kda_layers", layers)
    if full & delta or len(full) + len(delta) != layers:
        part.refuse("full_attn_layers", f"together with kda_layers, each of the {layers} layers once")
    heads = part.size("num_heads", most=MOST_HEADS)
    width = part.size("head_dim")
    linear = LinearAttention(
        kind="kda",
        key_head_count=heads,
        value_head_count=heads,
        key_head_dim=width,
        value_head_dim=width,
        convolution_width=part.size("short_conv_kernel_size"),
        full_rank_gate=part.flag("use_full_rank_gate", default=False),
    )
    part.known("gate_lower_bound")
    part.close()
    return linear, full


def _flat_linear(fields: Fields) -> LinearAttention:
    """Read the delta attention as newer configs state it."""
    heads = fields.size("linear_num_heads", most=MOST_HEADS)
    width = fields.size("linear_head_dim")
    return LinearAttention(
        kind="kda",
        key_head_count=heads,
        value_head_count=heads,
        key_head_dim=width,
        value_head_dim=width,
        convolution_width=fields.size("linear_conv_kernel_dim"),
    )


def _full_by_label(fields: Fields, layers: int) -> frozenset[int]:
    labels = fields.labels("layer_types", layers, ("linear_attention", "full_attention"))
    if labels is None:
        fields.refuse("layer_types", f"a list of {layers} out of linear_attention, full_attention")
    return frozenset(index + 1 for index, label in enumerate(labels or ()) if label == "full_attention")


def _listed_layers(part: Fields, name: str, layers: int) -> frozenset[int]:
    listed = part.chosen_layers(name, layers + 1)
    if not part.has(name) or 0 in listed:
        part.refuse(name, f"a list of layer numbers from 1 to {layers}")
    return listed


def _feed_forwards(fields: Fields, layers: int) -> tuple[FeedForward, ...]:
    """Read dense layers and experts; experts may work in a width of their own."""
    latent = fields.optional_size("routed_expert_hidden_size")
    normed = fields.flag("latent_moe_use_norm", default=False)
    habits = ExpertHabits(
        count="num_experts",
        chosen="num_experts_per_token",
        router_bias=ALWAYS_BIASED,
        required=(("num_shared_experts", *SHARED_COUNT),),
    )
    halves = feed_forwards(fields, sparse_after_first(fields, layers), habits)
    return tuple(
        replace(half, latent_size=latent, latent_norm=normed) if latent and isinstance(half, MixtureOfExperts) else half
        for half in halves
    )
