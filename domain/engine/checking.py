"""Fixed hardware: which layout it would run, whether that fits, and by how much it does or does not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from domain.catalog.accelerator import Accelerator, Node
from domain.engine.deployment import CheckRequest, Deployment
from domain.engine.footprint import Footprint
from domain.engine.judging import best_row, evaluated, judged, placed, suited_node
from domain.engine.layout_search import stage_choices
from domain.engine.layout_table import LayoutTable, layout_table
from domain.engine.parallelism import (
    Degrees,
    divides_experts,
    division_obstacle,
    expert_obstacle,
    expert_parallel_default,
)
from domain.engine.precision import PrecisionAnswer, Way
from domain.engine.question import engine_key
from domain.engine.reason import Reason
from domain.engine.setting import ModelStudy, Setting, engine_for, no_engine_sentence, setting_for
from domain.engine.wording import counted

HAND_SET_AND_OWN = 2.0
"""Divisions of one depth: the engine's own comes before the one set by hand."""
DEEPEST = 1e6
"""A group that crosses nodes comes after every depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found: the deployment, or the reasons why there is none."""

    deployment: Deployment | None
    reasons: tuple[Reason, ...]
    precision: PrecisionAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A check with everything but the load resolved: one setting and one layout."""

    setting: Setting
    degrees: Degrees
    replicas: int
    nodes: tuple[Node, ...]
    accelerator_count: int
    reasons: tuple[Reason, ...]


def check_one(study: ModelStudy, accelerator: Accelerator, request: CheckRequest) -> Checked:
    """Check one deployment; blanks are resolved as the engine would, see `shape_of`."""
    precision = study.resolver.resolve(accelerator, request.policy, request.weight_format)
    shape = shape_of(study, accelerator, request, precision)
    if not isinstance(shape, Shape):
        return Checked(deployment=None, reasons=shape, precision=precision)
    return Checked(deployment=judged_shape(shape, request), reasons=shape.reasons, precision=precision)


def judged_shape(shape: Shape, request: CheckRequest) -> Deployment:
    """Judge a resolved shape at the load of ``request``."""
    tokens = float(request.load.input_tokens + request.load.output_tokens)
    table = layout_table(shape.setting.footprint, shape.setting.keeping, [shape.degrees], tokens)
    devices_per_card = shape.setting.accelerator.devices_per_card
    group = shape.degrees.tensor * shape.degrees.attention_data / devices_per_card
    place = placed(shape.nodes, shape.accelerator_count, group, shape.replicas)
    return judged(evaluated(table, shape.setting, request.load), 0, place)


def shape_of(
    study: ModelStudy, accelerator: Accelerator, request: CheckRequest, precision: PrecisionAnswer
) -> Shape | tuple[Reason, ...]:
    """Resolve precision, engine and layout; return the reasons when one of them cannot be.

    The layout does not depend on the load: the first legal one whose weights fit, tensor groups inside a node
    before wider ones, wide before deep; when none fits, the one that lacks least.
    """
    setting = _first_setting(study, accelerator, request, precision)
    if not isinstance(setting, Setting):
        return setting
    nodes = tuple(node for node in study.catalog.nodes.values() if node.accelerator == accelerator.id)
    usual = suited_node(nodes, request.accelerator_count, 0.0)
    rows, obstacles = legal_layouts(setting, request)
    if not rows:
        return tuple(obstacles) or (_no_product(request),)
    return Shape(
        setting=setting,
        degrees=_chosen(setting, rows, usual),
        replicas=request.replicas or 1,
        nodes=nodes,
        accelerator_count=request.accelerator_count,
        reasons=tuple(obstacles),
    )


def _first_setting(
    study: ModelStudy, accelerator: Accelerator, request: CheckRequest, precision: PrecisionAnswer
) -> Setting | tuple[Reason, ...]:
    """The best way, or the best one in the asked format, that an engine is not documented to refuse."""
    obstacles: list[Reason] = []
    for way in precision.ways:
        if request.weight_format in {None, way.number_format}:
            setting = _setting(study, accelerator, request, way)
            if isinstance(setting, Setting):
                return setting
            obstacles.append(setting)
    return tuple(obstacles) or tuple(_no_way(request, precision))


def _no_way(request: CheckRequest, precision: PrecisionAnswer) -> Iterator[Reason]:
    for refused in precision.refused:
        if request.weight_format in {None, refused.number_format}:
            yield Reason(code=refused.code, sentence=refused.sentence)


def _setting(study: ModelStudy, accelerator: Accelerator, request: CheckRequest, way: Way) -> Setting | Reason:
    engine = engine_for(
        study.catalog,
        accelerator,
        way,
        asked=engine_key(request.engine, request.engine_version),
        attention_data_parallel=request.attention_data_parallel or 1,
    )
    if engine is None:
        return Reason(code="NO_ENGINE_RUNS_IT", sentence=no_engine_sentence(accelerator, way, request.engine))
    return setting_for(
        study,
        accelerator,
        way,
        engine,
        with_mtp=request.speculative_draft_tokens > 0,
        cache_format=request.kv_cache_format,
        memory_fraction=request.memory_fraction,
    )


def _no_product(request: CheckRequest) -> Reason:
    return Reason(
        code="LAYOUT_DOES_NOT_FILL",
        sentence=(
            f"No layout with the given degrees fills {counted(request.accelerator_count, 'accelerator')}: tensor x "
            "attention data x pipeline x replicas must give the number of devices."
        ),
    )


def legal_layouts(setting: Setting, request: CheckRequest) -> tuple[list[Degrees], list[Reason]]:
    """Every legal layout that fills the asked devices, and why others are not legal."""
    ranks = request.accelerator_count * setting.accelerator.devices_per_card
    replicas = request.replicas or 1
    attention_data = request.attention_data_parallel or 1
    left, rest = divmod(ranks, replicas * attention_data)
    layouts: list[Degrees] = []
    obstacles: list[Reason] = []
    for tensor in _tensor_choices(request, left) if not rest else ():
        obstacle = _obstacle(setting, request, tensor, attention_data, left // tensor)
        if obstacle is None:
            layouts.extend(_staged(setting, request, tensor, attention_data, left // tensor))
        elif tensor in {request.tensor_parallel, left} or request.pipeline_parallel is not None:
            obstacles.append(obstacle)
    return layouts, obstacles


def _tensor_choices(request: CheckRequest, ranks: int) -> Iterator[int]:
    """Tensor degrees that divide the ranks, within what was asked."""
    for tensor in range(ranks, 0, -1):
        if ranks % tensor:
            continue
        if request.tensor_parallel in {None, tensor} and request.pipeline_parallel in {None, ranks // tensor}:
            yield tensor


def _obstacle(
    setting: Setting, request: CheckRequest, tensor: int, attention_data: int, stage_count: int
) -> Reason | None:
    engine, model = setting.engine, setting.footprint.model
    if stage_count > (model.layer_count if engine.pipeline_parallel else 1):
        return Reason(
            code="TOO_MANY_STAGES",
            sentence=f"{stage_count} pipeline stages: {engine.name} divides {model.layer_count} layers over at most "
            f"{model.layer_count if engine.pipeline_parallel else 1}.",
        )
    if attention_data > 1 and engine.attention_data_parallel == "none":
        return Reason(code="NO_ATTENTION_DATA_PARALLEL", sentence=f"{engine.name} has no attention data parallelism.")
    return (
        division_obstacle(model, tensor, engine)
        or _expert_parallel_obstacle(setting, request, tensor, attention_data)
        or _context_parallel_obstacle(setting.footprint, request, tensor)
    )


def _expert_parallel_obstacle(
    setting: Setting, request: CheckRequest, tensor: int, attention_data: int
) -> Reason | None:
    engine, model, asked = setting.engine, setting.footprint.model, request.expert_parallel
    if asked is None:
        return expert_obstacle(model, tensor, attention_data, engine)
    ranks = tensor * attention_data
    legal = {"none": asked == 1, "ranks": asked in {1, ranks}, "free": ranks % asked == 0}
    if not legal[engine.expert_parallel]:
        kept = "1 rank" if engine.expert_parallel == "none" else f"1 or {ranks} ranks"
        sentence = f"{engine.name} spreads experts over {kept} here, not over {asked}."
        return Reason(code="EXPERT_PARALLEL_NOT_LEGAL", sentence=sentence)
    if divides_experts(model, ranks, asked):
        return None
    sentence = f"The routed experts do not divide over {asked} of {ranks} ranks."
    return Reason(code="EXPERTS_NOT_DIVISIBLE", sentence=sentence)


def _context_parallel_obstacle(footprint: Footprint, request: CheckRequest, tensor: int) -> Reason | None:
    asked = request.decode_context_parallel or 1
    heads = max(
        (part.head_count for layer in footprint.layers for part in layer.cache if part.kind == "key_value"),
        default=1,
    )
    most = max(tensor // heads, 1)
    if asked == 1 or (tensor % asked == 0 and asked <= most):
        return None
    return Reason(
        code="CONTEXT_PARALLEL_NOT_LEGAL",
        sentence=f"Decode context parallelism of {asked} needs a divisor of {tensor} up to {most}.",
    )


def _staged(
    setting: Setting, request: CheckRequest, tensor: int, attention_data: int, stage_count: int
) -> Iterator[Degrees]:
    default = expert_parallel_default(setting.footprint.model, tensor, attention_data, setting.engine)
    expert, context = request.expert_parallel or default, request.decode_context_parallel or 1
    for stages, is_hand_set in stage_choices(setting.footprint, setting.engine, stage_count):
        yield Degrees(tensor, stage_count, attention_data, expert, context, stages, is_hand_set)


def _chosen(setting: Setting, layouts: list[Degrees], node: Node | None) -> Degrees:
    if len(layouts) == 1:
        return layouts[0]
    table = layout_table(setting.footprint, setting.keeping, layouts, 1.0)
    room = table.least_by_layout(table.room_bytes(setting.device_usable_bytes, setting.memory_fraction, setting.engine))
    group = table.tensor * table.attention_data
    joined = node.accelerator_count if node else setting.accelerator.link.domain_size
    crosses = group > joined * setting.accelerator.devices_per_card
    depth = HAND_SET_AND_OWN * (table.pipeline + crosses * DEEPEST) + table.hand_set
    row = best_row(depth, -table.tensor, room > 0.0)
    return layouts[_least_lacking(table, setting) if row is None else row]


def _least_lacking(table: LayoutTable, setting: Setting) -> int:
    room = table.room_bytes(setting.device_usable_bytes, setting.memory_fraction, setting.engine)
    return int(np.argmax(table.least_by_layout(room)))
