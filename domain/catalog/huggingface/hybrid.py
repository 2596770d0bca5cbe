"""Hybrids of softmax and linear attention: Qwen3-Next and 3.5, MiniMax-Text-01, Granite 4."""

from dataclasses import replace

from domain.catalog.huggingface.attention import MOST_HEADS, self_attention
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import (
    SHARED_STATED,
    ExpertHabits,
    experts,
    feed_forwards,
    mtp_layer_count,
    shared_width,
    sparse_by_step,
    stacked,
)
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.huggingface.nemotron import STATE_BYTES, mamba2
from domain.catalog.model import Attention, DenseFeedForward, FeedForward, LinearAttention

KINDS = ("linear_attention", "full_attention")
FULL_EVERY = 4
GATED_HEAD_DIM = 256
"""Width of a head of Qwen3-Next where the config does not say, as transformers takes it."""


def full_layers(fields: Fields, layers: int, *, every: int | None = FULL_EVERY) -> tuple[bool, ...]:
    """Tell of each layer whether its attention is softmax."""
    stated = fields.optional_size("full_attention_interval", most=MOST_LAYERS)
    labels = fields.labels("layer_types", layers, KINDS)
    if labels is not None:
        return tuple(label == "full_attention" for label in labels)
    interval = stated or every
    if interval is None:
        fields.refuse("layer_types", f"a list of {layers} out of {', '.join(KINDS)}")
        return (True,) * layers
    return tuple((index + 1) % interval == 0 for index in range(layers))


def read_qwen_hybrid(fields: Fields) -> Draft:
    """Read a Qwen3-Next or Qwen3.5, dense or with experts: three gated DeltaNet layers, then a gated softmax layer."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    full = full_layers(fields, layers)
    biased = fields.flag("attention_bias", default=False)
    gated = fields.flag("attn_output_gate", default=True)
    softmax = self_attention(
        fields,
        width,
        qkv_bias=biased,
        output_bias=biased,
        query_key_norm="per_head",
        default_head_dim=GATED_HEAD_DIM,
    )
    linear = gated_deltanet(fields)
    attentions: tuple[Attention, ...] = tuple(
        replace(softmax, output_gate=gated) if is_full else linear for is_full in full
    )
    has_experts = any(fields.has(name) for name in ("num_experts", "moe_intermediate_size"))
    sparse = sparse_by_step(fields, layers) if has_experts else (False,) * layers
    fields.known("decoder_sparse_step", "mlp_only_layers")
    fields.only_off("mtp_use_dedicated_embeddings", "use_sliding_window", "sliding_window")
    stack = stacked(
        attentions,
        feed_forwards(fields, sparse, ExpertHabits(count="num_experts", shared_gate=True, required=SHARED_STATED)),
    )
    return Draft(
        family="Qwen3.5" if fields.text("model_type").startswith("qwen3_5") else "Qwen3",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stack,
        mtp_layer_count=mtp_layer_count(fields, "mtp_num_hidden_layers", "num_nextn_predict_layers"),
        mtp_layer=replace(stack[-1], attention=replace(softmax, output_gate=gated)),
    )


def gated_deltanet(fields: Fields) -> LinearAttention:
    """Read a gated DeltaNet layer."""
    return LinearAttention(
        kind="gated_deltanet",
        key_head_count=fields.size("linear_num_key_heads", most=MOST_HEADS),
        value_head_count=fields.size("linear_num_value_heads", most=MOST_HEADS),
        key_head_dim=fields.size("linear_key_head_dim"),
        value_head_dim=fields.size("linear_value_head_dim"),
        convolution_width=fields.size("linear_conv_kernel_dim"),
        state_element_bytes=STATE_BYTES[fields.text("mamba_ssm_dtype", STATE_BYTES, "float32")],
    )


def read_lightning(fields: Fields) -> Draft:
    """Read a MiniMax-Text-01 or MiniMax-M1: lightning attention, each eighth layer softmax, experts in every layer."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    softmax = self_attention(fields, width)
    lightning = LinearAttention(
        kind="lightning",
        key_head_count=softmax.head_count,
        value_head_count=softmax.head_count,
        key_head_dim=softmax.head_dim,
        value_head_dim=softmax.head_dim,
        convolution_width=0,
    )
    marks = fields.numbers("attn_type_list", layers, most=1)
    full = tuple(mark == 1 for mark in marks) if marks is not None else full_layers(fields, layers, every=None)
    fields.known(
        "postnorm", "block", "block_size", "shared_moe_mode", "layernorm_full_attention_alpha", "sliding_window"
    )
    fields.known(
        *(name for name in fields.names() if name.endswith(("_alpha", "_beta", "_alpha_factor", "_beta_factor")))
    )
    fields.only_off("shared_intermediate_size", "sliding_window")
    mixture = experts(fields, ExpertHabits(count="num_local_experts", width=("intermediate_size",)))
    return Draft(
        family="MiniMax",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stacked(tuple(softmax if is_full else lightning for is_full in full), (mixture,) * layers),
    )


def read_granite_hybrid(fields: Fields) -> Draft:
    """Read a Granite 4 hybrid: Mamba-2 and softmax layers, experts where there are any, a dense layer beside them."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    biased = fields.flag("attention_bias", default=False)
    softmax = self_attention(fields, width, qkv_bias=biased, output_bias=biased)
    labels = fields.labels("layer_types", layers, ("mamba", "attention", *KINDS))
    if labels is None:
        fields.refuse("layer_types", f"a list of {layers} out of mamba, attention")
    recurrent = [label in {"mamba", "linear_attention"} for label in labels or ("mamba",) * layers]
    mixer = mamba2(fields) if any(recurrent) else None
    mamba_names = (name for name in fields.names() if name.startswith("mamba_"))
    fields.known(*mamba_names, "init_method", "normalization_function", "shared_intermediate_size", "intermediate_size")
    fields.only_off("mamba_proj_bias", "mlp_bias")
    return Draft(
        family="Granite",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stacked(
            tuple(mixer if is_recurrent else softmax for is_recurrent in recurrent),
            (_granite_half(fields),) * layers,
        ),
    )


def _granite_half(fields: Fields) -> FeedForward:
    if fields.optional_size("num_local_experts", least=0):
        return experts(fields, ExpertHabits(width=("intermediate_size",)))
    fields.known("num_experts_per_tok")
    return DenseFeedForward(intermediate_size=max(shared_width(fields, 0), 1), gated=True)
