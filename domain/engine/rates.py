"""Rates and overheads that hardware and software reach: peaks of the catalog times calibrated fractions."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from domain.catalog.accelerator import Accelerator
from domain.engine.precision import Way
from domain.quantity import Column, Number, smaller

Factor_co = TypeVar("Factor_co", float, Column, covariant=True)

HOST_BUS_BYTES_PER_S = {3: 15.75e9, 4: 31.5e9, 5: 63.0e9, 6: 121.0e9}
"""One way of a x16 slot by generation: 8, 16, 32, 64 GT/s with the coding of each (PCI-SIG base specifications)."""
OLDEST_BUS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates(Generic[Number]):
    """What one device reaches in one setting."""

    memory_bytes_per_s: Number
    expert_bytes_per_s: Number
    cache_bytes_per_s: Number
    linear_flops_per_s: Number
    attention_flops_per_s: Number
    link_bytes_per_s: Number
    exchange_bytes_per_s: Number
    message_s: Number
    step_s: Number
    sequence_s: Number
    layer_s: Number
    expert_layer_s: Number
    slowdown: Number
    """How much longer than its parts say a step of this engine, device and model takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateKey:
    """What calibration may depend on."""

    engine: str
    """Kind of engine: ``vllm``, ``sglang``, ``tensorrt_llm``, ``tensorrt_llm_bench`` ..."""
    engine_version: str
    generation: str
    accelerator: str
    model: str
    compute_type: str

    def groups(self) -> tuple[tuple[str, str], ...]:
        """Scopes and keys of the groups that a measurement belongs to, beside its engine version."""
        return (
            ("accelerator", self.accelerator),
            ("model", self.model),
            ("engine_generation", f"{self.engine}:{self.generation}"),
            ("engine_model", f"{self.engine}:{self.model}"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks(Generic[Number]):
    """Ceilings of one device as the catalog states them."""

    memory_bytes_per_s: Number
    linear_flops_per_s: Number
    attention_flops_per_s: Number
    link_bytes_per_s: Number
    on_host_bus: Number
    """1 where the devices meet on the host bus, 0 where a link of their own joins them."""


class Factors(Protocol[Factor_co]):
    """A calibration as the formulas read it: one plan, or a column of measurements while it is fitted."""

    def value(self, parameter: str) -> Factor_co:
        """Return a parameter."""

    def effect(self, scope: str, key: str) -> Factor_co:
        """Return the factor of one group, 1 where nothing was measured."""


def peaks_of(accelerator: Accelerator, way: Way) -> Peaks[float] | None:
    """Return the ceilings of one device of ``accelerator``; None where the catalog does not know the rate.

    Source: the catalog; dense peaks.
    """
    rates = accelerator.peak_flops_per_s
    working = next((rate for name in ("bf16", "fp16", "fp32") if (rate := rates.get(name))), None)
    if way.peak_flops_per_s is None or working is None:
        return None
    devices = accelerator.devices_per_card
    link = accelerator.link.unidirectional_bytes_per_s if accelerator.link.domain_size > 1 else None
    bus = HOST_BUS_BYTES_PER_S.get(accelerator.pcie_generation or OLDEST_BUS, HOST_BUS_BYTES_PER_S[OLDEST_BUS])
    return Peaks(
        memory_bytes_per_s=accelerator.memory_bandwidth_bytes_per_s / devices,
        linear_flops_per_s=way.peak_flops_per_s / devices,
        attention_flops_per_s=working / devices,
        link_bytes_per_s=bus if link is None else link,
        on_host_bus=float(link is None),
    )


def reached(peaks: Peaks[Number], key: RateKey, factors: Factors[Number]) -> Rates[Number]:
    """Return what a device reaches: each ceiling times its fraction, never above the ceiling."""
    memory = peaks.memory_bytes_per_s * _fraction(factors, "bandwidth_fraction", ("generation", key.generation), key)
    by_type = ("generation_type", f"{key.generation}:{key.compute_type}")
    linear = peaks.linear_flops_per_s * _fraction(factors, "compute_fraction", by_type, key)
    bus = 1.0 + peaks.on_host_bus * (factors.value("host_bus_factor") - 1.0)
    return Rates(
        memory_bytes_per_s=memory,
        expert_bytes_per_s=memory * factors.value("expert_bandwidth_fraction"),
        cache_bytes_per_s=memory * factors.value("cache_bandwidth_fraction"),
        linear_flops_per_s=linear,
        attention_flops_per_s=peaks.attention_flops_per_s * factors.value("attention_compute_fraction"),
        link_bytes_per_s=peaks.link_bytes_per_s * factors.value("link_fraction"),
        exchange_bytes_per_s=peaks.link_bytes_per_s * factors.value("exchange_fraction"),
        message_s=factors.value("message_s") * bus,
        step_s=by_engine(factors, "step_s", key),
        sequence_s=by_engine(factors, "sequence_s", key),
        layer_s=by_engine(factors, "layer_s", key),
        expert_layer_s=by_engine(factors, "expert_layer_s", key),
        slowdown=group_factor(factors, key, "step"),
    )


def by_engine(factors: Factors[Number], name: str, key: RateKey) -> Number:
    """Return a parameter with the factor of the engine."""
    return factors.value(name) * factors.effect(f"{name}/engine", key.engine)


def _fraction(factors: Factors[Number], name: str, group: tuple[str, str], key: RateKey) -> Number:
    scope, member = group
    fraction = by_engine(factors, name, key) * factors.effect(f"{name}/{scope}", member)
    return smaller(fraction, fraction * 0.0 + 1.0)


def group_factor(factors: Factors[Number], key: RateKey, what: str) -> Number:
    """Product of the factors of ``what`` (``step`` or ``first_token``) that the groups of measurements support."""
    factor = factors.effect(f"{what}/engine_version", f"{key.engine}@{key.engine_version}")
    for scope, name in key.groups():
        factor = factor * factors.effect(f"{what}/{scope}", name)
    return factor
