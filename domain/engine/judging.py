"""From a row of a layout table to a judged deployment, with its parts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain.catalog.accelerator import Node
from domain.engine.deployment import Deployment, Load, Memory, Verdict
from domain.engine.layout_table import LayoutTable
from domain.engine.memory import sequence_capacity
from domain.engine.setting import Setting
from domain.quantity import Column, recorded

MARGINAL_ROOM_FRACTION = 0.08
"""A cache room below this share of the budget is marginal: one long request more, and it does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a table's layouts offer on one accelerator, per stage and per layout."""

    by_stage_bytes: Column
    budget_by_stage_bytes: Column
    capacity: Column
    """Sequences of the table's length that one replica holds, per layout; 0 where it does not fit."""
    least_fraction: Column
    """Smallest cache room as a share of the budget, per layout."""
    least_bytes: Column
    """Smallest cache room less one sequence, per layout; negative is the shortfall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Layouts evaluated in one setting, and the load that they are judged at."""

    table: LayoutTable
    room: Room
    setting: Setting
    load: Load


def evaluated(table: LayoutTable, setting: Setting, load: Load) -> Evaluation:
    """Judge every layout of ``table`` in ``setting``."""
    return Evaluation(table=table, room=room_on(table, setting), setting=setting, load=load)


def room_on(table: LayoutTable, setting: Setting) -> Room:
    """Judge every layout of ``table`` on the setting's accelerator."""
    room = table.room_bytes(setting.device_usable_bytes, setting.memory_fraction, setting.engine)
    budget = room + table.weights_bytes + table.activations_bytes + table.reserve_bytes
    capacity = table.least_by_layout(sequence_capacity(room, table.sequence_bytes))
    return Room(
        by_stage_bytes=room,
        budget_by_stage_bytes=budget,
        capacity=capacity * table.attention_data,
        least_fraction=table.least_by_layout(room / budget),
        least_bytes=table.least_by_layout(room - table.sequence_bytes),
    )


def verdict_of(headroom_bytes: float, room_fraction: float) -> Verdict:
    """Return ``fits``, ``marginal`` or ``does_not_fit``."""
    if headroom_bytes < 0.0:
        return "does_not_fit"
    return "marginal" if room_fraction < MARGINAL_ROOM_FRACTION else "fits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a layout stands: how many accelerators, in which nodes."""

    accelerator_count: int
    replicas: int
    node: Node | None
    node_count: float | None


def judged(evaluation: Evaluation, row: int, place: Place) -> Deployment:
    """Return the deployment of one layout at the asked load, judged by its fullest stage."""
    setting, accelerator = evaluation.setting, evaluation.setting.accelerator
    layout = evaluation.table.degrees[row].layout(place.replicas)
    memory = _memory(evaluation, row, place.replicas)
    price = accelerator.price_usd_per_hour
    return Deployment(
        accelerator=accelerator.id,
        accelerator_count=place.accelerator_count,
        device_count=place.accelerator_count * accelerator.devices_per_card,
        node=place.node.id if place.node else None,
        node_count=None if place.node_count is None else recorded(place.node_count),
        layout=layout,
        way=setting.way,
        kv_cache_format=setting.cache_format,
        engine=f"{setting.engine.id}@{setting.engine.version}",
        verdict=verdict_of(memory.headroom_bytes, float(evaluation.room.least_fraction[row])),
        memory=memory,
        cost_usd_per_hour=None if price is None else recorded(price * place.accelerator_count),
        power_w=None if accelerator.tdp_w is None else recorded(accelerator.tdp_w * place.accelerator_count),
    )


def placed(nodes: Iterable[Node], accelerator_count: int, group_accelerators: float, replicas: int) -> Place:
    """Place so many accelerators on the type of node that suits them: see `suited_node`."""
    node = suited_node(nodes, accelerator_count, group_accelerators)
    return Place(
        accelerator_count=accelerator_count,
        replicas=replicas,
        node=node,
        node_count=accelerator_count / node.accelerator_count if node else None,
    )


def suited_node(nodes: Iterable[Node], accelerator_count: int, group_accelerators: float) -> Node | None:
    """The node type that joins a tensor group, leaves least over, takes fewest nodes, and is the smallest.

    Servers of one accelerator each come last where there are several to place.
    """

    def burden(node: Node) -> tuple[bool, bool, int, int, int]:
        step = node.step_count(accelerator_count)
        bought = -(-accelerator_count // step) * step
        boxes = -(-accelerator_count // node.accelerator_count)
        crosses = group_accelerators > node.accelerator_count
        is_scattered = node.accelerator_count == 1 < accelerator_count
        return crosses, is_scattered, bought - accelerator_count, boxes, node.accelerator_count

    return min(nodes, key=burden, default=None)


def _memory(evaluation: Evaluation, row: int, replicas: int) -> Memory:
    table, room, load = evaluation.table, evaluation.room, evaluation.load
    start = int(table.starts[row])
    end = int(table.starts[row + 1]) if row + 1 < len(table.starts) else len(table.weights_bytes)
    copies = int(table.attention_data[row]) * replicas
    sequences = -(-load.concurrency // copies)
    headroom = room.by_stage_bytes[start:end] - sequences * table.sequence_bytes[start:end]
    stage = start + int(np.argmin(headroom))
    per_replica = float(np.min(room.by_stage_bytes[start:end] / table.sequence_bytes[start:end]))
    tokens = load.input_tokens + load.output_tokens
    parts = table.stage_parts(stage)
    return Memory(
        weights_bytes=parts.weights_bytes,
        weights_by_component_bytes=parts.by_component,
        kv_cache_bytes=recorded(sequences * float(table.sequence_bytes[stage])),
        activations_bytes=parts.activations_bytes,
        reserve_bytes=parts.reserve_bytes,
        usable_bytes=recorded(evaluation.setting.device_usable_bytes),
        usable_kind=evaluation.setting.usable_kind,
        memory_fraction=evaluation.setting.memory_fraction,
        budget_bytes=recorded(float(room.budget_by_stage_bytes[stage])),
        headroom_bytes=recorded(float(headroom[stage - start])),
        kv_room_bytes=recorded(float(room.by_stage_bytes[stage])),
        kv_capacity_tokens=recorded(max(per_replica, 0.0) * tokens * copies),
        sequence_capacity=recorded(float(room.capacity[row]) * replicas),
    )


def best_row(size: Column, preference: Column, allowed: npt.NDArray[np.bool_]) -> int | None:
    """Return the smallest row that is allowed, the preferred one of equals; None when none is allowed."""
    rows = np.flatnonzero(allowed)
    if not rows.size:
        return None
    sizes = size[rows]
    equals = rows[sizes == sizes.min()]
    return int(equals[preference[equals].argmin()])
