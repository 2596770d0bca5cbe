"""NVIDIA: Nemotron-H with its pattern of layers, and the pruned models of its architecture search."""

from collections.abc import Mapping
from dataclasses import replace

from domain.catalog.huggingface.attention import MOST_HEADS, head_count, head_dim, self_attention
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.experts import ExpertHabits, experts, mtp_layer_count
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.model import DenseFeedForward, Layer, LinearAttention, MixtureOfExperts, SelfAttention

MTP_PATTERN = "*E"
UNUSED = (
    *("expand", "mamba_expand", "mamba_d_ssm", "intermediate_size", "n_routed_experts", "n_shared_experts"),
    *("moe_intermediate_size", "moe_shared_expert_intermediate_size", "num_experts_per_tok", "moe_latent_size"),
)
"""Sizes of parts that not every Nemotron-H has."""
SYMBOLS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
LABELS = {"linear_attention": "mamba", "full_attention": "attention", **{name: name for name in SYMBOLS.values()}}
STATE_BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
HEAD_DIM = 128
"""Width of a head of Nemotron-H where the config does not say, as transformers takes it."""
ROUNDED_TO = 256
"""The pruned models round their feed-forward widths up to a multiple of it."""


def read_nemotron_h(fields: Fields) -> Draft:
    """Read a Nemotron-H or Nemotron 3: each layer is a Mamba mixer, an attention or a feed-forward layer, alone."""
    kinds = _kinds(fields)
    parts = {kind: _part(fields, kind) for kind in dict.fromkeys(kinds)}
    modules = mtp_layer_count(fields)
    fields.unused_sizes(*UNUSED)
    fields.known("mtp_hybrid_override_pattern", "mtp_layers_block_type", "moe_shared_expert_overlap")
    fields.known("keep_mtp_spec_in_bf16")
    fields.only_off("sliding_window", "use_bias", "mamba_proj_bias")
    return Draft(
        family="Nemotron",
        hidden_size=hidden_size(fields),
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=tuple(parts[kind] for kind in kinds),
        mtp_layer_count=modules,
        mtp_layer=_mtp_layer(fields, parts) if modules else None,
    )


def _mtp_layer(fields: Fields, parts: Mapping[str, Layer]) -> Layer:
    """Put an attention and a feed-forward layer together: the two of which each MTP module is made."""
    pattern = fields.text("mtp_hybrid_override_pattern", default=MTP_PATTERN)
    labels = fields.labels("mtp_layers_block_type", 2, LABELS)
    kinds = tuple(LABELS[label] for label in labels) if labels else tuple(SYMBOLS.get(symbol, "") for symbol in pattern)
    if len(kinds) != len(MTP_PATTERN) or kinds[0] != "attention" or kinds[1] not in {"moe", "mlp"}:
        fields.refuse("mtp_hybrid_override_pattern", "* followed by E or -")
        return parts[next(iter(parts))]
    attention = parts.get("attention") or _part(fields, "attention")
    feed_forward = parts.get(kinds[1]) or _part(fields, kinds[1])
    return replace(attention, feed_forward=feed_forward.feed_forward, norm_count=2)


def _kinds(fields: Fields) -> tuple[str, ...]:
    """What each layer is, from the pattern or from the list of labels."""
    pattern = fields.text("hybrid_override_pattern")
    stated = fields.raw("layers_block_type") or fields.raw("layer_types")
    count = fields.layer_count() if fields.has("num_hidden_layers") else len(pattern) or len(_listed(stated))
    name = "layers_block_type" if fields.has("layers_block_type") else "layer_types"
    if not pattern and stated is not None:
        labels = fields.labels(name, max(1, min(count, MOST_LAYERS)), LABELS) or ("mlp",)
        return tuple(LABELS[label] for label in labels)
    if not pattern or len(pattern) != count or len(pattern) > MOST_LAYERS or set(pattern) - set(SYMBOLS):
        fields.refuse("hybrid_override_pattern", f"{count} letters out of {' '.join(SYMBOLS)}")
        return ("mlp",)
    return tuple(SYMBOLS[symbol] for symbol in pattern)


def _listed(value: object) -> list[object] | tuple[object, ...]:
    return value if isinstance(value, (list, tuple)) else ()


def _part(fields: Fields, kind: str) -> Layer:
    width = hidden_size(fields)
    biased = fields.flag("mlp_bias", default=False)
    match kind:
        case "mamba":
            return Layer(attention=mamba2(fields), feed_forward=None, norm_count=1)
        case "attention":
            attention_bias = fields.flag("attention_bias", default=False)
            attention = self_attention(
                fields, width, qkv_bias=attention_bias, output_bias=attention_bias, default_head_dim=HEAD_DIM
            )
            return Layer(attention=attention, feed_forward=None, norm_count=1)
        case "moe":
            return Layer(attention=None, feed_forward=_experts(fields), norm_count=1)
        case _:
            dense = DenseFeedForward(intermediate_size=fields.size("intermediate_size"), gated=False, bias=biased)
            return Layer(attention=None, feed_forward=dense, norm_count=1)


def _experts(fields: Fields) -> MixtureOfExperts:
    mixture = experts(
        fields,
        ExpertHabits(gated=False, router_bias=lambda _: True, required=(("moe_shared_expert_intermediate_size",),)),
    )
    return replace(mixture, latent_size=fields.optional_size("moe_latent_size"))


def mamba2(fields: Fields) -> LinearAttention:
    """Read a Mamba-2 mixer, whose convolution has a bias."""
    heads = fields.size("mamba_num_heads", "mamba_n_heads", most=MOST_HEADS)
    if not fields.flag("use_conv_bias", default=True) or not fields.flag("mamba_conv_bias", default=True):
        fields.refuse("use_conv_bias", "true")
    state_type = fields.text("mamba_ssm_cache_dtype", STATE_BYTES, "float32")
    return LinearAttention(
        kind="mamba2",
        key_head_count=heads,
        value_head_count=heads,
        key_head_dim=fields.size("ssm_state_size", "mamba_d_state", "mamba_state_dim"),
        value_head_dim=fields.size("mamba_head_dim", "mamba_d_head"),
        convolution_width=fields.size("conv_kernel", "mamba_d_conv"),
        group_count=fields.size("n_groups", "mamba_n_groups", "mamba_num_groups"),
        state_element_bytes=STATE_BYTES[state_type],
    )


def read_searched(fields: Fields) -> Draft:
    """Read a model of NVIDIA's architecture search (Nemotron Super, Ultra, DeciLM): each layer has its own shape."""
    width = hidden_size(fields)
    heads = head_count(fields)
    head_width = head_dim(fields, width, heads)
    layers = fields.layer_count()
    fields.only_off("attention_bias", "mlp_bias")
    if fields.has("num_key_value_heads_per_layer") and not fields.has("block_configs"):
        stack = _stated_layers(fields, heads, head_width, layers)
    else:
        fields.unused_sizes("num_key_value_heads", "intermediate_size")
        fields.known("num_key_value_heads_per_layer")
        stack = _blocks(fields, width, heads, head_width, layers)
    return Draft(
        family="Nemotron",
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=False,
        layers=stack,
    )


def _stated_layers(fields: Fields, heads: int, head_width: int, layers: int) -> tuple[Layer, ...]:
    """DeciLM's first form: only the key/value heads differ between layers."""
    fields.unused_sizes("num_key_value_heads")
    counts = fields.numbers("num_key_value_heads_per_layer", layers, least=1, most=heads) or (heads,) * layers
    if any(heads % count for count in counts):
        fields.refuse("num_key_value_heads_per_layer", f"divisors of the {heads} query heads")
    dense = DenseFeedForward(intermediate_size=fields.size("intermediate_size"), gated=True)
    attention = SelfAttention(head_count=heads, kv_head_count=1, head_dim=head_width, value_head_dim=head_width)
    return tuple(
        Layer(attention=replace(attention, kv_head_count=count), feed_forward=dense, norm_count=2) for count in counts
    )


def _blocks(fields: Fields, width: int, heads: int, head_width: int, layers: int) -> tuple[Layer, ...]:
    blocks = fields.raw("block_configs")
    if not isinstance(blocks, (list, tuple)) or len(blocks) != layers:
        fields.refuse("block_configs", f"a list of {layers} objects")
        return ()
    stack = []
    for index in range(layers):
        block = fields.item("block_configs", index)
        if block is not None:
            stack.append(_block(block, width, heads, head_width))
            block.close()
    return tuple(stack)


def _block(block: Fields, width: int, heads: int, head_width: int) -> Layer:
    """Read one layer, either half of which may be left out."""
    attention = _block_attention(block, heads, head_width)
    feed_forward = _block_feed_forward(block, width)
    norms = (attention is not None) + (feed_forward is not None)
    return Layer(attention=attention, feed_forward=feed_forward, norm_count=norms)


def _block_attention(block: Fields, heads: int, head_width: int) -> SelfAttention | None:
    part = block.inside("attention")
    if part is None:
        block.refuse("attention", "an object")
        return None
    left_out = part.flag("no_op", default=False)
    part.only_off("replace_with_linear", "num_sink_tokens", "sparsify", "unshifted_sink", "is_mamba", "mamba", "llama4")
    part.known("use_prefill_window_in_sink_attention")
    window = part.optional_size("window_length")
    group = part.optional_size("n_heads_in_group", most=MOST_HEADS)
    kv_heads = part.optional_size("num_key_value_heads", most=MOST_HEADS)
    part.close()
    if left_out:
        return None
    if group is not None and heads % group:
        part.refuse("n_heads_in_group", f"a divisor of the {heads} query heads")
    if group is None and kv_heads is None:
        part.refuse("n_heads_in_group", "a whole number, where the attention is not a no_op")
    return SelfAttention(
        head_count=heads,
        kv_head_count=kv_heads or max(heads // (group or 1), 1),
        head_dim=head_width,
        value_head_dim=head_width,
        window_tokens=window,
    )


def _block_feed_forward(block: Fields, width: int) -> DenseFeedForward | None:
    part = block.inside("ffn")
    if part is None:
        block.refuse("ffn", "an object")
        return None
    left_out = part.flag("no_op", default=False)
    part.only_off("replace_with_linear", "sparsify", "moe")
    part.known("hidden_act", "gated")
    stated = part.optional_size("intermediate_size")
    multiple = part.ratio("ffn_mult")
    part.close()
    if left_out:
        return None
    if stated is None and multiple is None:
        part.refuse("ffn_mult", "a number, where the feed-forward layer is not a no_op")
    return DenseFeedForward(intermediate_size=stated or searched_width(multiple or 1.0, width), gated=True)


def searched_width(multiple: float, width: int) -> int:
    """Width of a pruned feed-forward layer: two thirds of ``multiple`` times the model's, rounded up."""
    raw = int(2 * multiple * width / 3)
    return -(-raw // ROUNDED_TO) * ROUNDED_TO
