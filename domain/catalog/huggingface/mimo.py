"""MiMo V2: windows with heads of their own number and width, values narrower than keys."""

from domain.catalog.huggingface.attention import head_count, kv_head_count, window_of
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import ALWAYS_BIASED, ExpertHabits, feed_forwards, sparse_after_first, stacked
from domain.catalog.huggingface.fields import Fields
from domain.catalog.model import SelfAttention


def read_mimo(fields: Fields) -> Draft:
    """Read a MiMo V2."""
    layers = fields.layer_count()
    full, windowed = _attention(fields, ""), _attention(fields, "swa_")
    marks = fields.numbers("hybrid_layer_pattern", layers, most=1)
    if marks is None:
        fields.refuse("hybrid_layer_pattern", f"a list of {layers} out of 0 (full), 1 (windowed)")
    fields.unused_sizes("attention_chunk_size")
    fields.known("layer_types", "attention_projection_layout")
    fields.only_off("attention_bias")
    fields.remark("The checkpoint's MTP modules do not stand in the config; they are not counted.")
    return Draft(
        family="MiMo",
        hidden_size=hidden_size(fields),
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stacked(
            tuple(windowed if mark else full for mark in marks or (0,) * layers),
            feed_forwards(fields, sparse_after_first(fields, layers), ExpertHabits(router_bias=ALWAYS_BIASED)),
        ),
    )


def _attention(fields: Fields, prefix: str) -> SelfAttention:
    heads = head_count(fields, f"{prefix}num_attention_heads")
    fields.demand("a divisor of the query heads", f"{prefix}num_key_value_heads")
    kind = "swa" if prefix else "full"
    return SelfAttention(
        head_count=heads,
        kv_head_count=kv_head_count(fields, heads, f"{prefix}num_key_value_heads"),
        head_dim=fields.size(f"{prefix}head_dim"),
        value_head_dim=fields.size(f"{prefix}v_head_dim"),
        window_tokens=window_of(fields) if prefix else None,
        sinks=fields.flag(f"add_{kind}_attention_sink_bias", default=bool(prefix)),
    )
