"""Accelerators: what a card is, in base units and dense peaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ComputeType = Literal["fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8", "int4"]
"""A type of multiplication that has a peak of its own."""

Support = Literal["native", "emulated", "unsupported", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleUpLink:
    """The link that joins the accelerators of one domain; rates per card."""

    name: str
    bidirectional_bytes_per_s: float | None
    unidirectional_bytes_per_s: float | None
    domain_size: int
    """Cards that reach each other over it; 1 where there is only the host bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One card, module, chip or CPU board as it is bought; None where the catalog says unknown."""

    id: str
    vendor: str
    name: str
    form_factor: str
    architecture: str
    generation: str
    """Key of the support table: ``hopper``, ``ada``, ``ascend_910b``, ``ascend_310p``, ``cdna3``, ``x86`` ..."""
    release_year: int
    devices_per_card: int
    """Devices that software sees on one card (Atlas 300I Duo and 910C: 2); each has an equal share."""
    memory_bytes: float
    """Nominal, vendor's decimal figure, whole card."""
    usable_memory_bytes: float | None
    """What the runtime reports, whole card; None where no report is known."""
    memory_type: str
    memory_bandwidth_bytes_per_s: float
    peak_flops_per_s: Mapping[str, float | None]
    """Dense peak by `ComputeType`, whole card; None is unknown, a missing key is unsupported."""
    support: Mapping[str, Support]
    """``fp8``, ``bf16``, ``int8``, ``int4``, ``fp4`` as the hardware does them."""
    link: ScaleUpLink
    pcie_generation: int | None
    tdp_w: float | None
    price_usd_per_hour: float | None
    price_note: str
    confidence: Literal["high", "medium", "low"]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A server or rack type that carries accelerators of one kind."""

    id: str
    name: str
    accelerator: str
    """Id of the accelerator."""
    accelerator_count: int
    link_name: str
    link_bidirectional_bytes_per_s: float | None
    """Per accelerator, inside the node; None where only the host bus joins them."""
    granularity_count: int
    """Accelerators that are bought at once: all of them on a board, 1 for cards in slots."""
    nic_count: int
    nic_bytes_per_s: float
    """One way, each."""
    host_cpu: str
    host_memory_bytes: float | None
    power_w: float | None
    confidence: Literal["high", "medium", "low"]
    note: str

    def step_count(self, accelerator_count: int) -> int:
        """Accelerators by which a deployment of about so many grows: what is bought at once, then whole nodes.

        Cards in slots are bought singly up to one full server; beyond it the next server comes full.
        """
        return self.granularity_count if accelerator_count <= self.accelerator_count else self.accelerator_count
