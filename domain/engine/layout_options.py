"""Layouts that fixed hardware could run: every legal one within what was asked, preferred ones first."""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from domain.catalog.accelerator import Node
from domain.catalog.model import MixtureOfExperts, Model
from domain.engine.deployment import CheckRequest
from domain.engine.layout_search import DEEPEST_PIPELINE, stage_choices
from domain.engine.parallelism import (
    Degrees,
    divides_experts,
    division_obstacle,
    expert_obstacle,
    expert_parallel_default,
)
from domain.engine.reason import Reason
from domain.engine.setting import Setting
from domain.engine.wording import counted

ATTENTION_GROUPS = (1, 2, 4, 8, 16)
"""Degrees of attention data parallelism that are tried where none was asked."""


class Option(NamedTuple):
    """A layout of one replica, and how many replicas the hardware takes."""

    degrees: Degrees
    replicas: int


class Groups(NamedTuple):
    """Degrees of one layout, before its layers are divided over stages."""

    tensor: int
    stages: int
    attention_data: int
    replicas: int

    @property
    def rank_count(self) -> int:
        """Devices that the layout occupies."""
        return self.tensor * self.stages * self.attention_data * self.replicas


def legal_options(
    setting: Setting, request: CheckRequest, node: Node | None, *, by_hand: bool
) -> tuple[list[Option], list[Reason]]:
    """Return every legal layout, preferred ones first, and why those that were asked for are not legal.

    Preferred: no device idle, tensor groups inside a node, attention not copied, few stages, few replicas, the
    engine's own stages, wide tensor groups.
    """
    ranks = request.accelerator_count * setting.accelerator.devices_per_card
    options: list[Option] = []
    obstacles: list[Reason] = []

    @cache
    def of_group(tensor: int, attention_data: int) -> Reason | None:
        return _group_obstacle(setting, request, tensor, attention_data)

    for groups in _asked_groups(setting, request, ranks, by_hand=by_hand):
        obstacle = _depth_obstacle(setting, groups.stages) or of_group(groups.tensor, groups.attention_data)
        if obstacle is None:
            options.extend(_staged(setting, request, groups, by_hand=by_hand))
        elif (
            groups.tensor in {request.tensor_parallel, ranks}
            or request.pipeline_parallel
            or request.attention_data_parallel
        ):
            obstacles.append(obstacle)
    joined = node.accelerator_count if node else setting.accelerator.link.domain_size
    within = joined * setting.accelerator.devices_per_card

    def burden(option: Option) -> tuple[bool, bool, int, int, int, bool, int]:
        degrees = option.degrees
        idle = ranks - degrees.rank_count * option.replicas
        crosses = degrees.tensor * degrees.attention_data > within
        return (
            idle > 0,
            crosses,
            degrees.attention_data,
            degrees.pipeline,
            option.replicas,
            degrees.is_hand_set,
            -degrees.tensor,
        )

    return sorted(options, key=burden), list(dict.fromkeys(obstacles)) or ([] if options else [_no_product(request)])


def _asked_groups(setting: Setting, request: CheckRequest, ranks: int, *, by_hand: bool) -> Iterator[Groups]:
    """Yield the degrees that fill the ranks within what was asked; where nothing was asked, some may stay idle."""
    is_open = not any(
        (request.tensor_parallel, request.pipeline_parallel, request.attention_data_parallel, request.replicas)
    )
    choices = _attention_choices(setting, request) if by_hand else (request.attention_data_parallel or 1,)
    for attention_data in choices:
        for tensor in _asked(request.tensor_parallel, range(1, ranks // attention_data + 1)):
            group = tensor * attention_data
            deepest = (
                min(DEEPEST_PIPELINE, setting.footprint.model.layer_count) if setting.engine.pipeline_parallel else 1
            )
            for stages in _asked(request.pipeline_parallel, range(1, min(deepest, ranks // group) + 1)):
                replicas = request.replicas or max(ranks // (group * stages), 1)
                groups = Groups(tensor, stages, attention_data, replicas)
                if groups.rank_count == ranks or (by_hand and is_open and groups.rank_count < ranks):
                    yield groups


def _asked(asked: int | None, choices: Iterable[int]) -> Iterable[int]:
    return choices if asked is None else (asked,)


def _attention_choices(setting: Setting, request: CheckRequest) -> Iterable[int]:
    """Attention data parallelism as asked; else what the engine has, the experts need, and the load can use."""
    if request.attention_data_parallel is not None:
        return (request.attention_data_parallel,)
    if setting.engine.attention_data_parallel == "none" or not has_experts(setting.footprint.model):
        return (1,)
    return (choice for choice in ATTENTION_GROUPS if choice <= request.load.concurrency)


def idle_reasons(option: Option, request: CheckRequest, setting: Setting) -> tuple[Reason, ...]:
    """Say so when the layout leaves devices without work."""
    idle = (
        request.accelerator_count * setting.accelerator.devices_per_card - option.degrees.rank_count * option.replicas
    )
    if not idle:
        return ()
    sentence = f"No legal layout that holds the load uses all devices: {counted(idle, 'device')} without work."
    return (Reason(code="DEVICES_IDLE", sentence=sentence),)


def has_experts(model: Model) -> bool:
    """Whether any layer has routed experts."""
    return any(isinstance(layer.feed_forward, MixtureOfExperts) for layer in model.layers)


def _no_product(request: CheckRequest) -> Reason:
    return Reason(
        code="LAYOUT_DOES_NOT_FILL",
        sentence=(
            f"No layout with the given degrees fills {counted(request.accelerator_count, 'accelerator')}: tensor x "
            "attention data x pipeline x replicas must give the number of devices."
        ),
    )


def _depth_obstacle(setting: Setting, stage_count: int) -> Reason | None:
    engine, model = setting.engine, setting.footprint.model
    if stage_count > (model.layer_count if engine.pipeline_parallel else 1):
        return Reason(
            code="TOO_MANY_STAGES",
            sentence=f"{stage_count} pipeline stages: {engine.name} divides {model.layer_count} layers over at most "
            f"{model.layer_count if engine.pipeline_parallel else 1}.",
        )
    return None


def _group_obstacle(setting: Setting, request: CheckRequest, tensor: int, attention_data: int) -> Reason | None:
    engine, model = setting.engine, setting.footprint.model
    if attention_data > 1 and engine.attention_data_parallel == "none":
        return Reason(code="NO_ATTENTION_DATA_PARALLEL", sentence=f"{engine.name} has no attention data parallelism.")
    if attention_data > 1 and not has_experts(model):
        sentence = (
            f"{model.id} has no routed experts: copies of all of it are replicas, not attention data parallelism."
        )
        return Reason(code="NO_ATTENTION_DATA_PARALLEL", sentence=sentence)
    return (
        division_obstacle(model, tensor, engine)
        or _expert_parallel_obstacle(setting, request, tensor, attention_data)
        or _context_parallel_obstacle(setting, request, tensor)
    )


def _expert_parallel_obstacle(
    setting: Setting, request: CheckRequest, tensor: int, attention_data: int
) -> Reason | None:
    engine, model, asked = setting.engine, setting.footprint.model, request.expert_parallel
    if asked is None:
        return expert_obstacle(model, tensor, attention_data, engine)
    ranks = tensor * attention_data
    if asked > 1 and not has_experts(model):
        return Reason(code="NO_EXPERTS", sentence=f"{model.id} has no routed experts to spread over {asked} ranks.")
    legal = {"none": asked == 1, "ranks": asked in {1, ranks}, "free": ranks % asked == 0}
    if not legal[engine.expert_parallel]:
        kept = "1 rank" if engine.expert_parallel == "none" else f"1 or {ranks} ranks"
        sentence = f"{engine.name} spreads experts over {kept} here, not over {asked}."
        return Reason(code="EXPERT_PARALLEL_NOT_LEGAL", sentence=sentence)
    if divides_experts(model, ranks, asked):
        return None
    sentence = f"The routed experts do not divide over {asked} of {ranks} ranks."
    return Reason(code="EXPERTS_NOT_DIVISIBLE", sentence=sentence)


def _context_parallel_obstacle(setting: Setting, request: CheckRequest, tensor: int) -> Reason | None:
    asked, footprint = request.decode_context_parallel or 1, setting.footprint
    if asked > 1 and not setting.engine.decode_context_parallel:
        sentence = f"{setting.engine.name} is not known to have decode context parallelism."
        return Reason(code="NO_DECODE_CONTEXT_PARALLEL", sentence=sentence)
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


def _staged(setting: Setting, request: CheckRequest, groups: Groups, *, by_hand: bool) -> Iterator[Option]:
    tensor, stage_count, attention_data, replicas = groups
    default = expert_parallel_default(setting.footprint.model, tensor, attention_data, setting.engine)
    expert, context = request.expert_parallel or default, request.decode_context_parallel or 1
    for stages, is_hand_set in stage_choices(setting.footprint, setting.engine, stage_count, by_hand=by_hand):
        yield Option(Degrees(tensor, stage_count, attention_data, expert, context, stages, is_hand_set), replicas)
