"""Dense transformers: every layer a softmax attention and one feed-forward layer, told apart by a few habits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from domain.catalog.huggingface.attention import self_attention, window_of, windowed_layers
from domain.catalog.huggingface.draft import Draft, hidden_size, vocabulary_size
from domain.catalog.huggingface.fields import MOST_LAYERS, Fields
from domain.catalog.model import DenseFeedForward, Layer, SelfAttention

Windows = Callable[[Fields, int], tuple[int | None, ...]]
"""Reads the window of each layer."""
Reader = Callable[[Fields], Draft]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A truth value of a config: the names it goes by, and what holds where none is there."""

    names: tuple[str, ...] = ()
    default: bool = False

    def read(self, fields: Fields) -> bool:
        """Read the first name that is there."""
        stated = [fields.flag(name, default=self.default) for name in self.names if fields.has(name)]
        return stated[0] if stated else self.default


OFF = Switch()
ON = Switch(default=True)


def no_windows(_: Fields, layers: int) -> tuple[int | None, ...]:
    """Every layer sees the whole context."""
    return (None,) * layers


def all_windowed(fields: Fields, layers: int, default: int | None = None) -> tuple[int | None, ...]:
    """Every layer has the window, where there is one; ``layer_types`` may except some."""
    window = window_of(fields)
    if default is not None and not fields.states("sliding_window"):
        fields.remark(f"sliding_window is missing; {default}, the default of transformers, is taken.")
        window = default
    if fields.has("layer_types"):
        return windowed_layers(fields, layers, window)
    return (window,) * layers


def each_full(fields: Fields, layers: int, *, every: int, window: int | None = None) -> tuple[int | None, ...]:
    """All layers but each n-th have a window; n is the family's where the config names none."""
    tokens = window_of(fields, default=window)
    if isinstance(letters := fields.raw("sliding_window_pattern"), str):
        return _lettered(fields, layers, letters, tokens)
    stated = fields.optional_size("sliding_window_pattern", "_sliding_window_pattern", most=MOST_LAYERS)
    return windowed_layers(fields, layers, tokens, every=stated or every)


def _lettered(fields: Fields, layers: int, letters: str, window: int | None) -> tuple[int | None, ...]:
    """EXAONE's rule: a pattern of L (window) and G (whole context) over and over, and the last layer whole."""
    if not letters or set(letters) - {"L", "G"} or len(letters) > MOST_LAYERS or window is None:
        fields.refuse("sliding_window_pattern", "letters L and G beside a sliding_window")
        return (None,) * layers
    if fields.has("layer_types"):
        return windowed_layers(fields, layers, window)
    windowed = (letters[index % len(letters)] == "L" and index < layers - 1 for index in range(layers))
    return tuple(window if is_windowed else None for is_windowed in windowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Biases:
    """What tells whether projections have biases."""

    qkv: Switch = OFF
    output: Switch = OFF
    mlp: Switch = OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseFamily:
    """The habits of a family of dense transformers."""

    name: str
    tied: bool = False
    biases: Biases = Biases()
    query_key_norm: str = "none"
    query_key_norm_switch: Switch = ON
    head_dim: int | None = None
    """Width of a head where the config states none; None is an equal share of the model's."""
    norm_count: int = 2
    norm_bias: bool = False
    gated: bool = True
    head_bias: Switch = OFF
    scale_count: int = 0
    windows: Windows = no_windows
    intermediate: tuple[str, ...] = ("intermediate_size",)
    known: tuple[str, ...] = ()
    """Fields that say nothing here, though they would elsewhere."""
    only_off: tuple[str, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    """Fields, each with the one value that we understand."""


def dense(family: DenseFamily) -> Reader:
    """Return the reader of a family."""
    return partial(read_dense, family=family)


def read_dense(fields: Fields, family: DenseFamily) -> Draft:
    """Read a dense transformer of a family."""
    width = hidden_size(fields)
    layers = fields.layer_count()
    attention = dense_attention(fields, family, width)
    feed_forward = DenseFeedForward(
        intermediate_size=fields.size(*family.intermediate), gated=family.gated, bias=family.biases.mlp.read(fields)
    )
    fields.known(*family.known)
    fields.only_off(*family.only_off)
    for name, value in family.fixed:
        fields.text(name, (value,))
    layer = Layer(
        attention=attention,
        feed_forward=feed_forward,
        norm_count=family.norm_count,
        norm_bias=family.norm_bias,
        scale_count=family.scale_count,
    )
    windows = family.windows(fields, layers)
    return Draft(
        family=family.name,
        hidden_size=width,
        vocabulary_size=vocabulary_size(fields),
        tied_embeddings=family.tied,
        layers=tuple(replace(layer, attention=replace(attention, window_tokens=window)) for window in windows),
        final_norm_bias=family.norm_bias,
        output_head_bias=family.head_bias.read(fields),
    )


def dense_attention(fields: Fields, family: DenseFamily, width: int) -> SelfAttention:
    """Read the attention of a family, as if it had no window."""
    normed = family.query_key_norm_switch.read(fields)
    return self_attention(
        fields,
        width,
        qkv_bias=family.biases.qkv.read(fields),
        output_bias=family.biases.output.read(fields),
        query_key_norm=family.query_key_norm if normed else "none",
        default_head_dim=family.head_dim,
    )


def by(*names: str, default: bool = False) -> Switch:
    """Return a switch under these names."""
    return Switch(names=names, default=default)


ATTENTION_BIAS = Biases(qkv=by("attention_bias"), output=by("attention_bias"))
LLAMA_BIASES = replace(ATTENTION_BIAS, mlp=by("mlp_bias"))
LLAMA = DenseFamily(name="Llama", biases=LLAMA_BIASES)
