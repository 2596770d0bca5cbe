"""Falcon: one or a few key/value heads, attention and feed-forward layer side by side."""

from domain.catalog.huggingface.attention import MOST_HEADS, head_count
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.fields import Fields
from domain.catalog.model import DenseFeedForward, Layer, SelfAttention

FEED_FORWARD_WIDTHS = 4


def read_falcon(fields: Fields) -> Draft:
    """Read a Falcon of any generation (7B, 40B, 180B, 11B)."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    heads = head_count(fields)
    if width % heads:
        fields.refuse("hidden_size", f"a multiple of the {heads} heads")
    biased = fields.flag("bias", default=False)
    newer = fields.flag("new_decoder_architecture", default=False)
    attention = SelfAttention(
        head_count=heads,
        kv_head_count=_kv_heads(fields, heads, newer=newer),
        head_dim=max(width // heads, 1),
        value_head_dim=max(width // heads, 1),
        qkv_bias=biased,
        output_bias=biased,
    )
    feed_forward = DenseFeedForward(
        intermediate_size=fields.size("ffn_hidden_size", default=FEED_FORWARD_WIDTHS * width), gated=False, bias=biased
    )
    layer = Layer(
        attention=attention, feed_forward=feed_forward, norm_count=_norms(fields, newer=newer), norm_bias=True
    )
    return Draft(
        family="Falcon",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=True,
        layers=(layer,) * layers,
        final_norm_bias=True,
    )


def _kv_heads(fields: Fields, heads: int, *, newer: bool) -> int:
    """One head for all (multi_query), as many as stated (new decoder), or one each."""
    stated = fields.optional_size("num_kv_heads", "n_head_kv", most=MOST_HEADS)
    single = fields.flag("multi_query", default=True)
    if newer:
        return stated or heads
    return 1 if single else heads


def _norms(fields: Fields, *, newer: bool) -> int:
    parallel = fields.flag("parallel_attn", default=True)
    stated = fields.optional_size("num_ln_in_parallel_attn")
    if newer:
        return stated or 2
    return 1 if parallel else 2
