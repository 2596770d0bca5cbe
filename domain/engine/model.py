"""What a model is made of: parameters by component and split, and what its cache holds."""

from domain.engine.model_cache import (
    cache_bytes_per_token,
    cache_parts,
    convolution_bytes_per_sequence,
    index_bytes_per_token,
    model_cache_parts,
    state_bytes_per_sequence,
)
from domain.engine.model_part import CachePart, Component, Split, WeightPart
from domain.engine.model_weights import (
    ParameterCounts,
    entry_weight_parts,
    exit_weight_parts,
    layer_weight_parts,
    mtp_weight_parts,
    outer_weight_parts,
    output_head_parts,
    parameter_counts,
    weight_parts,
)

__all__ = [
    "CachePart",
    "Component",
    "ParameterCounts",
    "Split",
    "WeightPart",
    "cache_bytes_per_token",
    "cache_parts",
    "convolution_bytes_per_sequence",
    "entry_weight_parts",
    "exit_weight_parts",
    "index_bytes_per_token",
    "layer_weight_parts",
    "model_cache_parts",
    "mtp_weight_parts",
    "outer_weight_parts",
    "output_head_parts",
    "parameter_counts",
    "state_bytes_per_sequence",
    "weight_parts",
]
