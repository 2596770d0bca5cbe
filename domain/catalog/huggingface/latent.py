"""Multi-head latent attention: DeepSeek V2 and V3, Kimi, GLM 5, and what follows them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from domain.catalog.huggingface.attention import MOST_HEADS, head_count
from domain.catalog.huggingface.dense import Reader
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import (
    ALWAYS_BIASED,
    SHARED_COUNTED,
    ExpertHabits,
    Truth,
    feed_forwards,
    mtp_layer_count,
    noaux_bias,
    sparse_after_first,
    stacked,
)
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.model import DenseFeedForward, FeedForward, LatentAttention, SparseIndexer

DERIVED = ("head_dim", "qk_head_dim", "num_key_value_heads")
"""Latent attention has no use for them: widths of heads are stated one by one."""


SKIP_OFFSET = 2
"""Where layers share an index in turn: how many of the first ones keep their own, if the config does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentFamily:
    """The habits of a family with latent attention."""

    name: str
    router_bias: Truth = ALWAYS_BIASED
    has_experts: bool = True
    has_indexer: bool = False
    tied: bool = False


def latent(family: LatentFamily) -> Reader:
    """Return the reader of a family."""
    return partial(read_latent, family=family)


def read_latent(fields: Fields, family: LatentFamily) -> Draft:
    """Read a model with latent attention."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    attention = latent_attention(fields, has_indexer=family.has_indexer)
    fields.unused_sizes(*DERIVED)
    fields.only_off("attention_bias", "mlp_bias")
    return Draft(
        family=family.name,
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=family.tied,
        layers=stacked(_indexed(fields, attention, layers), _halves(fields, family, layers)),
        mtp_layer_count=mtp_layer_count(fields),
    )


def _indexed(fields: Fields, attention: LatentAttention, layers: int) -> tuple[LatentAttention, ...]:
    """Leave the index out of layers that take over the choice of an earlier one."""
    fields.known("layer_types", "index_share_for_mtp_iteration")
    if attention.indexer is None:
        return (attention,) * layers
    shared = replace(attention, indexer=None)
    return tuple(attention if chooses else shared for chooses in _choosing_layers(fields, layers))


def _choosing_layers(fields: Fields, layers: int) -> tuple[bool, ...]:
    """Tell of each layer whether it has an index: from a list, a pattern of F and S, or each n-th behind the first."""
    labels = fields.labels("indexer_types", layers, ("full", "shared"))
    pattern = fields.text("index_topk_pattern")
    every = fields.size("index_topk_freq", default=1, most=MOST_LAYERS)
    skipped = fields.size("index_skip_topk_offset", default=SKIP_OFFSET, least=0, most=MOST_LAYERS)
    if labels is not None:
        return tuple(label == "full" for label in labels)
    if not pattern:
        return tuple(max(index - skipped + 1, 0) % every == 0 for index in range(layers))
    if len(pattern) != layers or set(pattern) - {"F", "S"}:
        fields.refuse("index_topk_pattern", f"{layers} letters out of F (own index), S (shared)")
    return tuple(letter == "F" for letter in pattern[:layers].ljust(layers, "F"))


def _halves(fields: Fields, family: LatentFamily, layers: int) -> tuple[FeedForward, ...]:
    stated = any(fields.has(name) for name in ("n_routed_experts", "num_experts"))
    if not family.has_experts or (not stated and not fields.has("moe_intermediate_size")):
        return (DenseFeedForward(intermediate_size=fields.size("intermediate_size"), gated=True),) * layers
    habits = ExpertHabits(router_bias=family.router_bias, required=SHARED_COUNTED)
    return feed_forwards(fields, sparse_after_first(fields, layers), habits)


def latent_attention(fields: Fields, *, has_indexer: bool = False) -> LatentAttention:
    """Read the ranks and the widths of the heads."""
    fields.demand("a whole number, or null where queries are not compressed", "q_lora_rank")
    return LatentAttention(
        head_count=head_count(fields),
        query_lora_rank=fields.optional_size("q_lora_rank"),
        kv_lora_rank=fields.size("kv_lora_rank"),
        nope_head_dim=fields.size("qk_nope_head_dim"),
        rope_head_dim=fields.size("qk_rope_head_dim"),
        value_head_dim=fields.size("v_head_dim"),
        indexer=indexer(fields) if has_indexer else None,
    )


def indexer(fields: Fields) -> SparseIndexer:
    """Read the index of sparse attention."""
    return SparseIndexer(
        head_count=fields.size("index_n_heads", most=MOST_HEADS),
        head_dim=fields.size("index_head_dim"),
        selected_token_count=fields.size("index_topk"),
    )


DEEPSEEK_V3 = LatentFamily(name="DeepSeek", router_bias=partial(noaux_bias, default=True))
KIMI = LatentFamily(name="Kimi", router_bias=partial(noaux_bias, default=True))

LATENT_READERS: Mapping[str, Reader] = {
    "deepseek_v2": latent(LatentFamily(name="DeepSeek", router_bias=partial(noaux_bias, default=False))),
    "deepseek_v3": latent(DEEPSEEK_V3),
    "deepseek_v32": latent(
        LatentFamily(name="DeepSeek", router_bias=partial(noaux_bias, default=True), has_indexer=True)
    ),
    "kimi_k2": latent(KIMI),
    "glm_moe_dsa": latent(LatentFamily(name="GLM", has_indexer=True)),
    "glm4_moe_lite": latent(LatentFamily(name="GLM")),
    "mistral4": latent(LatentFamily(name="Mistral", router_bias=partial(noaux_bias, default=False))),
    "minicpm3": latent(LatentFamily(name="MiniCPM", has_experts=False, tied=True)),
}
