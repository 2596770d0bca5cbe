"""The time of one step: published ceilings first, then what must hold for every model and machine."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.engine.collectives import expert_exchange_bytes, ring_all_reduce_bytes
from domain.engine.estimate import EstimateRequest
from domain.engine.estimating import estimate
from domain.engine.footprint import Footprint
from domain.engine.memory import Division, Keeping
from domain.engine.rates import Rates
from domain.engine.setting import ModelStudy
from domain.engine.step_time import roofline_s, step_time
from domain.engine.work import StepBatch, StepWork, step_work
from domain.quantity import power
from tests.release import catalog

MODELS = ("meta-llama/Llama-3.1-8B", "Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-120b")


# DeepSeek-AI 2025, arXiv:2505.09343, sec. 2.3.2: 32 tokens, 9 experts, 7 000 wide, FP8 out and BF16 back
@pytest.mark.parametrize(
    ("link_bytes_per_s", "exchange_s", "step_s", "tokens_per_s"),
    [(50e9, 120.96e-6, 14.757e-3, 67.8), (900e9, 6.72e-6, 0.820e-3, 1220.0)],
)
def test_the_exchange_with_experts_bounds_decoding_as_published(link_bytes_per_s, exchange_s, step_s, tokens_per_s):
    one = expert_exchange_bytes(32.0, 9.0, 7000.0, 1.0, 2.0) / link_bytes_per_s
    both_micro_batches = 2.0 * one
    assert one == pytest.approx(exchange_s, rel=1e-9)
    assert 61 * both_micro_batches == pytest.approx(step_s, rel=1e-3)
    assert 1.0 / (61 * both_micro_batches) == pytest.approx(tokens_per_s, rel=1e-3)


def test_an_all_reduce_over_eight_ranks_moves_1_75_times_its_message():
    assert ring_all_reduce_bytes(1000.0, 8.0) == 1750.0


@given(memory=st.floats(1e-9, 1e3), compute=st.floats(1e-9, 1e3))
def test_a_group_is_never_faster_than_its_roofline_and_at_most_a_fifth_slower(memory, compute):
    seconds = roofline_s(memory, compute)
    slowest = max(memory, compute)
    assert slowest * (1 - 1e-12) <= seconds <= 1.19 * slowest


@given(base=st.floats(0.0, 1.0), exponent=st.integers(0, 5_000))
def test_a_power_equals_repeated_multiplication(base, exponent):
    assert power(base, float(exponent)) == pytest.approx(base**exponent, rel=1e-9, abs=1e-300)


@given(base=st.floats(0.0, 1.0), exponents=st.lists(st.floats(0.0, 1e5), min_size=1, max_size=20))
def test_a_column_of_powers_has_the_bits_of_its_rows(base, exponents):
    column = power(np.full(len(exponents), base), np.array(exponents))
    assert column.tolist() == [float(power(base, exponent)) for exponent in exponents]


def footprint_of(model: str) -> Footprint:
    return ModelStudy(catalog(), catalog().model(model)).footprint("bf16", with_mtp=False)


def keeping_of(model: str) -> Keeping:
    engine = catalog().serving_engines["vllm"]
    layers = footprint_of(model).layers
    return Keeping(
        engine=engine, limits=engine.limits[0], cache_element_bytes=2.0, state_padding=tuple(1.0 for _ in layers)
    )


def work_of(model: str, batch: StepBatch[float], tensor: float = 1.0, data: float = 1.0) -> StepWork[float]:
    division = Division(
        tensor_parallel=tensor, attention_data_parallel=data, expert_parallel=1.0, decode_context_parallel=1.0
    )
    return step_work(footprint_of(model), division, 1.0, batch, keeping_of(model))


def batch_of(decode: float, prefill: float = 0.0, context: float = 1000.0) -> StepBatch[float]:
    return StepBatch(
        decode_sequences=decode, prefill_tokens=prefill, context_tokens=context, prefill_context_tokens=500.0
    )


def test_one_token_of_a_dense_model_multiplies_twice_its_parameters():
    work = work_of("meta-llama/Llama-3.1-8B", batch_of(1.0))
    linear = work.attention_projections.flops + work.dense_layers.flops + work.output_head.flops
    # 8.03e9 parameters less the input embedding (128 256 x 4 096) and the norms
    assert linear == pytest.approx(2 * (8_030_261_248 - 128_256 * 4096), rel=1e-4)


def test_one_token_reads_its_own_experts_and_many_tokens_read_all():
    one = work_of("Qwen/Qwen3-30B-A3B", batch_of(1.0)).routed_experts.bytes
    many = work_of("Qwen/Qwen3-30B-A3B", batch_of(4096.0)).routed_experts.bytes
    assert one / many == pytest.approx(8 / 128, rel=1e-6)


def test_decoding_reads_the_cache_of_every_sequence():
    work = work_of("deepseek-ai/DeepSeek-V3", batch_of(10.0, context=2048.0), tensor=8.0)
    assert work.attention.bytes == pytest.approx(10 * 2048 * 70_272)


RATES = Rates(
    memory_bytes_per_s=3e12,
    expert_bytes_per_s=2.5e12,
    cache_bytes_per_s=2.5e12,
    linear_flops_per_s=5e14,
    attention_flops_per_s=3e14,
    link_bytes_per_s=2e11,
    exchange_bytes_per_s=2e11,
    message_s=7e-6,
    step_s=1e-3,
    sequence_s=1e-5,
    layer_s=4e-5,
    expert_layer_s=2e-5,
    slowdown=1.0,
)


@pytest.mark.parametrize("model", MODELS)
def test_the_parts_of_a_step_add_up(model):
    seconds = step_time(work_of(model, batch_of(32.0, 512.0), tensor=4.0), RATES)
    parts = [getattr(seconds, name) for name in seconds.__slots__ if name != "total_s"]
    assert sum(parts) == pytest.approx(seconds.total_s)


@pytest.mark.parametrize("model", MODELS)
@given(decode=st.floats(1, 500), more=st.floats(1, 500), context=st.floats(16, 30_000))
def test_a_step_takes_longer_with_more_sequences_and_more_context(model, decode, more, context):
    def seconds(sequences: float, tokens: float) -> float:
        return step_time(work_of(model, batch_of(sequences, context=tokens), tensor=4.0), RATES).total_s

    assert seconds(decode + more, context) >= seconds(decode, context)
    assert seconds(decode, context + more) >= seconds(decode, context)


@pytest.mark.parametrize("model", MODELS)
def test_a_column_of_steps_has_the_bits_of_its_rows(model):
    counts = [1.0, 7.0, 64.0, 300.5]
    ones = np.ones(len(counts))
    division = Division(
        tensor_parallel=4 * ones, attention_data_parallel=ones, expert_parallel=ones, decode_context_parallel=ones
    )
    batch = StepBatch(
        decode_sequences=np.array(counts),
        prefill_tokens=256 * ones,
        context_tokens=1000 * ones,
        prefill_context_tokens=500 * ones,
    )
    work = step_work(footprint_of(model), division, ones, batch, keeping_of(model))
    rates = Rates(**{name: getattr(RATES, name) * ones for name in RATES.__slots__})
    rows = [step_time(work_of(model, batch_of(count, 256.0), tensor=4.0), RATES).total_s for count in counts]
    assert step_time(work, rates).total_s.tolist() == pytest.approx(rows, rel=1e-14)


def served(**changes: Any) -> Any:
    asked: dict[str, Any] = {
        "id": "a",
        "model": "meta-llama/Llama-3.1-70B",
        "accelerator": "h100-sxm-80",
        "accelerator_count": 4,
        "tensor_parallel": 4,
        "weight_format": "fp8",
        "engine": "vllm",
        "concurrency": 32.0,
    }
    return estimate(catalog(), EstimateRequest(**(asked | changes)))


def test_decoding_is_slower_than_reading_the_weights_at_the_peak():
    weights_bytes, peak = 70.55e9 / 4, 3.35e12
    assert served(concurrency=1.0).tpot_s.mean > weights_bytes / peak
