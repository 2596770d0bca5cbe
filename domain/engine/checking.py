"""Fixed hardware: which layout it would run, whether that fits, and by how much it does or does not."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from domain.catalog.accelerator import Accelerator, Node
from domain.engine.deployment import CheckRequest, Deployment
from domain.engine.judging import evaluated, judged, placed, suited_node
from domain.engine.layout_options import Option, idle_reasons, legal_options
from domain.engine.layout_table import LayoutTable, layout_table, sequence_bytes
from domain.engine.parallelism import Degrees
from domain.engine.precision import PrecisionAnswer, Way
from domain.engine.question import engine_key
from domain.engine.reason import Reason
from domain.engine.setting import ModelStudy, Setting, engine_for, no_engine_sentence, setting_for
from domain.quantity import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found: the deployment, or the reasons why there is none."""

    deployment: Deployment | None
    reasons: tuple[Reason, ...]
    precision: PrecisionAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A check with everything but the layout resolved: one setting and every legal layout, preferred first."""

    setting: Setting
    legal: tuple[Option, ...]
    nodes: tuple[Node, ...]
    request: CheckRequest
    """What was asked; where attention data parallelism was left open, no more groups than sequences are taken."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A check with everything but the load resolved: one setting and one layout."""

    setting: Setting
    degrees: Degrees
    replicas: int
    nodes: tuple[Node, ...]
    accelerator_count: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Layouts chosen for a column of loads, with what they were chosen by."""

    table: LayoutTable
    room_bytes: Column
    """Per stage of every layout."""
    needs_bytes: Column
    """Bytes of one sequence, per stage (rows) and load (columns)."""
    copies: Column
    """Attention groups of all replicas, per layout."""
    headroom_bytes: Column
    """Per layout (rows) and load (columns)."""
    rows: npt.NDArray[np.int64]
    """The layout of each load."""
    holds: npt.NDArray[np.bool_]
    """Whether it holds the load."""


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

    What the caller left open is chosen for the asked load: see `choice_at`.
    """
    options = options_of(study, accelerator, request, precision)
    if not isinstance(options, Options):
        return options
    tokens = np.array([float(request.load.input_tokens + request.load.output_tokens)])
    concurrency = np.array([float(request.load.concurrency)])
    choice = choice_at(options, tokens, concurrency)
    if not choice.holds[0]:
        options = widened(options)
        choice = choice_at(options, tokens, concurrency)
    option = options.legal[int(choice.rows[0])]
    return Shape(
        setting=options.setting,
        degrees=option.degrees,
        replicas=option.replicas,
        nodes=options.nodes,
        accelerator_count=request.accelerator_count,
        reasons=(*options.reasons, *idle_reasons(option, request, options.setting)),
    )


def options_of(
    study: ModelStudy, accelerator: Accelerator, request: CheckRequest, precision: PrecisionAnswer
) -> Options | tuple[Reason, ...]:
    """Resolve precision and engine, and find the legal layouts that engines are started with; see `widened`.

    Returns the reasons when there is none.
    """
    setting = _first_setting(study, accelerator, request, precision)
    if not isinstance(setting, Setting):
        return setting
    nodes = tuple(node for node in study.catalog.nodes.values() if node.accelerator == accelerator.id)
    node = suited_node(nodes, request.accelerator_count, 0.0)
    legal, obstacles = legal_options(setting, request, node, by_hand=False)
    if not legal:
        legal, obstacles = legal_options(setting, request, node, by_hand=True)
    if not legal:
        return tuple(obstacles)
    return Options(
        setting=setting,
        legal=tuple(legal),
        nodes=nodes,
        request=request,
        reasons=tuple(obstacles),
    )


def widened(options: Options) -> Options:
    """Add stages set by hand, copies of attention and idle devices: looked at where nothing else holds the load."""
    node = suited_node(options.nodes, options.request.accelerator_count, 0.0)
    legal, _ = legal_options(options.setting, options.request, node, by_hand=True)
    return replace(options, legal=tuple(legal))


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


def choice_at(options: Options, tokens: Column, concurrency: Column) -> Choice:
    """Choose a layout for every load: the first preferred one that holds it, else the one that lacks least."""
    setting = options.setting
    rows = [option.degrees for option in options.legal]
    table = layout_table(setting.footprint, setting.keeping, rows, 1.0)
    room = table.room_bytes(setting.device_usable_bytes, setting.memory_fraction, setting.engine)
    needs = sequence_bytes(setting.footprint, setting.keeping, rows, tokens)
    copies = np.array([float(option.degrees.attention_data * option.replicas) for option in options.legal])
    by_stage = np.repeat(copies, np.diff(np.append(table.starts, len(room))))
    sequences = np.ceil(concurrency[None, :] / by_stage[:, None])
    headroom = np.minimum.reduceat(room[:, None] - sequences * needs, table.starts, axis=0)
    if options.request.attention_data_parallel is None:
        groups = table.attention_data[:, None] > np.maximum(concurrency, 1.0)[None, :]
        headroom = np.where(groups, -np.inf, headroom)
    holds = headroom >= 0.0
    chosen = np.where(holds.any(axis=0), holds.argmax(axis=0), headroom.argmax(axis=0))
    return Choice(
        table=table,
        room_bytes=room,
        needs_bytes=needs,
        copies=copies,
        headroom_bytes=headroom,
        rows=chosen,
        holds=np.atleast_1d(np.logical_or.reduce(holds, axis=0)),
    )
