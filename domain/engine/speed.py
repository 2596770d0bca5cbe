"""The speed of one resolved configuration: step times, a grid of them for the simulation, and the closed form."""

from dataclasses import dataclass

import numpy as np

from domain.catalog.calibration import Calibration
from domain.engine.checking import Shape
from domain.engine.estimate import Part
from domain.engine.memory import Division
from domain.engine.rates import Peaks, RateKey, Rates, peaks_of, reached
from domain.engine.serving import Served, ServingCase, SteadyBatch, scheduling, served, steady_batch
from domain.engine.step_grid import StepGrid
from domain.engine.step_time import StepTime, group_s, step_time
from domain.engine.work import GroupWork, StepBatch, StepWork, step_work
from domain.quantity import recorded

MEAN_OUTPUT_SHARE = 0.57
"""Share of its output that a running sequence holds on average, steady state (study of the open rows)."""
GRID_PREFILLS = 6
GRID_CONTEXTS = 4
NARROWEST_CONTEXT = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """A configuration ready to be timed."""

    shape: Shape
    key: RateKey
    peaks: Peaks[float]
    calibration: Calibration
    tokens_per_step: float
    drafts: float

    @property
    def rates(self) -> Rates[float]:
        """What one device reaches."""
        return reached(self.peaks, self.key, self.calibration)

    def work(self, batch: StepBatch[float]) -> StepWork[float]:
        """Work of one step on one device."""
        degrees, setting = self.shape.degrees, self.shape.setting
        division = Division(
            tensor_parallel=float(degrees.tensor),
            attention_data_parallel=float(degrees.attention_data),
            expert_parallel=float(degrees.expert),
            decode_context_parallel=float(degrees.decode_context),
        )
        return step_work(setting.footprint, division, float(degrees.pipeline), batch, setting.keeping)

    def step(self, batch: StepBatch[float]) -> StepTime[float]:
        """Time of one step."""
        return step_time(self.work(batch), self.rates)


def speed_of(shape: Shape, calibration: Calibration, *, engine_version: str, bench: bool, drafts: int) -> Speed | None:
    """Make a configuration ready; None where the catalog does not know a peak that is needed."""
    setting = shape.setting
    peaks = peaks_of(setting.accelerator, setting.way)
    if peaks is None:
        return None
    key = RateKey(
        engine=f"{setting.engine.id}_bench" if bench and setting.engine.id == "tensorrt_llm" else setting.engine.id,
        engine_version=engine_version,
        generation=setting.accelerator.generation,
        accelerator=setting.accelerator.id,
        model=setting.footprint.model.id,
        compute_type=setting.way.compute_type,
    )
    return Speed(
        shape=shape,
        key=key,
        peaks=peaks,
        calibration=calibration,
        tokens_per_step=1.0 + drafts * calibration.value("accepted_draft_fraction"),
        drafts=float(drafts),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """A closed-form answer with what it rests on."""

    case: ServingCase[float]
    batch: SteadyBatch[float]
    decode: StepTime[float]
    served: Served[float]


def steady_speed(
    speed: Speed, *, concurrency: float, input_tokens: float, output_tokens: float, cache_sequences: float
) -> Steady:
    """Return what ``concurrency`` requests in the whole system see in steady state."""
    degrees, limits = speed.shape.degrees, speed.shape.setting.keeping.limits
    groups = float(degrees.attention_data * speed.shape.replicas)
    case = ServingCase(
        concurrency=concurrency / groups,
        input_tokens=input_tokens,
        output_tokens=max(output_tokens, 1.0),
        sequence_limit=float(limits.sequence_count),
        token_limit=float(limits.batched_tokens),
        cache_sequences=max(cache_sequences / groups, 1.0),
        stages=float(degrees.pipeline),
        groups=groups,
        tokens_per_step=speed.tokens_per_step,
    )
    batch = steady_batch(case)
    decode = speed.step(_batch(batch.decode_sequences, 0.0, case, speed.drafts))
    mixed = speed.step(_batch(batch.decode_sequences, batch.chunk_tokens, case, speed.drafts))
    order = scheduling(speed.calibration, speed.key)
    return Steady(
        case=case, batch=batch, decode=decode, served=served(case, batch, decode.total_s, mixed.total_s, order)
    )


def _batch(sequences: float, prefill_tokens: float, case: ServingCase[float], drafts: float) -> StepBatch[float]:
    return StepBatch(
        decode_sequences=sequences,
        prefill_tokens=prefill_tokens + sequences * drafts,
        context_tokens=case.input_tokens + MEAN_OUTPUT_SHARE * case.output_tokens,
        prefill_context_tokens=max(case.input_tokens, 1.0) / 2.0,
    )


def step_grid(speed: Speed, *, most_sequences: int, input_tokens: float, most_tokens: float) -> StepGrid:
    """Fill a grid of step times for the simulation of one attention group."""
    limits = speed.shape.setting.keeping.limits
    counts = np.unique(np.concatenate(([0.0], np.rint(np.geomspace(1.0, max(most_sequences, 2), 12)))))
    prefills = np.concatenate(([0.0], np.geomspace(16.0, max(limits.batched_tokens, 32), GRID_PREFILLS)))
    contexts = np.geomspace(NARROWEST_CONTEXT, max(most_tokens, 2.0 * NARROWEST_CONTEXT), GRID_CONTEXTS)
    mesh = np.array(np.meshgrid(counts, prefills, contexts, indexing="ij")).reshape(3, -1)
    times = [
        _grid_time(speed, (sequences, prefill, context), input_tokens / 2.0)
        for sequences, prefill, context in mesh.T.tolist()
    ]
    return StepGrid(
        decoding_counts=counts,
        prefill_tokens=prefills,
        context_tokens=contexts,
        step_s=np.array(times).reshape(counts.size, prefills.size, contexts.size),
        prefill_pair_s=0.0,
    )


def _grid_time(speed: Speed, point: tuple[float, float, float], behind: float) -> float:
    sequences, prefill, context = point
    batch = StepBatch(
        decode_sequences=sequences,
        prefill_tokens=prefill + sequences * speed.drafts,
        context_tokens=context,
        prefill_context_tokens=behind,
    )
    return speed.step(batch).total_s


def parts_of(speed: Speed, steady: Steady) -> tuple[Part, ...]:
    """Return each operator group of a decoding step with its work, its time and what bounds it."""
    work = speed.work(_batch(steady.batch.decode_sequences, 0.0, steady.case, speed.drafts))
    rates, decode = speed.rates, steady.decode
    groups = (
        ("attention_projections", work.attention_projections, decode.attention_projections_s, rates.memory_bytes_per_s),
        ("attention", work.attention, decode.attention_s, rates.cache_bytes_per_s),
        ("dense_layers", work.dense_layers, decode.dense_layers_s, rates.memory_bytes_per_s),
        ("routed_experts", work.routed_experts, decode.routed_experts_s, rates.expert_bytes_per_s),
        ("output_head", work.output_head, decode.output_head_s, rates.memory_bytes_per_s),
    )
    messages = (
        ("tensor_messages", work.tensor_message_bytes, decode.tensor_messages_s),
        ("expert_messages", work.expert_message_bytes, decode.expert_messages_s),
        ("stage_messages", work.stage_message_bytes, decode.stage_messages_s),
    )
    found = [_part(name, group, time_s, rate, rates) for name, group, time_s, rate in groups if time_s]
    found += [
        Part(name=name, time_s=recorded(time_s), bytes=recorded(sent), flops=0.0, bound="link")
        for name, sent, time_s in messages
        if time_s
    ]
    overhead = Part(name="overhead", time_s=recorded(decode.overhead_s), bytes=0.0, flops=0.0, bound="overhead")
    return (*found, overhead)


def _part(name: str, group: GroupWork[float], time_s: float, bytes_per_s: float, rates: Rates[float]) -> Part:
    reading = group_s(GroupWork(bytes=group.bytes, flops=0.0), bytes_per_s, rates.linear_flops_per_s)
    multiplying = group_s(GroupWork(bytes=0.0, flops=group.flops), bytes_per_s, rates.linear_flops_per_s)
    return Part(
        name=name,
        time_s=recorded(float(time_s)),
        bytes=recorded(group.bytes),
        flops=recorded(group.flops),
        bound="memory" if reading >= multiplying else "compute",
    )
