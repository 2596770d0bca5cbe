"""Layouts as columns: every legal division of one footprint, with the memory that it needs on each device."""

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    distinct_stages,
)
from domain.quantity import Column, recorded

SMALLEST_SEQUENCE_BYTES = 1.0
"""Stands in for nothing where a stage keeps no cache, so that capacity is large and not infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageParts:
    """Bytes on one device of a stage that do not depend on the accelerator."""

    weights_bytes: float
    by_component: tuple[tuple[str, float], ...]
    activations_bytes: float
    reserve_bytes: float


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
    preferences: dict[int, Column] = field(default_factory=dict, compare=False)
    """Places of the layouts in the order of `preference`, by size of the link domain."""
    parts: dict[int, StageParts] = field(default_factory=dict, compare=False)
    """What `stage_parts` has returned."""

    def preference(self, domain_devices: int) -> Column:
        """Place of each layout among its like, worked out once for a size of the link domain.

        First those inside one domain, then without copies of attention, with the engine's own stages, with few.
        """
        if domain_devices not in self.preferences:
            crosses = self.tensor * self.attention_data > domain_devices
            order = np.lexsort((-self.tensor, self.pipeline, self.hand_set, self.attention_data, crosses))
            places = np.empty(len(order))
            places[order] = np.arange(len(order))
            self.preferences[domain_devices] = places
        return self.preferences[domain_devices]

    def stage_parts(self, stage: int) -> StageParts:
        """Return what a stage holds whatever the accelerator, rounded as it is recorded; worked out once."""
        if stage not in self.parts:
            shares = ((component, float(column[stage])) for component, column in self.weights.items())
            self.parts[stage] = StageParts(
                weights_bytes=recorded(float(self.weights_bytes[stage])),
                by_component=tuple((component, recorded(value)) for component, value in shares if value),
                activations_bytes=recorded(float(self.activations_bytes[stage])),
                reserve_bytes=recorded(float(self.reserve_bytes[stage])),
            )
        return self.parts[stage]

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
    columns, lengths, division, content = _stage_columns(footprint, degrees)
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
        hand_set=np.array([row.is_hand_set for row in degrees], dtype=np.float64),
    )


def sequence_bytes(footprint: Footprint, keeping: Keeping, degrees: Sequence[Degrees], tokens: Column) -> Column:
    """Bytes of one sequence on one device, per stage of every layout (rows) and number of tokens (columns)."""
    _, _, division, content = _stage_columns(footprint, degrees)
    upright = Division(
        tensor_parallel=division.tensor_parallel[:, None],
        attention_data_parallel=division.attention_data_parallel[:, None],
        expert_parallel=division.expert_parallel[:, None],
        decode_context_parallel=division.decode_context_parallel[:, None],
    )
    stages = StageContent(
        layer_counts=tuple(count[:, None] for count in content.layer_counts),
        is_first=content.is_first[:, None],
        is_last=content.is_last[:, None],
    )
    return np.maximum(cache_bytes_per_sequence(footprint, upright, stages, keeping, tokens), SMALLEST_SEQUENCE_BYTES)


def _stage_columns(
    footprint: Footprint, degrees: Sequence[Degrees]
) -> tuple[Column, npt.NDArray[np.int64], Division[Column], StageContent[Column]]:
    """Return the degrees by layout, how many stages each has, and division and content by stage."""
    stages = [distinct_stages(footprint.model, row.stage_layer_counts) for row in degrees]
    lengths = np.array([len(run) for run in stages], dtype=np.int64)
    columns = np.array([row[:5] for row in degrees], dtype=np.float64)
    division = _division(np.repeat(columns, lengths, axis=0))
    return columns, lengths, division, _content(footprint.model, [stage for run in stages for stage in run])


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
