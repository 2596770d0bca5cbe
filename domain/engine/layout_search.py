"""Which layouts are looked at: every legal division of one replica, with the engine's stages and balanced ones."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from domain.catalog.model import MixtureOfExperts, Model
from domain.catalog.serving_engine import ServingEngine
from domain.engine.footprint import Footprint
from domain.engine.parallelism import (
    Degrees,
    default_stages,
    division_obstacle,
    expert_obstacle,
    expert_parallel_default,
)

WIDEST_TENSOR_PARALLEL = 64
DEEPEST_PIPELINE = 16
"""Stages beyond which no layout is searched; such pipelines are not run for inference."""


class Group(NamedTuple):
    """Ranks that work on one layer together."""

    tensor: int
    attention_data: int
    expert: int


def legal_groups(model: Model, engine: ServingEngine, rank_limit: int, most_attention_data: int) -> tuple[Group, ...]:
    """Every legal group of up to ``rank_limit`` ranks; it does not depend on the number format.

    More attention groups than ``most_attention_data`` sequences would leave some without work.
    """
    return tuple(
        Group(tensor, attention_data, expert_parallel_default(model, tensor, attention_data, engine))
        for tensor in range(1, min(WIDEST_TENSOR_PARALLEL, rank_limit) + 1)
        if division_obstacle(model, tensor, engine) is None
        for attention_data in _attention_data_choices(model, engine, tensor, rank_limit)
        if attention_data <= most_attention_data
        if expert_obstacle(model, tensor, attention_data, engine) is None
    )


def _attention_data_choices(model: Model, engine: ServingEngine, tensor: int, rank_limit: int) -> Iterable[int]:
    has_experts = any(isinstance(layer.feed_forward, MixtureOfExperts) for layer in model.layers)
    if engine.attention_data_parallel == "none" or not has_experts:
        return (1,)
    limit = min(WIDEST_TENSOR_PARALLEL, rank_limit) // tensor
    return (choice for choice in (1, 2, 4, 8, 16) if choice <= limit)


def searched_layouts(
    footprint: Footprint, engine: ServingEngine, groups: Iterable[Group], rank_limit: int
) -> tuple[Degrees, ...]:
    """Every layout of one replica that the groups can form, up to ``rank_limit`` ranks."""
    deepest = min(DEEPEST_PIPELINE, footprint.model.layer_count) if engine.pipeline_parallel else 1
    choices = [list(stage_choices(footprint, engine, count)) for count in range(1, min(deepest, rank_limit) + 1)]
    return tuple(
        Degrees(group.tensor, count, group.attention_data, group.expert, 1, stages, is_hand_set)
        for group in groups
        for count in range(1, min(len(choices), rank_limit // (group.tensor * group.attention_data)) + 1)
        for stages, is_hand_set in choices[count - 1]
    )


def stage_choices(
    footprint: Footprint, engine: ServingEngine, stage_count: int, *, by_hand: bool = True
) -> Iterator[tuple[tuple[int, ...], bool]]:
    """Yield the engine's own division and, where it can be set by hand and differs, the balanced one."""
    default = default_stages(footprint.model.layer_count, stage_count, engine)
    yield default, False
    if by_hand and stage_count > 1 and engine.settable_stages:
        balanced = footprint.balanced(stage_count)
        if balanced != default:
            yield balanced, True
