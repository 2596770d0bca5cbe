"""Questions that cannot be answered: every field that cannot be is named at once, with what is allowed."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.engine.answer import (
    CheckRequest,
    FieldRefusal,
    Load,
    QuestionRefused,
    SizeRequest,
    check,
    resolve_precision,
    size,
)
from tests.release import catalog

V3 = "deepseek-ai/DeepSeek-V3"


def refusals(**fields) -> dict[str, FieldRefusal]:
    """The refused fields of a check that is sound but for ``fields``."""
    sound = {"model": V3, "accelerator": "h200-sxm-141", "accelerator_count": 8}
    with pytest.raises(QuestionRefused) as refused:
        check(catalog(), CheckRequest(**{**sound, **fields}))
    assert str(refused.value) == "; ".join(str(field) for field in refused.value.fields)
    return {field.field: field for field in refused.value.fields}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("accelerator_count", 0),
        ("accelerator_count", -8),
        ("accelerator_count", 4097),
        ("tensor_parallel", 0),
        ("tensor_parallel", -1),
        ("pipeline_parallel", 0),
        ("expert_parallel", -2),
        ("attention_data_parallel", 0),
        ("decode_context_parallel", 0),
        ("replicas", -1),
        ("speculative_draft_tokens", -1),
        ("memory_fraction", 0.0),
        ("memory_fraction", -0.5),
        ("memory_fraction", 1.01),
        ("memory_fraction", math.nan),
        ("memory_fraction", math.inf),
        ("weight_format", "fp7"),
        ("weight_format", "fp8_e5m2"),
        ("weight_format", ""),
        ("kv_cache_format", "int4_awq"),
        ("engine", "vLLM"),
        ("engine", "vllm@0.19.0"),
        ("model", "deepseek-ai/DeepSeek-V4000"),
        ("accelerator", "h200"),
    ],
)
def test_a_field_that_cannot_be_is_named_with_what_is_allowed(field, value):
    refused = refusals(**{field: value})
    assert set(refused) == {field}
    assert refused[field].given.strip("'") == str(value)
    assert refused[field].allowed


@pytest.mark.parametrize(
    ("field", "load"),
    [
        ("input_tokens", Load(input_tokens=0)),
        ("input_tokens", Load(input_tokens=10**9)),
        ("output_tokens", Load(output_tokens=-1)),
        ("concurrency", Load(concurrency=0)),
        ("concurrency", Load(concurrency=10**7)),
    ],
)
def test_a_load_that_cannot_be_is_named(field, load):
    assert set(refusals(load=load)) == {field}


def test_all_fields_that_cannot_be_are_named_at_once():
    refused = refusals(
        model="deepseek-ai/DeepSeek-V33",
        accelerator="h2000",
        accelerator_count=0,
        tensor_parallel=-1,
        replicas=0,
        weight_format="fp9",
        kv_cache_format="fp9",
        engine="sgland",
        load=Load(input_tokens=0, output_tokens=-1, concurrency=-1),
        memory_fraction=math.nan,
        speculative_draft_tokens=-1,
    )
    assert set(refused) == {
        *("model", "accelerator", "accelerator_count", "tensor_parallel", "replicas"),
        *("weight_format", "kv_cache_format", "engine"),
        *("input_tokens", "output_tokens", "concurrency", "memory_fraction", "speculative_draft_tokens"),
    }


def test_an_unknown_id_is_answered_with_the_nearest_ones():
    refused = refusals(model="deepseek-ai/DeepSeek-R2", accelerator="h200-sxm-140")
    assert "deepseek-ai/DeepSeek-R1" in refused["model"].allowed
    assert "h200-sxm-141" in refused["accelerator"].allowed


def test_an_unknown_engine_version_is_answered_with_the_known_ones():
    assert "0.19.0" in refusals(engine="vllm", engine_version="9.9")["engine_version"].allowed
    assert set(refusals(engine_version="0.19.0")) == {"engine_version"}


@pytest.mark.parametrize("config", ["", "not json", "[]", "null", '{"a": ', "{}", "1e999", "[" * 5000])
def test_a_config_that_is_not_understood_is_refused_and_named(config):
    assert set(refusals(model="mine", config_json=config)) == {"config_json"}


def test_a_config_that_is_not_understood_is_named_beside_the_other_fields():
    assert set(refusals(model="mine", config_json="not json", accelerator_count=0)) == {
        "config_json",
        "accelerator_count",
    }


def test_every_unknown_accelerator_of_a_sizing_is_named():
    request = SizeRequest(model="nobody/nothing", accelerators=("h200", "l40s", "b20"), max_accelerator_count=0)
    with pytest.raises(QuestionRefused) as refused:
        size(catalog(), request)
    named = [(field.field, field.given) for field in refused.value.fields]
    assert named == [
        ("model", "'nobody/nothing'"),
        ("accelerators", "'h200'"),
        ("accelerators", "'b20'"),
        ("max_accelerator_count", "0"),
    ]


@pytest.mark.parametrize(("model", "accelerator"), [("nobody/nothing", "h100-sxm-80"), (V3, "h100")])
def test_precision_of_something_unknown_is_refused(model, accelerator):
    with pytest.raises(QuestionRefused):
        resolve_precision(catalog(), model, accelerator, "allow_8bit")


hostile_counts = st.one_of(st.integers(-(2**63), 2**63), st.sampled_from((0, 1, 2, 8, 4096)))


@given(
    counts=st.tuples(*(hostile_counts for _ in range(5))),
    degrees=st.tuples(*(st.none() | hostile_counts for _ in range(6))),
    fraction=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    texts=st.tuples(*(st.none() | st.text(max_size=20) for _ in range(4))),
)
@settings(deadline=None, max_examples=200)
def test_whatever_is_asked_is_answered_or_refused_with_its_fields(counts, degrees, fraction, texts):
    names = ("tensor", "pipeline", "expert", "attention_data", "decode_context")
    request = CheckRequest(
        model="Qwen/Qwen2.5-7B",
        accelerator="l40s",
        accelerator_count=counts[0],
        **{f"{name}_parallel": degree for name, degree in zip(names, degrees[:5], strict=True)},
        replicas=degrees[5],
        weight_format=texts[0],
        kv_cache_format=texts[1],
        engine=texts[2],
        engine_version=texts[3],
        load=Load(input_tokens=counts[1], output_tokens=counts[2], concurrency=counts[3]),
        memory_fraction=fraction,
        speculative_draft_tokens=counts[4],
    )
    try:
        said = check(catalog(), request).sentence
    except QuestionRefused as refused:
        said = "; ".join(field.allowed for field in refused.fields)
    assert said


@given(
    count=st.integers(1, 4096),
    degrees=st.tuples(*(st.none() | st.sampled_from((1, 2, 3, 4, 7, 8, 16, 64, 4096)) for _ in range(6))),
    engine=st.none() | st.sampled_from(("vllm", "sglang", "tensorrt_llm", "llama_cpp", "ktransformers", "mindie")),
    model=st.sampled_from((V3, "Qwen/Qwen2.5-7B", "Qwen/Qwen3-Next-80B-A3B-Instruct", "google/gemma-3-4b-it")),
    drafts=st.integers(0, 4),
)
@settings(deadline=None, max_examples=200)
def test_a_sound_question_always_has_an_answer_with_its_reasons(count, degrees, engine, model, drafts):
    names = ("tensor", "pipeline", "expert", "attention_data", "decode_context")
    request = CheckRequest(
        model=model,
        accelerator="h100-sxm-80",
        accelerator_count=count,
        **{f"{name}_parallel": degree for name, degree in zip(names, degrees[:5], strict=True)},
        replicas=degrees[5],
        engine=engine,
        speculative_draft_tokens=drafts,
    )
    answer = check(catalog(), request)
    assert (answer.deployment is None) == (answer.verdict == "impossible")
    assert answer.reasons or answer.verdict == "fits"
