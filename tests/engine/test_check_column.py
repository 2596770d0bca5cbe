"""A column of checks answers what one check after another answers, to the last recorded digit."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.engine.answer import CheckRequest, Load, QuestionRefused, check, check_column
from domain.quantity import recorded
from tests.release import catalog

MODELS = sorted(catalog().models)
ACCELERATORS = sorted(catalog().accelerators)

loads = st.builds(
    Load,
    input_tokens=st.integers(1, 100_000),
    output_tokens=st.integers(0, 20_000),
    concurrency=st.integers(1, 2_000),
)
shapes = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "accelerator": st.sampled_from(ACCELERATORS),
        "accelerator_count": st.sampled_from((1, 2, 3, 4, 8, 12, 16, 24, 32)),
        "tensor_parallel": st.sampled_from((None, None, 1, 2, 8)),
        "attention_data_parallel": st.sampled_from((None, None, 2, 8)),
        "replicas": st.sampled_from((None, None, 1, 2)),
        "weight_format": st.sampled_from((None, None, "bf16", "fp8", "int8", "int4_awq", "q4_k_m")),
        "kv_cache_format": st.sampled_from((None, "fp8")),
        "engine": st.sampled_from((None, None, "vllm", "sglang", "tensorrt_llm", "llama_cpp", "vllm_ascend")),
        "policy": st.sampled_from(("lossless", "allow_8bit", "allow_4bit")),
        "memory_fraction": st.sampled_from((None, 0.8, 0.95)),
        "speculative_draft_tokens": st.sampled_from((0, 0, 1)),
    }
)


def same_number(column: float, single: float) -> bool:
    return recorded(column) == single


@given(shape=shapes, some_loads=st.lists(loads, min_size=1, max_size=4))
@settings(deadline=None, max_examples=250)
def test_one_check_equals_its_row_in_a_column(shape, some_loads):
    requests = [CheckRequest(load=load, **shape) for load in some_loads]
    column = check_column(catalog(), requests)
    for row, request in enumerate(requests):
        answer = check(catalog(), request)
        assert column.verdicts()[row] == answer.verdict
        if answer.deployment is None:
            assert math.isnan(column.headroom_bytes[row])
            continue
        memory = answer.deployment.memory
        assert same_number(column.headroom_bytes[row], memory.headroom_bytes)
        assert same_number(column.kv_capacity_tokens[row], memory.kv_capacity_tokens)
        assert same_number(column.sequence_capacity[row], memory.sequence_capacity)


@given(shape_list=st.lists(shapes, min_size=2, max_size=5), load=loads, order=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_a_row_does_not_depend_on_its_neighbours(shape_list, load, order):
    requests = [CheckRequest(load=load, **shape) for shape in shape_list] * 2
    order.shuffle(requests)
    together = check_column(catalog(), requests)
    for row, request in enumerate(requests):
        alone = check_column(catalog(), [request])
        assert alone.verdict_indexes[0] == together.verdict_indexes[row]
        same = alone.headroom_bytes[0] == together.headroom_bytes[row]
        assert same or (math.isnan(alone.headroom_bytes[0]) and math.isnan(together.headroom_bytes[row]))


def test_no_question_has_no_answer():
    assert check_column(catalog(), []).verdicts() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"accelerator_count": 0},
        {"memory_fraction": math.nan},
        {"load": Load(input_tokens=-1)},
        {"load": Load(concurrency=0)},
        {"weight_format": "int3"},
        {"engine": "llama"},
        {"model": "nobody/nothing"},
        {"accelerator": "h1000"},
    ],
)
def test_a_column_refuses_what_a_single_check_refuses(bad):
    good = CheckRequest(model=MODELS[0], accelerator=ACCELERATORS[0], accelerator_count=1)
    fields = {"model": MODELS[0], "accelerator": ACCELERATORS[0], "accelerator_count": 1, **bad}
    refused = CheckRequest(**fields)
    with pytest.raises(QuestionRefused) as alone:
        check(catalog(), refused)
    with pytest.raises(QuestionRefused) as together:
        check_column(catalog(), [good, refused, good])
    assert together.value.fields == alone.value.fields
