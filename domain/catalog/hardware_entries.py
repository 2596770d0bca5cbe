"""Accelerators and nodes out of the tables of a release."""

from typing import cast, get_args

from domain.catalog.accelerator import Accelerator, ComputeType, Node, ScaleUpLink, Support
from domain.catalog.entry import Entry
from domain.catalog.fact import Fact
from domain.catalog.record import record

COMPUTE_TYPES: tuple[str, ...] = get_args(ComputeType)
SUPPORT: tuple[str, ...] = get_args(Support)
SUPPORT_KEYS = ("bf16", "fp8", "int8", "int4", "fp4")


def accelerator(entry: Entry) -> Accelerator:
    """Read one accelerator."""
    entry.sources()
    return record(
        entry,
        Accelerator,
        id=entry.key,
        usable_memory_bytes=entry.fact("usable_memory_bytes"),
        peak_flops_per_s=_peaks(entry),
        support=_support(entry),
        link=_link(entry),
        tdp_w=entry.fact("tdp_w"),
        price_usd_per_hour=entry.fact("price_usd_per_hour"),
        price_note=_note(entry, "price_usd_per_hour"),
        pcie_generation=entry.whole("pcie_generation") if entry.has("pcie_generation") else None,
    )


def node(entry: Entry) -> Node:
    """Read one node type; rates per accelerator."""
    sources = entry.sources()
    built = record(
        entry,
        Node,
        id=entry.key,
        link_bidirectional_bytes_per_s=entry.fact("link_bidirectional_bytes_per_s"),
        host_memory_bytes=entry.fact("host_memory_bytes"),
        power_w=entry.fact("power_w"),
    )
    entry.ledger.facts[f"{entry.path}/accelerator_count"] = Fact(
        value=built.accelerator_count, kind="vendor", source=sources[0] if sources else ""
    )
    return built


def _peaks(entry: Entry) -> dict[str, float | None]:
    """Dense peaks: a type that the units lack has no key, a type whose rate is not known has None."""
    peaks: dict[str, float | None] = {}
    for compute_type in COMPUTE_TYPES:
        name = f"{compute_type}_flops_per_s"
        value = entry.fact(name)
        fact = entry.ledger.facts.get(f"{entry.path}/{name}")
        if fact is not None and fact.kind != "unsupported":
            peaks[compute_type] = value
    return peaks


def _support(entry: Entry) -> dict[str, Support]:
    table = entry.inside("support")
    support = {key: cast("Support", table.choice(key, SUPPORT)) for key in SUPPORT_KEYS}
    source = table.ledger.name(table.path, table.value("source"))
    table.close()
    summary = ", ".join(f"{key} {value}" for key, value in support.items())
    entry.ledger.facts[table.path] = Fact(value=summary, kind="vendor", source=source)
    return support


def _link(entry: Entry) -> ScaleUpLink:
    return ScaleUpLink(
        name=entry.text("link_name"),
        bidirectional_bytes_per_s=entry.fact("link_bidirectional_bytes_per_s"),
        unidirectional_bytes_per_s=entry.fact("link_unidirectional_bytes_per_s"),
        domain_size=entry.whole("link_domain_size"),
    )


def _note(entry: Entry, name: str) -> str:
    fact = entry.ledger.facts.get(f"{entry.path}/{name}")
    return fact.note if fact else ""
