"""Layouts as columns: every legal division of one footprint, with the memory that it needs on each device."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain.catalog.model import Model
from domain.catalog.serving_engine import ServingEngine
from domain.engine.footprint import Footprint
from domain.engine.memory import (
    Division,
    Keeping,
    StageContent,
    activations_bytes,
    cache_bytes_per_sequence,
    cache_room_bytes,
    reserve_bytes,
    weights_bytes_by_component,
)
from domain.engine.model import Component
from domain.engine.parallelism import (
    Degrees,
    Stage,
    default_stages,
    distinct_stages,
    division_obstacle,
    expert_obstacle,
    expert_parallel_default,
)
from domain.quantity import Column

WIDEST_TENSOR_PARALLEL = 64
DEEPEST_PIPELINE = 16
"""Stages beyond which no layout is searched; such pipelines are not run for inference."""
DEEPEST_WITH_ATTENTION_DATA = 2
SMALLEST_SEQUENCE_BYTES = 1.0
"""Stands in for nothing where a stage keeps no cache, so that capacity is large and not infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutTable:
    """Layouts (rows) and their distinct stages (columns below, a run of stages per layout)."""

    degrees: tuple[Degrees, ...]
    starts: npt.NDArray[np.int64]
    """For each layout, where its stages begin."""
    weights: dict[Component, Column]
    weights_bytes: Column
    activations_bytes: Column
    reserve_bytes: Column
    sequence_bytes: Column
    tensor: Column
    pipeline: Column
    attention_data: Column
    ranks: Column
    hand_set: Column
    """1 where the stages are not the engine's own division."""

    def room_bytes(self, usable_bytes: float, memory_fraction: float, engine: ServingEngine) -> Column:
        """Bytes that the cache may have, per stage."""
        size = len(self.weights_bytes)
        return cache_room_bytes(
            np.full(size, usable_bytes),
            np.full(size, memory_fraction),
            engine,
            weights=self.weights_bytes,
            transient=self.activations_bytes + self.reserve_bytes,
        )

    def least_by_layout(self, values: Column) -> Column:
        """Reduce a column over stages to the least of each layout: the fullest stage decides."""
        return np.minimum.reduceat(values, self.starts)


def layout_table(footprint: Footprint, keeping: Keeping, degrees: Sequence[Degrees], tokens: float) -> LayoutTable:
    """Evaluate every stage of every layout for sequences of ``tokens`` tokens."""
    stages = [distinct_stages(footprint.model, row.stage_layer_counts) for row in degrees]
    lengths = np.array([len(run) for run in stages], dtype=np.int64)
    columns = np.array([row[:5] for row in degrees], dtype=np.float64)
    division = _division(np.repeat(columns, lengths, axis=0))
    content = _content(footprint.model, [stage for run in stages for stage in run])
    weights = weights_bytes_by_component(footprint, division, content, keeping.engine)
    sequence = cache_bytes_per_sequence(footprint, division, content, keeping, np.full(int(lengths.sum()), tokens))
    return LayoutTable(
        degrees=tuple(degrees),
        starts=np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths)[:-1])),
        weights=weights,
        weights_bytes=np.sum(list(weights.values()), axis=0),
        activations_bytes=activations_bytes(footprint, division, content, keeping),
        reserve_bytes=reserve_bytes(division, keeping.engine),
        sequence_bytes=np.maximum(sequence, SMALLEST_SEQUENCE_BYTES),
        tensor=columns[:, 0],
        pipeline=columns[:, 1],
        attention_data=columns[:, 2],
        ranks=columns[:, 0] * columns[:, 1] * columns[:, 2],
        hand_set=np.array([_is_hand_set(row, keeping.engine) for row in degrees], dtype=np.float64),
    )


def _is_hand_set(degrees: Degrees, engine: ServingEngine) -> bool:
    own = default_stages(sum(degrees.stage_layer_counts), degrees.pipeline, engine)
    return degrees.stage_layer_counts != own


def _division(columns: Column) -> Division[Column]:
    return Division(
        tensor_parallel=columns[:, 0],
        attention_data_parallel=columns[:, 2],
        expert_parallel=columns[:, 3],
        decode_context_parallel=columns[:, 4],
    )


def _content(model: Model, stages: Sequence[Stage]) -> StageContent[Column]:
    counts = np.array([stage.layer_counts for stage in stages], dtype=np.float64)
    ends = np.array([(stage.is_first, stage.is_last) for stage in stages], dtype=np.float64)
    return StageContent(
        layer_counts=tuple(counts[:, kind] for kind in range(len(model.layers))),
        is_first=ends[:, 0],
        is_last=ends[:, 1],
    )


def searched_layouts(footprint: Footprint, engine: ServingEngine, rank_limit: int) -> tuple[Degrees, ...]:
    """Every legal layout of one replica up to ``rank_limit`` ranks, with the engine's stages and balanced ones."""
    model = footprint.model
    return tuple(
        layout
        for tensor in range(1, min(WIDEST_TENSOR_PARALLEL, rank_limit) + 1)
        if division_obstacle(model, tensor, engine) is None
        for attention_data in _attention_data_choices(footprint, engine, tensor, rank_limit)
        if expert_obstacle(model, tensor, attention_data, engine) is None
        for layout in _pipelines(footprint, engine, tensor, attention_data, rank_limit)
    )


def _attention_data_choices(footprint: Footprint, engine: ServingEngine, tensor: int, rank_limit: int) -> Iterable[int]:
    has_experts = any(layer.expert_count for layer in footprint.layers)
    if engine.attention_data_parallel == "none" or not has_experts:
        return (1,)
    limit = min(WIDEST_TENSOR_PARALLEL, rank_limit) // tensor
    return (choice for choice in (1, 2, 4, 8, 16) if choice <= limit)


def _pipelines(
    footprint: Footprint, engine: ServingEngine, tensor: int, attention_data: int, rank_limit: int
) -> Iterable[Degrees]:
    depth = DEEPEST_PIPELINE if attention_data == 1 else DEEPEST_WITH_ATTENTION_DATA
    deepest = min(depth, footprint.model.layer_count, rank_limit // (tensor * attention_data))
    expert = expert_parallel_default(footprint.model, tensor, attention_data, engine)
    for stage_count in range(1, (deepest if engine.pipeline_parallel else 1) + 1):
        for stages in stage_choices(footprint, engine, stage_count):
            yield Degrees(tensor, stage_count, attention_data, expert, 1, stages)


def stage_choices(footprint: Footprint, engine: ServingEngine, stage_count: int) -> tuple[tuple[int, ...], ...]:
    """The engine's own division and, where it can be set by hand and differs, the balanced one."""
    default = default_stages(footprint.model.layer_count, stage_count, engine)
    if stage_count == 1 or not engine.settable_stages:
        return (default,)
    balanced = footprint.balanced(stage_count)
    return (default,) if balanced == default else (default, balanced)
