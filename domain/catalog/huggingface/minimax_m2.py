"""MiniMax M2: experts in every layer under softmax attention whose queries and keys are normed over all heads."""

from domain.catalog.huggingface.attention import self_attention
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import ExpertHabits, experts, stacked
from domain.catalog.huggingface.fields import Fields

HEAD_DIM = 128
"""Width of a head where the config does not say, as transformers takes it."""


def read_minimax_m2(fields: Fields) -> Draft:
    """Read a MiniMax M2; its config names MTP modules that its checkpoints do not hold."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    norm = fields.text("qk_norm_type", ("per_layer", "per_head"), "per_layer")
    normed = fields.flag("use_qk_norm", default=True)
    attention = self_attention(fields, width, query_key_norm=norm if normed else "none", default_head_dim=HEAD_DIM)
    biased = fields.flag("use_routing_bias", default=True)
    mixture = experts(
        fields, ExpertHabits(count="num_local_experts", width=("intermediate_size",), router_bias=lambda _: biased)
    )
    _full_attention_alone(fields, layers)
    fields.known(
        "use_mtp", "mtp_transformer_layers", "layernorm_full_attention_beta", "layernorm_linear_attention_beta"
    )
    fields.known("layernorm_mlp_beta", "layernorm_full_attention_alpha", "layernorm_linear_attention_alpha")
    fields.known("layernorm_mlp_alpha")
    if modules := fields.optional_size("num_mtp_modules", least=0):
        fields.remark(f"The config names {modules} MTP modules; published checkpoints hold none, so none is counted.")
    return Draft(
        family="MiniMax",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stacked((attention,) * layers, (mixture,) * layers),
    )


def _full_attention_alone(fields: Fields, layers: int) -> None:
    marks = fields.numbers("attn_type_list", layers, most=1)
    if marks is not None and not all(marks):
        fields.refuse("attn_type_list", "1 for every layer (softmax attention)")
