"""The first GPTs and their kin: learned positions or ALiBi, biases everywhere, plain feed-forward layers."""

from dataclasses import dataclass
from functools import partial

from domain.catalog.huggingface.attention import head_count
from domain.catalog.huggingface.dense import Reader
from domain.catalog.huggingface.draft import Draft, vocabulary_size
from domain.catalog.huggingface.fields import Fields
from domain.catalog.model import DenseFeedForward, Layer, SelfAttention

FEED_FORWARD_WIDTHS = 4
OPT_FIRST_POSITION = 2
"""OPT leaves the first rows of its position table unused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GptFamily:
    """The habits of a family."""

    name: str
    width: str = "n_embd"
    depth: str = "n_layer"
    """The names that the family itself uses."""
    tied: bool = True
    attention_bias: bool = True
    norm_count: int = 2
    positions: tuple[str, ...] = ()
    """Names of the number of learned positions; none where positions are rotary or ALiBi."""
    first_position: int = 0
    embedding_norm: bool = False
    head_bias: bool = False
    known: tuple[str, ...] = ()
    only_off: tuple[str, ...] = ()


def gpt(family: GptFamily) -> Reader:
    """Return the reader of a family."""
    return partial(read_gpt, family=family)


def read_gpt(fields: Fields, family: GptFamily) -> Draft:
    """Read a GPT of a family."""
    width = fields.size(family.width, "n_embd", "hidden_size")
    layers = fields.layer_count(family.depth, "n_layer", "num_hidden_layers")
    inner = fields.size("n_inner", "ffn_dim", "intermediate_size", default=FEED_FORWARD_WIDTHS * width)
    positions = fields.size(*family.positions) + family.first_position if family.positions else 0
    _same_width(fields, width)
    fields.unused_sizes("n_embed")
    fields.known(*family.known)
    fields.only_off(*family.only_off)
    layer = Layer(
        attention=_attention(fields, family, width),
        feed_forward=DenseFeedForward(intermediate_size=inner, gated=False, bias=True),
        norm_count=family.norm_count,
        norm_bias=True,
    )
    return Draft(
        family=family.name,
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=family.tied,
        layers=(layer,) * layers,
        final_norm_bias=True,
        learned_position_count=positions,
        embedding_norm=family.embedding_norm,
        output_head_bias=family.head_bias,
    )


def _attention(fields: Fields, family: GptFamily, width: int) -> SelfAttention:
    heads = head_count(fields)
    if width % heads:
        fields.refuse("hidden_size" if fields.has("hidden_size") else "n_embd", f"a multiple of the {heads} heads")
    single = fields.flag("multi_query", default=False)
    return SelfAttention(
        head_count=heads,
        kv_head_count=1 if single else heads,
        head_dim=max(width // heads, 1),
        value_head_dim=max(width // heads, 1),
        qkv_bias=family.attention_bias,
        output_bias=family.attention_bias,
    )


def _same_width(fields: Fields, width: int) -> None:
    projected = fields.optional_size("word_embed_proj_dim")
    if projected not in (None, width):
        fields.refuse("word_embed_proj_dim", f"{width}, the width of the model")
    for name in ("do_layer_norm_before", "enable_bias", "layer_norm_elementwise_affine"):
        if not fields.flag(name, default=True):
            fields.refuse(name, "true")


GPT_READERS = {
    "gpt2": gpt(GptFamily(name="GPT-2", positions=("n_positions", "n_ctx"))),
    "gpt_bigcode": gpt(
        GptFamily(
            name="StarCoder",
            positions=("n_positions", "n_ctx"),
            known=("inference_runner", "validate_runner_input", "num_key_value_heads"),
        )
    ),
    "gptj": gpt(
        GptFamily(
            name="GPT-J",
            tied=False,
            attention_bias=False,
            norm_count=1,
            head_bias=True,
            known=("n_positions", "rotary"),
        )
    ),
    "opt": gpt(
        GptFamily(
            name="OPT",
            width="hidden_size",
            depth="num_hidden_layers",
            positions=("max_position_embeddings",),
            first_position=OPT_FIRST_POSITION,
        )
    ),
    "bloom": gpt(
        GptFamily(
            name="BLOOM",
            width="hidden_size",
            embedding_norm=True,
            known=("bias_dropout_fusion", "skip_bias_add", "skip_bias_add_qkv", "num_attention_heads"),
            only_off=("apply_residual_connection_post_layernorm",),
        )
    ),
}
