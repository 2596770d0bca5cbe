"""Softmax attention out of a config: heads, widths and windows."""

from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.model import SelfAttention

MOST_HEADS = 1 << 14
HEAD_DIM = ("head_dim", "attention_head_dim")


def head_count(fields: Fields, *names: str) -> int:
    """Read the query heads."""
    return fields.size(*(names or ("num_attention_heads", "n_head", "n_heads", "num_heads")), most=MOST_HEADS)


def kv_head_count(fields: Fields, heads: int, *names: str) -> int:
    """Read the key/value heads, which are as many as the query heads where nothing is said, and divide them."""
    name = names[0] if names else "num_key_value_heads"
    count = fields.size(*(names or ("num_key_value_heads", "num_kv_heads")), default=heads, most=MOST_HEADS)
    if heads % count:
        fields.refuse(name, f"a divisor of the {heads} query heads")
    return count


def head_dim(fields: Fields, hidden_size: int, heads: int, *names: str) -> int:
    """Read the width of a head, which is an equal share of the model's width where nothing is said."""
    stated = fields.optional_size(*(names or HEAD_DIM))
    if stated is None and hidden_size % heads:
        fields.refuse("hidden_size", f"a multiple of the {heads} heads, or head_dim beside it")
    return stated or max(hidden_size // heads, 1)


def self_attention(
    fields: Fields,
    hidden_size: int,
    *,
    qkv_bias: bool = False,
    output_bias: bool = False,
    query_key_norm: str = "none",
    default_head_dim: int | None = None,
) -> SelfAttention:
    """Read attention as most configs state it."""
    heads = head_count(fields)
    stated = any(fields.raw(name) is not None for name in HEAD_DIM)
    width = default_head_dim if default_head_dim and not stated else head_dim(fields, hidden_size, heads)
    return SelfAttention(
        head_count=heads,
        kv_head_count=kv_head_count(fields, heads),
        head_dim=width,
        value_head_dim=width,
        qkv_bias=qkv_bias,
        output_bias=output_bias,
        query_key_norm=query_key_norm,
    )


def window_of(fields: Fields, *names: str, default: int | None = None) -> int | None:
    """Read the tokens that a windowed layer looks back on."""
    return fields.optional_size(*(names or ("sliding_window", "sliding_window_size"))) or default


def windowed_layers(
    fields: Fields, layers: int, window: int | None, *, every: int | None = None, full: str = "full_attention"
) -> tuple[int | None, ...]:
    """Window of each layer: from ``layer_types``, else all but each ``every``-th layer, else none has one."""
    labels = fields.labels("layer_types", layers, ("sliding_attention", "chunked_attention", full))
    if labels is None:
        if every is None:
            return (None,) * layers
        windowed = [(index + 1) % every != 0 for index in range(layers)]
    else:
        windowed = [label != full for label in labels]
    if any(windowed) and window is None:
        fields.refuse("sliding_window", "a whole number, because layers are windowed")
    return tuple(window if is_windowed else None for is_windowed in windowed)


def upper_layers_windowed(fields: Fields, layers: int) -> tuple[int | None, ...]:
    """Qwen's rule: windows only where ``use_sliding_window``, and only from ``max_window_layers`` on."""
    window = fields.optional_size("sliding_window", least=0)
    first = fields.size("max_window_layers", default=layers, least=0, most=MOST_LAYERS)
    labels = fields.labels("layer_types", layers, ("sliding_attention", "full_attention"))
    if not fields.flag("use_sliding_window", default=False) or not window:
        return (None,) * layers
    if labels is not None:
        return tuple(window if label == "sliding_attention" else None for label in labels)
    return tuple(window if index >= first else None for index in range(layers))
