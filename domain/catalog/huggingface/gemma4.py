"""Gemma 4: windows and full layers with heads of different width, experts beside a dense layer, inputs per layer."""

from dataclasses import replace

from domain.catalog.huggingface.attention import head_count, kv_head_count, window_of, windowed_layers
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import ExpertHabits, experts
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.model import DenseFeedForward, FeedForward, Layer, SelfAttention

FULL_EVERY = 6
FULL_HEAD_DIM = 512
"""Width of a head of full layers where the config does not say, as transformers takes it."""
INPUT_SIZE = 256
INPUT_VOCABULARY = 262_144
"""Inputs per layer where the config does not say, as transformers takes them."""
DENSE_NORMS = 4
EXPERT_NORMS = 7


def read_gemma4(fields: Fields) -> Draft:
    """Read a Gemma 4."""
    layers = fields.layer_count()
    windows = (*windowed_layers(fields, layers, window_of(fields), every=FULL_EVERY)[:-1], None)
    shared = fields.size("num_kv_shared_layers", default=0, least=0, most=MOST_LAYERS)
    windowed, full = _attentions(fields)
    input_size = fields.size("hidden_size_per_layer_input", default=INPUT_SIZE, least=0)
    table = fields.size("vocab_size_per_layer_input", default=INPUT_VOCABULARY)
    thin, wide = _feed_forwards(fields)
    stack = []
    for index, window in enumerate(windows):
        reuses = index >= layers - shared
        attention = replace(full if window is None else windowed, window_tokens=window, reuses_cache=reuses)
        half = wide if reuses else thin
        norms = DENSE_NORMS if isinstance(half, DenseFeedForward) else EXPERT_NORMS
        stack.append(
            Layer(
                attention=attention,
                feed_forward=half,
                norm_count=norms,
                per_layer_input_size=input_size,
                scale_count=1,
            )
        )
    return Draft(
        family="Gemma 4",
        hidden_size=hidden_size(fields),
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=True,
        layers=tuple(stack),
        per_layer_vocabulary_size=table if input_size else 0,
    )


def _attentions(fields: Fields) -> tuple[SelfAttention, SelfAttention]:
    """Read the attention of windowed and of full layers."""
    heads = head_count(fields)
    width = fields.size("head_dim")
    biased = fields.flag("attention_bias", default=False)
    windowed = SelfAttention(
        head_count=heads,
        kv_head_count=kv_head_count(fields, heads),
        head_dim=width,
        value_head_dim=width,
        qkv_bias=biased,
        output_bias=biased,
        query_key_norm="per_head",
    )
    joint = fields.flag("attention_k_eq_v", default=False)
    overrides = _overrides(fields)
    full_width = (overrides or fields).size("head_dim" if overrides else "global_head_dim", default=FULL_HEAD_DIM)
    full_kv = _full_kv_heads(fields, overrides, heads, joint=joint)
    full = replace(
        windowed,
        kv_head_count=full_kv or windowed.kv_head_count,
        head_dim=full_width,
        value_head_dim=full_width,
        key_equals_value=joint,
    )
    return windowed, full


def _full_kv_heads(fields: Fields, overrides: Fields | None, heads: int, *, joint: bool) -> int | None:
    """Full layers have key/value heads of their own number only where key equals value; None is the same number."""
    if overrides is not None and overrides.has("num_key_value_heads"):
        return kv_head_count(overrides, heads)
    stated = fields.optional_size("num_global_key_value_heads")
    return kv_head_count(fields, heads, "num_global_key_value_heads") if stated and joint else None


def _overrides(fields: Fields) -> Fields | None:
    """What full layers have of their own, as newer configs list it layer by layer; it must be the same for all."""
    listed = fields.inside("per_layer_config")
    if listed is None:
        return None
    parts = [part for name in listed.names() if (part := listed.inside(name)) is not None]
    if len({part.told() for part in parts}) != 1:
        fields.refuse("per_layer_config", "the same head_dim and num_key_value_heads for every full layer")
        return None
    return parts[0]


def _feed_forwards(fields: Fields) -> tuple[FeedForward, FeedForward]:
    """Read the feed-forward half of layers with a cache of their own, and of those that reuse one."""
    width = fields.size("intermediate_size")
    double = fields.flag("use_double_wide_mlp", default=False)
    if fields.flag("enable_moe_block", default=False):
        mixture = experts(fields, ExpertHabits(count="num_experts", chosen="top_k_experts"))
        sparse = replace(mixture, residual_intermediate_size=width, router_scales=True)
        return sparse, replace(sparse, residual_intermediate_size=width * (2 if double else 1))
    fields.only_off("num_experts")
    thin = DenseFeedForward(intermediate_size=width, gated=True)
    return thin, replace(thin, intermediate_size=width * (2 if double else 1))
