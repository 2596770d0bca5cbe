"""Which layout to take on how many accelerators: smallest by memory, smallest deployable, recommended."""

import math
from dataclasses import dataclass

import numpy as np

from domain.catalog.accelerator import Node
from domain.engine.deployment import Deployment
from domain.engine.judging import MARGINAL_ROOM_FRACTION, Evaluation, Place, Room, best_row, judged, placed
from domain.engine.layout_table import LayoutTable
from domain.engine.setting import Setting
from domain.quantity import Column

IDLE_SCALE = float(1 << 30)
"""Idle ranks count only between layouts that need the same number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Layouts evaluated in one setting, and the nodes that could carry them."""

    evaluation: Evaluation
    nodes: tuple[Node, ...]
    accelerator_limit: int
    replicas: Column
    """Replicas that hold the load, per layout; infinite where a layout holds nothing."""

    @property
    def setting(self) -> Setting:
        """What was evaluated."""
        return self.evaluation.setting

    @property
    def table(self) -> LayoutTable:
        """The layouts."""
        return self.evaluation.table

    @property
    def room(self) -> Room:
        """What they offer."""
        return self.evaluation.room

    @property
    def devices_per_card(self) -> int:
        """Ranks that one accelerator carries."""
        return self.setting.accelerator.devices_per_card

    @property
    def domain_devices(self) -> int:
        """Ranks that the fastest link joins: tensor groups beyond it cross nodes."""
        largest = max(
            (node.accelerator_count for node in self.nodes), default=self.setting.accelerator.link.domain_size
        )
        return largest * self.devices_per_card


def replicas_for(evaluation: Evaluation) -> Column:
    """Replicas that hold the load, per layout; infinite where a layout holds nothing."""
    with np.errstate(divide="ignore"):
        return np.ceil(evaluation.load.concurrency / evaluation.room.capacity)


def smallest_by_memory(search: Search) -> Deployment | None:
    """The fewest accelerators on any legal layout, whatever the nodes."""
    cards = np.ceil(search.table.ranks * search.replicas / search.devices_per_card)
    row = best_row(cards, table_preference(search), cards <= search.accelerator_limit)
    if row is None:
        return None
    group = float(search.table.tensor[row] * search.table.attention_data[row]) / search.devices_per_card
    place = placed(search.nodes, int(cards[row]), group, int(search.replicas[row]))
    return judged(search.evaluation, row, place)


def smallest_deployable(search: Search, *, allow_marginal: bool) -> Deployment | None:
    """The fewest accelerators in whole nodes; ``allow_marginal`` false gives the recommended deployment."""
    found = [
        deployment
        for node in search.nodes
        if (deployment := _on_nodes(search, node, allow_marginal=allow_marginal)) is not None
    ]
    return min(found, key=_least_boxes, default=None)


def _least_boxes(deployment: Deployment) -> tuple[bool, int, int, float]:
    """Not one server for each accelerator, then fewest accelerators, then fewest nodes, then the fullest."""
    count, nodes = deployment.accelerator_count, deployment.node_count or 0.0
    return nodes == count > 1, count, math.ceil(nodes), -nodes


def _on_nodes(search: Search, node: Node, *, allow_marginal: bool) -> Deployment | None:
    table, node_ranks = search.table, node.accelerator_count * search.devices_per_card
    ranks = _bought_ranks(table.ranks * search.replicas, node, search.devices_per_card)
    group = table.tensor * table.attention_data
    inside = (group <= node_ranks) & ((node_ranks % group == 0) | (table.ranks <= node_ranks))
    allowed = inside & (ranks <= search.accelerator_limit * search.devices_per_card)
    if not allow_marginal:
        allowed &= search.room.least_fraction >= MARGINAL_ROOM_FRACTION
    idle = np.where(allowed, ranks, 0.0) % table.ranks
    row = best_row(ranks + idle / IDLE_SCALE, table_preference(search), allowed)
    if row is None:
        return None
    count = int(ranks[row]) // search.devices_per_card
    filled = int(ranks[row] // table.ranks[row])
    place = Place(accelerator_count=count, replicas=filled, node=node, node_count=count / node.accelerator_count)
    return judged(search.evaluation, row, place)


def _bought_ranks(needed: Column, node: Node, devices_per_card: int) -> Column:
    """Ranks that are bought where so many are needed, per layout: see `Node.step_count`."""
    whole = node.accelerator_count
    within, beyond = (node.step_count(count) * devices_per_card for count in (whole, whole + 1))
    step = np.where(needed <= whole * devices_per_card, float(within), float(beyond))
    bought: Column = np.ceil(needed / step) * step
    return bought


def table_preference(search: Search) -> Column:
    """Places of the layouts in the order in which equals are preferred."""
    return search.table.preference(search.domain_devices)
