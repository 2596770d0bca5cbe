"""Layouts: how a model is divided over ranks, and which divisions are legal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How many ranks divide what; ranks of one replica = tensor x attention data x pipeline."""

    tensor_parallel: int
    """Ranks that share one sequence's attention."""
    pipeline_parallel: int
    expert_parallel: int
    """Ranks over which the routed experts are spread; spans tensor x attention data ranks; 1 is none."""
    attention_data_parallel: int
    decode_context_parallel: int
    replicas: int
    stage_layer_counts: tuple[int, ...]
    """Layers of each pipeline stage, first to last."""
