"""What may be asked of the speed of a configuration, and what is answered: figures, intervals, what stands behind."""

from dataclasses import dataclass
from typing import Literal

from domain.engine.deployment import Deployment
from domain.engine.reason import Reason

Method = Literal["closed_form", "simulation"]
"""Which engine spoke: steady-state formulas, or the scheduler played request by request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRequest:
    """One configuration under one load; exactly one of the four loads is given. None is as the engine would choose."""

    id: str
    model: str
    config_json: str | None = None
    accelerator: str
    accelerator_count: int
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    expert_parallel: int | None = None
    attention_data_parallel: int | None = None
    decode_context_parallel: int | None = None
    replicas: int | None = None
    weight_format: str | None = None
    kv_cache_format: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    """Any release; the calibration says how near the measured ones are."""
    input_tokens: float = 1024.0
    output_tokens: float = 1024.0
    concurrency: float | None = None
    """Requests in the whole system, each followed by the next (closed loop)."""
    request_count: int | None = None
    """Requests that come at once (burst)."""
    all_queued: bool = False
    """Everything waits at the start: sustained throughput."""
    request_rate_per_s: float | None = None
    """Poisson arrivals, whole system (open loop)."""
    speculative_draft_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A quantity over requests, in seconds."""

    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Between what a measurement would lie in nine cases of ten."""

    metric: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One operator group of a step that decodes, on one device."""

    name: str
    time_s: float
    bytes: float
    flops: float
    bound: Literal["memory", "compute", "link", "overhead"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What stands behind an estimate: published measurements of the same groups."""

    engine_count: int
    """Measurements of this engine."""
    engine_version_count: int
    model_count: int
    accelerator_count: int
    engine_model_count: int
    knowledge: Literal["engine_model", "model", "class"]
    """Whether this engine was measured with this model, the model with another engine, or only its like."""
    percentiles_calibrated: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateAnswer:
    """Answer to an `EstimateRequest`; figures are None where they cannot be."""

    id: str
    fits: bool
    sentence: str
    deployment: Deployment | None
    reasons: tuple[Reason, ...]
    method: Method
    ttft_s: Spread | None = None
    tpot_s: Spread | None = None
    end_to_end_s: Spread | None = None
    output_tokens_per_s: float | None = None
    total_tokens_per_s: float | None = None
    prefill_tokens_per_s: float | None = None
    saturated: bool = False
    interval_90: tuple[Interval, ...] = ()
    evidence: Evidence | None = None
    parts: tuple[Part, ...] = ()
    statements: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
