"""Estimates: a configuration resolved, judged by memory, timed, and answered with interval and evidence."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from domain.catalog.calibration import Calibration
from domain.catalog.release import Catalog
from domain.engine.checking import Shape, judged_shape, shape_of
from domain.engine.deployment import CheckRequest, Deployment, Load
from domain.engine.estimate import EstimateAnswer, EstimateRequest, Evidence, Interval, Spread
from domain.engine.outcome import Outcome, percentiles
from domain.engine.question import FieldRefusal, QuestionRefused, known_accelerator, known_model
from domain.engine.rates import RateKey
from domain.engine.reason import Reason
from domain.engine.request_stream import OpenLoop, Requests, burst, fixed_lengths, poisson
from domain.engine.scheduler import Scheduler
from domain.engine.serving import saturates
from domain.engine.setting import ModelStudy
from domain.engine.simulation import RequestNeverFits, simulate
from domain.engine.speed import Speed, Steady, parts_of, speed_of, steady_speed, step_grid
from domain.quantity import recorded

ENDLESS_QUEUE = 1e6
SIMULATED_REQUESTS = 600
MOST_SIMULATED = 4_000
SEED = 20_261_101
LONGEST_TOKENS = 1e8
METRICS = ("ttft_s", "tpot_s", "end_to_end_s", "output_tokens_per_s", "prefill_tokens_per_s")
PREFILL_FIRST = ("sglang",)
RESERVES_OUTPUT = {"tensorrt_llm": 1.0, "sglang": 0.4}
"""Share of the output to come that an engine keeps room for before it admits the next (scheduler sources)."""


def estimate(catalog: Catalog, request: EstimateRequest) -> EstimateAnswer:
    """Estimate one configuration under one load.

    Raises `QuestionRefused` with every field that cannot be.
    """
    require_sound_estimate(request)
    model = known_model(catalog, request.model, request.config_json)
    accelerator = known_accelerator(catalog, request.accelerator)
    study, asked = ModelStudy(catalog, model), _as_check(catalog, request)
    shape = shape_of(study, accelerator, asked, study.resolver.resolve(accelerator, asked.policy, asked.weight_format))
    if not isinstance(shape, Shape):
        return _refused(request, shape, None)
    deployment = judged_shape(shape, asked)
    if deployment.memory.sequence_capacity < 1.0:
        return _refused(request, _lacks(deployment), deployment)
    speed = _speed(catalog.calibration, shape, request)
    if isinstance(speed, Reason):
        return _refused(request, (speed,), deployment)
    return _answered(speed, deployment, request)


def require_sound_estimate(request: EstimateRequest) -> None:
    """Raise `QuestionRefused` with every field that cannot be."""
    refusals = (*_length_refusals(request), *_load_refusals(request))
    if refusals:
        raise QuestionRefused(refusals)


def _length_refusals(request: EstimateRequest) -> Iterator[FieldRefusal]:
    for name in ("input_tokens", "output_tokens"):
        value = getattr(request, name)
        if not 0.0 <= value <= LONGEST_TOKENS:
            yield FieldRefusal(field=name, given=str(value), allowed=f"0 to {LONGEST_TOKENS:.0f}")
    if request.input_tokens + request.output_tokens < 1.0:
        yield FieldRefusal(field="output_tokens", given="0", allowed="at least one token in or out")
    if request.accelerator_count < 1:
        yield FieldRefusal(field="accelerator_count", given=str(request.accelerator_count), allowed="1 or more")
    if request.speculative_draft_tokens < 0:
        given = str(request.speculative_draft_tokens)
        yield FieldRefusal(field="speculative_draft_tokens", given=given, allowed="0 or more")


def _load_refusals(request: EstimateRequest) -> Iterator[FieldRefusal]:
    loads = {
        "concurrency": request.concurrency,
        "request_count": request.request_count,
        "request_rate_per_s": request.request_rate_per_s,
    }
    given = {name: value for name, value in loads.items() if value is not None}
    if len(given) + request.all_queued != 1:
        names = ", ".join([*given, *(["all_queued"] if request.all_queued else [])]) or "none"
        allowed = "exactly one of concurrency, request_count, all_queued, request_rate_per_s"
        yield FieldRefusal(field="load", given=names, allowed=allowed)
    for name, value in given.items():
        if not 0.0 < value <= ENDLESS_QUEUE:
            yield FieldRefusal(field=name, given=str(value), allowed=f"above 0, at most {ENDLESS_QUEUE:.0f}")


def _as_check(catalog: Catalog, request: EstimateRequest) -> CheckRequest:
    known = f"{request.engine}@{request.engine_version}" in catalog.serving_engines
    return CheckRequest(
        model=request.model,
        config_json=request.config_json,
        accelerator=request.accelerator,
        accelerator_count=request.accelerator_count,
        tensor_parallel=request.tensor_parallel,
        pipeline_parallel=request.pipeline_parallel,
        expert_parallel=request.expert_parallel,
        attention_data_parallel=request.attention_data_parallel,
        decode_context_parallel=request.decode_context_parallel,
        replicas=request.replicas,
        weight_format=request.weight_format,
        kv_cache_format=request.kv_cache_format,
        engine=request.engine,
        engine_version=request.engine_version if known else None,
        policy="allow_4bit",
        load=Load(
            input_tokens=max(int(np.ceil(request.input_tokens)), 1),
            output_tokens=int(np.ceil(request.output_tokens)),
        ),
        speculative_draft_tokens=request.speculative_draft_tokens,
    )


def _refused(request: EstimateRequest, reasons: tuple[Reason, ...], deployment: Deployment | None) -> EstimateAnswer:
    return EstimateAnswer(
        id=request.id,
        fits=False,
        sentence=" ".join(reason.sentence for reason in reasons),
        deployment=deployment,
        reasons=reasons,
        method="closed_form",
    )


def _lacks(deployment: Deployment) -> tuple[Reason, ...]:
    missing = -deployment.memory.headroom_bytes
    return (Reason(code="DOES_NOT_FIT", sentence=f"The fullest device lacks {missing:.0f} bytes.", bytes=missing),)


def _speed(calibration: Calibration | None, shape: Shape, request: EstimateRequest) -> Speed | Reason:
    if calibration is None:
        return Reason(code="NO_CALIBRATION", sentence="This release of the catalog judges memory alone.")
    speed = speed_of(
        shape,
        calibration,
        engine_version=request.engine_version or "",
        bench=request.all_queued,
        drafts=request.speculative_draft_tokens,
    )
    if speed is None:
        name = shape.setting.accelerator.name
        return Reason(code="PEAK_NOT_KNOWN", sentence=f"The catalog does not know a peak of {name} that is needed.")
    return speed


def _answered(speed: Speed, deployment: Deployment, request: EstimateRequest) -> EstimateAnswer:
    concurrency = request.concurrency or float(request.request_count or 0) or ENDLESS_QUEUE
    steady = steady_speed(
        speed,
        concurrency=concurrency if request.request_rate_per_s is None else 1.0,
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        cache_sequences=deployment.memory.sequence_capacity,
    )
    base = EstimateAnswer(
        id=request.id,
        fits=True,
        sentence="",
        deployment=deployment,
        reasons=(),
        method="closed_form",
        evidence=evidence_of(speed.calibration, speed.key),
        parts=parts_of(speed, steady),
    )
    if request.request_count is not None or request.request_rate_per_s is not None:
        return _simulated(base, speed, deployment, request)
    return _closed(base, speed, steady, request)


def _closed(base: EstimateAnswer, speed: Speed, steady: Steady, request: EstimateRequest) -> EstimateAnswer:
    seen = steady.served
    total = seen.output_tokens_per_s * (1.0 + request.input_tokens / max(request.output_tokens, 1.0))
    answer = replace(
        base,
        ttft_s=None if request.all_queued else _spread(speed.calibration, "ttft", seen.ttft_s),
        tpot_s=_spread(speed.calibration, "tpot", seen.tpot_s) if request.output_tokens > 1.0 else None,
        end_to_end_s=None if request.all_queued else _spread(speed.calibration, "tpot", seen.end_to_end_s),
        output_tokens_per_s=recorded(seen.output_tokens_per_s),
        total_tokens_per_s=recorded(total),
        prefill_tokens_per_s=recorded(seen.prefill_tokens_per_s),
        saturated=bool(saturates(steady.batch)),
    )
    return _with_intervals(answer, speed)


def _spread(calibration: Calibration, metric: str, mean_s: float) -> Spread:
    p50, p95, p99 = (calibration.value(f"{metric}_{name}_ratio") for name in ("p50", "p95", "p99"))
    return Spread(
        mean=recorded(mean_s), p50=recorded(mean_s * p50), p95=recorded(mean_s * p95), p99=recorded(mean_s * p99)
    )


def _simulated(base: EstimateAnswer, speed: Speed, deployment: Deployment, request: EstimateRequest) -> EstimateAnswer:
    copies = speed.shape.degrees.attention_data * speed.shape.replicas
    try:
        outcome = _played(speed, deployment, request, copies)
    except RequestNeverFits as never:
        return replace(base, fits=False, sentence=str(never))
    ends = np.asarray(outcome.last_token_s)
    window_s = float(ends.max() - outcome.arrival_s.min())
    tokens_per_s = float(outcome.output_tokens.sum()) / window_s * copies
    is_saturated = bool(outcome.is_open and request.request_rate_per_s is not None and outcome.saturated)
    answer = replace(
        base,
        method="simulation",
        ttft_s=_percentiles(outcome.ttft_s),
        tpot_s=_percentiles(outcome.tpot_s) if request.output_tokens > 1.0 else None,
        end_to_end_s=_percentiles(outcome.end_to_end_s),
        output_tokens_per_s=recorded(tokens_per_s),
        total_tokens_per_s=recorded(tokens_per_s * (1.0 + request.input_tokens / max(request.output_tokens, 1.0))),
        saturated=is_saturated,
        reasons=(Reason(code="DOES_NOT_HOLD", sentence="The queue grows: this load is not held."),)
        if is_saturated
        else (),
    )
    return _with_intervals(answer, speed)


def _played(speed: Speed, deployment: Deployment, request: EstimateRequest, copies: int) -> Outcome:
    """Play one attention group of one replica with its share of the load."""
    wanted = -(-request.request_count // copies) if request.request_count else SIMULATED_REQUESTS
    count = min(wanted, MOST_SIMULATED)
    setting, per_group = speed.shape.setting, deployment.memory.kv_capacity_tokens / copies
    scheduler = Scheduler(
        order="prefill_first" if setting.engine.id in PREFILL_FIRST else "mixed",
        chunked_prefill=True,
        sequence_limit=setting.keeping.limits.sequence_count,
        batched_tokens=setting.keeping.limits.batched_tokens,
        kv_capacity_tokens=per_group,
        block_tokens=setting.engine.block_tokens,
        reserved_output_fraction=RESERVES_OUTPUT.get(setting.engine.id, 0.0),
        tokens_per_step=speed.tokens_per_step,
        scheduled_tokens=1 + request.speculative_draft_tokens,
        pipeline_depth=speed.shape.degrees.pipeline,
    )
    grid = step_grid(
        speed,
        most_sequences=min(setting.keeping.limits.sequence_count, count),
        input_tokens=request.input_tokens,
        most_tokens=request.input_tokens + request.output_tokens,
    )
    return simulate(grid, scheduler, _requests(request, count), _arrivals(request, count, copies))


def _arrivals(request: EstimateRequest, count: int, copies: int) -> OpenLoop:
    if request.request_rate_per_s is None:
        return burst(count)
    return poisson(count, rate_per_s=request.request_rate_per_s / copies, seed=SEED)


def _requests(request: EstimateRequest, count: int) -> Requests:
    inputs = fixed_lengths(count, mean_tokens=max(request.input_tokens, 1.0))
    return Requests(
        input_tokens=inputs,
        cached_tokens=inputs * 0,
        output_tokens=fixed_lengths(count, mean_tokens=max(request.output_tokens, 1.0)),
    )


def _percentiles(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Spread:
    found = percentiles(values)
    return Spread(mean=recorded(found.mean), p50=recorded(found.p50), p95=recorded(found.p95), p99=recorded(found.p99))


def _with_intervals(answer: EstimateAnswer, speed: Speed) -> EstimateAnswer:
    level = "any" if answer.evidence is None else answer.evidence.knowledge
    return replace(
        answer,
        interval_90=tuple(_intervals(answer, speed.calibration, level)),
        sentence=_sentence(answer),
    )


def _intervals(answer: EstimateAnswer, calibration: Calibration, level: str) -> Iterator[Interval]:
    for metric in METRICS:
        value = getattr(answer, metric)
        mean = value.mean if isinstance(value, Spread) else value
        low, high = interval_factors(calibration, metric, level)
        if mean is not None:
            yield Interval(metric=metric, low=recorded(mean * low), high=recorded(mean * high))


def interval_factors(calibration: Calibration, metric: str, level: str) -> tuple[float, float]:
    """Return the factors of the 90 % interval: of this metric at this knowledge, else of the metric at all."""
    fallback = metric if f"{metric}/any/low" in calibration.spreads else "output_tokens_per_s"
    for name in (f"{metric}/{level}", f"{fallback}/any"):
        if f"{name}/low" in calibration.spreads:
            return calibration.spreads[f"{name}/low"], calibration.spreads[f"{name}/high"]
    return 0.0, np.inf


def evidence_of(calibration: Calibration, key: RateKey) -> Evidence:
    """Say how many measurements stand behind an estimate, and of what."""
    groups = dict(key.groups())
    counts = {
        name: calibration.count(f"step/{name}", groups[name]) for name in ("model", "accelerator", "engine_model")
    }
    version = calibration.count("step/engine_version", f"{key.engine}@{key.engine_version}")
    level = "engine_model" if counts["engine_model"] else "model" if counts["model"] else "class"
    engine_count = calibration.count("step_s/engine", key.engine)
    return Evidence(
        engine_count=engine_count,
        engine_version_count=version,
        model_count=counts["model"],
        accelerator_count=counts["accelerator"],
        engine_model_count=counts["engine_model"],
        knowledge=level,  # type: ignore[arg-type]
        percentiles_calibrated=engine_count > 0,
        sentence=(
            f"{counts['engine_model']} measurements of this engine with this model, {counts['model']} of the model, "
            f"{counts['accelerator']} of the accelerator, {version} of this engine release."
        ),
    )


def _sentence(answer: EstimateAnswer) -> str:
    if answer.saturated and answer.method == "simulation":
        return "This load is not held: the queue grows without end."
    tpot = f"{answer.tpot_s.mean * 1e3:.1f} ms a token, " if answer.tpot_s else ""
    ttft = f"first token after {answer.ttft_s.mean:.3g} s, " if answer.ttft_s else ""
    return f"{ttft}{tpot}{answer.output_tokens_per_s or 0.0:.0f} output tokens/s."
