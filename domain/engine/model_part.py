"""Parts of a model: weights by component and split, and what a layer caches."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Component = Literal[
    "embedding",
    "attention",
    "dense_ffn",
    "routed_experts",
    "shared_experts",
    "router",
    "norms",
    "output_head",
    "mtp",
    "tower",
]

Split = Literal["query_heads", "kv_heads", "linear_heads", "intermediate", "experts", "vocabulary", "none"]
"""Along what a weight can be divided among tensor (or expert) ranks; ``none`` is copied to each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightPart:
    """Weights that are stored, divided and used in the same way."""

    component: Component
    split: Split
    parameter_count: int
    active_parameter_count: int
    """Parameters that one token passes (experts: the chosen share)."""
    matrix: bool
    """A weight matrix, which quantisation reaches, or else a vector (norm, bias, scale), which stays 16-bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePart:
    """What one layer keeps of the tokens it has seen."""

    kind: Literal["key_value", "latent", "index", "state", "convolution"]
    """``state``: the recurrence of a linear layer; ``convolution``: the last inputs of its short convolution."""
    elements_per_token: float
    """Elements per kept token over all heads; 0 for a constant state."""
    elements_per_sequence: float
    """Elements per sequence whatever its length; 0 but for ``state`` and ``convolution``."""
    window_tokens: int | None
    """Tokens kept at most; None is all."""
    split: Split
    head_count: int
    """Heads that the split divides among; 1 where ``split`` is ``none``."""
    element_bytes: float | None
    """Bytes per element where the cache format does not decide it (states, index keys)."""


def matrix(
    component: Component, split: Split, parameter_count: int, active_parameter_count: int | None = None
) -> WeightPart:
    """Return a weight matrix; every token passes all of it unless told otherwise."""
    return WeightPart(
        component=component,
        split=split,
        parameter_count=parameter_count,
        active_parameter_count=parameter_count if active_parameter_count is None else active_parameter_count,
        matrix=True,
    )


def vector(
    component: Component, split: Split, parameter_count: int, active_parameter_count: int | None = None
) -> WeightPart:
    """Return a vector of weights (norm, bias, scale), which no format quantises."""
    return replace(matrix(component, split, parameter_count, active_parameter_count), matrix=False)


def present(parts: Iterable[WeightPart]) -> tuple[WeightPart, ...]:
    """Leave out the parts that hold nothing."""
    return tuple(part for part in parts if part.parameter_count)
