"""Time of one step: each operator group at its roofline, messages at their links, and the engine's own overheads."""

from dataclasses import dataclass
from typing import Generic, Literal, cast

import numpy as np

from domain.engine.rates import Rates
from domain.engine.work import GroupWork, StepWork
from domain.quantity import Number

Bound = Literal["memory", "compute", "link", "overhead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime(Generic[Number]):
    """Seconds of one step on the slowest rank, by part; they add up."""

    attention_projections_s: Number
    attention_s: Number
    dense_layers_s: Number
    routed_experts_s: Number
    output_head_s: Number
    tensor_messages_s: Number
    expert_messages_s: Number
    stage_messages_s: Number
    overhead_s: Number
    total_s: Number


def roofline_s(memory_s: Number, compute_s: Number) -> Number:
    r"""Time of a group that reads for ``memory_s`` and multiplies for ``compute_s``, overlapped but not perfectly.

    .. math:: \sqrt[4]{t_m^4 + t_c^4}

    Between the larger of the two and 1.19 times it, where both are equal; square roots only, so that every CPU
    gives the same bits. Source: Williams et al. 2009, doi:10.1145/1498765.1498785, for the two ceilings.
    """
    memory, compute = memory_s * memory_s, compute_s * compute_s
    return cast("Number", np.sqrt(np.sqrt(memory * memory + compute * compute)))


def group_s(work: GroupWork[Number], bytes_per_s: Number, flops_per_s: Number) -> Number:
    """Seconds of one operator group."""
    return roofline_s(work.bytes / bytes_per_s, work.flops / flops_per_s)


def step_time(work: StepWork[Number], rates: Rates[Number]) -> StepTime[Number]:
    """Return the time of one step, by part.

    Source: the efficiencies and overheads are a calibration fact, see the release.
    Check: never shorter than bytes over bandwidth, nor flops over peak.
    """
    slow = rates.slowdown
    parts = {
        "attention_projections_s": group_s(
            work.attention_projections, rates.memory_bytes_per_s, rates.linear_flops_per_s
        ),
        "attention_s": work.attention.bytes / rates.cache_bytes_per_s
        + work.attention.flops / rates.attention_flops_per_s,
        "dense_layers_s": group_s(work.dense_layers, rates.memory_bytes_per_s, rates.linear_flops_per_s),
        "routed_experts_s": group_s(work.routed_experts, rates.expert_bytes_per_s, rates.linear_flops_per_s),
        "output_head_s": group_s(work.output_head, rates.memory_bytes_per_s, rates.attention_flops_per_s),
        "tensor_messages_s": work.tensor_messages * rates.message_s
        + work.tensor_message_bytes / rates.link_bytes_per_s,
        "expert_messages_s": work.expert_messages * rates.message_s
        + work.expert_message_bytes / rates.exchange_bytes_per_s,
        "stage_messages_s": work.stage_messages * rates.message_s + work.stage_message_bytes / rates.link_bytes_per_s,
        "overhead_s": work.steps * rates.step_s
        + work.sequences * rates.sequence_s
        + work.layers * rates.layer_s
        + work.expert_layers * rates.expert_layer_s,
    }
    scaled = {name: seconds * slow for name, seconds in parts.items()}
    return StepTime(**scaled, total_s=sum(scaled.values(), work.steps * 0.0))
