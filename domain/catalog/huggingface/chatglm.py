"""ChatGLM and the first GLM-4: the same layers as Llama under names of their own."""

from domain.catalog.huggingface.attention import MOST_HEADS, head_count
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.fields import Fields
from domain.catalog.model import DenseFeedForward, Layer, SelfAttention


def read_chatglm(fields: Fields) -> Draft:
    """Read a ChatGLM2, ChatGLM3 or GLM-4-9B."""
    width = hidden_size(fields)
    layers = fields.layer_count("num_layers", "num_hidden_layers")
    biased = fields.flag("add_bias_linear", default=False)
    feed_forward = DenseFeedForward(intermediate_size=fields.size("ffn_hidden_size"), gated=True, bias=biased)
    attention = _attention(fields, width, biased=biased)
    for name in ("rmsnorm", "post_layer_norm", "multi_query_attention"):
        if not fields.flag(name, default=True):
            fields.refuse(name, "true")
    fields.only_off("apply_residual_connection_post_layernorm", "pre_seq_len", "prefix_projection")
    fields.known("num_key_value_heads", "interleaved_qkv")
    return Draft(
        family="GLM",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=(Layer(attention=attention, feed_forward=feed_forward, norm_count=2),) * layers,
    )


def _attention(fields: Fields, width: int, *, biased: bool) -> SelfAttention:
    heads = head_count(fields)
    head_width = fields.size("kv_channels", default=max(width // heads, 1))
    return SelfAttention(
        head_count=heads,
        kv_head_count=fields.size("multi_query_group_num", most=MOST_HEADS),
        head_dim=head_width,
        value_head_dim=head_width,
        qkv_bias=fields.flag("add_qkv_bias", default=biased) or biased,
        output_bias=biased,
    )
