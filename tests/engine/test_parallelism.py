"""Layouts: which divisions are legal, how layers fall into stages, and that nothing else is ever returned."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog.model import DenseFeedForward, Layer, LinearAttention, MixtureOfExperts, Model, SelfAttention
from domain.catalog.serving_engine import ServingEngine
from domain.engine.answer import CheckRequest, Layout, SizeRequest, check, size
from domain.engine.footprint import Footprint
from domain.engine.layout_search import legal_groups, searched_layouts
from domain.engine.parallelism import (
    Degrees,
    balanced_stages,
    default_stages,
    distinct_stages,
    division_obstacle,
    expert_obstacle,
    expert_parallel_default,
)
from domain.engine.setting import ModelStudy
from tests.release import catalog

MODELS = sorted(catalog().models)
LARGE = [model for model in MODELS if catalog().models[model].layer_count >= 16]
V3 = "deepseek-ai/DeepSeek-V3"
ENGINES = ("vllm", "sglang", "tensorrt_llm", "llama_cpp", "vllm_ascend", "mindie")
BISECTED = 1.0 + 1e-3


def searched(footprint: Footprint, engine: ServingEngine, limit: int) -> tuple[Degrees, ...]:
    return searched_layouts(footprint, engine, legal_groups(footprint.model, engine, limit, limit), limit)


def engine_of(name: str) -> ServingEngine:
    return catalog().serving_engines[name]


def footprint_of(model: str, number_format: str = "bf16") -> Footprint:
    return ModelStudy(catalog(), catalog().model(model)).footprint(number_format, with_mtp=False)


# What vLLM's get_pp_indices gives: layers that are left over go to the stages before the last, from the back.
@pytest.mark.parametrize(
    ("layer_count", "stage_count", "stages"),
    [
        (61, 2, (31, 30)),
        (61, 3, (20, 21, 20)),
        (61, 4, (15, 15, 16, 15)),
        (80, 6, (13, 13, 13, 14, 14, 13)),
        (32, 4, (8, 8, 8, 8)),
        (5, 1, (5,)),
    ],
)
def test_vllm_gives_left_over_layers_to_the_stages_before_the_last(layer_count, stage_count, stages):
    assert default_stages(layer_count, stage_count, engine_of("vllm")) == stages


@pytest.mark.parametrize(
    ("layer_count", "stage_count", "stages"), [(61, 3, (21, 20, 20)), (80, 6, (14, 14, 13, 13, 13, 13))]
)
def test_others_give_left_over_layers_to_the_first_stages(layer_count, stage_count, stages):
    assert default_stages(layer_count, stage_count, engine_of("sglang")) == stages


@given(layer_count=st.integers(1, 130), stage_count=st.integers(1, 20), engine=st.sampled_from(ENGINES))
def test_default_stages_hold_every_layer_once_and_differ_by_one_at_most(layer_count, stage_count, engine):
    if stage_count <= layer_count:
        stages = default_stages(layer_count, stage_count, engine_of(engine))
        assert (len(stages), sum(stages)) == (stage_count, layer_count)
        assert max(stages) - min(stages) <= 1


def fullest(loads: Sequence[float], stages: Sequence[int], first_extra: float, last_extra: float) -> float:
    held, start = [], 0
    for count in stages:
        held.append(sum(loads[start : start + count]))
        start += count
    held[0] += first_extra
    held[-1] += last_extra
    return max(held)


def divisions(layer_count: int, stage_count: int) -> Iterator[tuple[int, ...]]:
    for cuts in combinations(range(1, layer_count), stage_count - 1):
        ends = (0, *cuts, layer_count)
        yield tuple(end - start for start, end in pairwise(ends))


layer_loads = st.lists(st.integers(1, 50).map(float), min_size=2, max_size=10)


@given(loads=layer_loads, stage_count=st.integers(2, 5), extras=st.tuples(st.integers(0, 60), st.integers(0, 60)))
@settings(deadline=None, max_examples=300)
def test_balanced_stages_are_the_lightest_of_all_divisions(loads, stage_count, extras):
    if stage_count > len(loads):
        return
    stages = balanced_stages(loads, stage_count, first_extra=float(extras[0]), last_extra=float(extras[1]))
    assert (len(stages), sum(stages)) == (stage_count, len(loads))
    assert min(stages) >= 1
    lightest = min(fullest(loads, one, *extras) for one in divisions(len(loads), stage_count))
    assert fullest(loads, stages, *extras) <= lightest * 1.02


@given(model=st.sampled_from(LARGE), stage_count=st.integers(2, 16), engine=st.sampled_from(ENGINES))
@settings(deadline=None, max_examples=150)
def test_balanced_stages_of_a_model_are_never_heavier_than_the_engine_s_own(model, stage_count, engine):
    footprint = footprint_of(model)
    loads = [footprint.layers[kind].weights_bytes for kind in footprint.model.pattern]
    first = sum(share.size_bytes for share in footprint.first_stage)
    last = sum(share.size_bytes for share in (*footprint.last_stage, *footprint.tied_head))
    balanced = fullest(loads, footprint.balanced(stage_count), first, last)
    own = fullest(loads, default_stages(len(loads), stage_count, engine_of(engine)), first, last)
    assert balanced <= own * BISECTED


@given(model=st.sampled_from(LARGE), stage_count=st.integers(1, 16))
@settings(deadline=None, max_examples=60)
def test_distinct_stages_are_all_the_stages_there_are(model, stage_count):
    known = catalog().models[model]
    counts = default_stages(known.layer_count, stage_count, engine_of("vllm"))
    stages = list(distinct_stages(known, counts))
    assert len(set(stages)) == len(stages)
    assert any(stage.is_first for stage in stages)
    assert any(stage.is_last for stage in stages)
    assert {sum(stage.layer_counts) for stage in stages} == set(counts)


def divides_attention(layer: Layer, tensor: int) -> bool:
    match layer.attention:
        case None:
            return True
        case SelfAttention(head_count=heads, kv_head_count=groups):
            return heads % tensor == 0 and (groups % tensor == 0 or tensor % groups == 0)
        case LinearAttention(kind="mamba2", value_head_count=heads):
            return heads % tensor == 0
        case LinearAttention(key_head_count=key_heads, value_head_count=heads):
            return heads % tensor == 0 and key_heads % tensor == 0
        case latent:
            return latent.head_count % tensor == 0


def divides_feed_forward(layer: Layer, layout: Layout) -> bool:
    tensor, ranks = layout.tensor_parallel, layout.tensor_parallel * layout.attention_data_parallel
    match layer.feed_forward:
        case DenseFeedForward(intermediate_size=width):
            return width % tensor == 0
        case MixtureOfExperts() as experts:
            together = ranks // layout.expert_parallel
            return (
                experts.shared_intermediate_size % tensor == 0
                and experts.expert_count % layout.expert_parallel == 0
                and experts.intermediate_size % together == 0
            )
        case None:
            return True


def is_legal(model: Model, layout: Layout, engine: ServingEngine) -> bool:
    """Judge a layout anew, from what engines document, without a look at how it was found."""
    stages, ranks = layout.stage_layer_counts, layout.tensor_parallel * layout.attention_data_parallel
    spreads = {"none": {1}, "ranks": {1, ranks}, "free": {one for one in range(1, ranks + 1) if ranks % one == 0}}
    return (
        all(divides_attention(layer, layout.tensor_parallel) for layer in model.layers)
        and all(divides_feed_forward(layer, layout) for layer in model.layers)
        and (len(stages), sum(stages)) == (layout.pipeline_parallel, model.layer_count)
        and min(stages) >= 1
        and (layout.pipeline_parallel == 1 or engine.pipeline_parallel)
        and (layout.attention_data_parallel == 1 or engine.attention_data_parallel != "none")
        and layout.expert_parallel in spreads[engine.expert_parallel]
    )


@given(model=st.sampled_from(MODELS), engine=st.sampled_from(ENGINES), limit=st.integers(1, 64))
@settings(deadline=None, max_examples=60)
def test_every_layout_that_is_searched_is_legal_and_searched_once(model, engine, limit):
    footprint, known = footprint_of(model), engine_of(engine)
    found = searched(footprint, known, limit)
    assert len(set(found)) == len(found)
    for degrees in found:
        assert degrees.rank_count <= limit
        assert is_legal(footprint.model, degrees.layout(1), known), degrees


@given(model=st.sampled_from(MODELS), engine=st.sampled_from(ENGINES), limit=st.integers(1, 24))
@settings(deadline=None, max_examples=60)
def test_every_legal_pair_of_tensor_and_pipeline_degrees_is_searched(model, engine, limit):
    footprint, known = footprint_of(model), engine_of(engine)
    found = {(one.tensor, one.pipeline) for one in searched(footprint, known, limit) if one.attention_data == 1}
    for tensor in range(1, limit + 1):
        alone = expert_obstacle(footprint.model, tensor, 1, known)
        is_possible = division_obstacle(footprint.model, tensor, known) or alone
        deepest = min(limit // tensor, footprint.model.layer_count, 16) if known.pipeline_parallel else 1
        for stages in range(1, deepest + 1):
            assert ((tensor, stages) in found) == (is_possible is None)


@given(
    model=st.sampled_from(MODELS),
    accelerator=st.sampled_from(("h100-sxm-80", "l40s", "mi300x", "ascend-910c", "atlas-300i-duo-96", "rtx-4090-24")),
    count=st.integers(1, 40),
)
@settings(deadline=None, max_examples=150)
def test_the_layout_of_a_check_is_legal_and_fills_the_devices(model, accelerator, count):
    answer = check(catalog(), CheckRequest(model=model, accelerator=accelerator, accelerator_count=count))
    for deployment in filter(None, (answer.deployment, *answer.smaller_or_larger)):
        known = catalog().serving_engines[deployment.engine]
        assert is_legal(catalog().model(model), deployment.layout, known), deployment.layout
    if answer.deployment is not None:
        devices = count * catalog().accelerators[accelerator].devices_per_card
        assert answer.deployment.device_count == devices
        is_idle = "DEVICES_IDLE" in {reason.code for reason in answer.reasons}
        assert is_idle == (answer.deployment.layout.rank_count < devices)


@pytest.mark.parametrize("model", [V3, "Qwen/Qwen2.5-7B", "Qwen/Qwen3-Next-80B-A3B-Instruct", "openai/gpt-oss-120b"])
def test_the_layouts_of_a_sizing_are_legal_and_stay_inside_nodes(model):
    answer = size(catalog(), SizeRequest(model=model))
    for candidate in (*answer.candidates, *answer.unpriced):
        for deployment in filter(None, (candidate.smallest_deployable, candidate.recommended)):
            layout, node = deployment.layout, catalog().nodes[deployment.node or ""]
            assert is_legal(catalog().model(model), layout, catalog().serving_engines[deployment.engine]), deployment
            devices = node.accelerator_count * catalog().accelerators[deployment.accelerator].devices_per_card
            assert layout.tensor_parallel * layout.attention_data_parallel <= devices
            assert deployment.accelerator_count % node.step_count(deployment.accelerator_count) == 0


@pytest.mark.parametrize(
    ("given_degrees", "code"),
    [
        ({"accelerator_count": 12, "tensor_parallel": 12}, "HEADS_NOT_DIVISIBLE"),
        ({"accelerator_count": 8, "tensor_parallel": 4, "pipeline_parallel": 1, "replicas": 1}, "LAYOUT_DOES_NOT_FILL"),
        ({"accelerator_count": 8, "tensor_parallel": 3}, "LAYOUT_DOES_NOT_FILL"),
        ({"accelerator_count": 8, "replicas": 3}, "LAYOUT_DOES_NOT_FILL"),
        ({"accelerator_count": 62, "pipeline_parallel": 62}, "TOO_MANY_STAGES"),
        ({"accelerator_count": 8, "tensor_parallel": 8, "expert_parallel": 4}, "EXPERT_PARALLEL_NOT_LEGAL"),
        (
            {"accelerator_count": 8, "tensor_parallel": 8, "expert_parallel": 3, "engine": "sglang"},
            "EXPERT_PARALLEL_NOT_LEGAL",
        ),
        ({"accelerator_count": 8, "tensor_parallel": 8, "expert_parallel": 3}, "EXPERT_PARALLEL_NOT_LEGAL"),
        ({"accelerator_count": 8, "tensor_parallel": 8, "decode_context_parallel": 3}, "CONTEXT_PARALLEL_NOT_LEGAL"),
        (
            {"accelerator_count": 8, "attention_data_parallel": 8, "engine": "llama_cpp", "weight_format": "bf16"},
            "NO_ATTENTION_DATA_PARALLEL",
        ),
    ],
)
def test_a_layout_that_cannot_be_is_refused_with_its_reason(given_degrees, code):
    answer = check(catalog(), CheckRequest(model=V3, accelerator="h200-sxm-141", **given_degrees))
    assert answer.verdict == "impossible"
    assert code in {reason.code for reason in answer.reasons}, answer.reasons


def test_experts_are_spread_only_where_they_divide():
    model, eight_experts = catalog().models["xai-org/grok-1"], 8
    assert expert_parallel_default(model, 1, eight_experts, engine_of("vllm")) == eight_experts
    assert expert_parallel_default(model, 1, 2 * eight_experts, engine_of("vllm")) == 1
    request = CheckRequest(
        model="xai-org/grok-1",
        accelerator="h200-sxm-141",
        accelerator_count=16,
        tensor_parallel=16,
        expert_parallel=16,
        weight_format="int8",
    )
    assert {reason.code for reason in check(catalog(), request).reasons} == {"EXPERTS_NOT_DIVISIBLE"}


def test_key_heads_of_delta_rule_layers_are_not_copied():
    model = catalog().models["Qwen/Qwen3.5-397B-A17B"]
    assert division_obstacle(model, 16, engine_of("vllm")) is None
    obstacle = division_obstacle(model, 32, engine_of("vllm"))
    assert obstacle is not None
    assert (obstacle.code, "16 key/value heads" in obstacle.sentence) == ("KV_HEADS_NOT_DIVISIBLE", True)


def test_a_dense_model_spreads_no_experts():
    model = catalog().models["Qwen/Qwen2.5-7B"]
    assert expert_parallel_default(model, 2, 4, engine_of("vllm")) == 1
    assert expert_obstacle(model, 3, 1, engine_of("vllm")) is None


def test_an_engine_that_spreads_no_experts_divides_their_widths():
    model = catalog().models["Qwen/Qwen3-30B-A3B"]
    assert expert_obstacle(model, 512, 1, engine_of("vllm")) is not None
    assert expert_parallel_default(model, 8, 1, engine_of("llama_cpp")) == 1
    assert {one.expert for one in searched(footprint_of(model.id), engine_of("llama_cpp"), 64)} == {1}


def test_decode_context_parallel_runs_up_to_the_copies_of_the_cache():
    request = CheckRequest(
        model=V3, accelerator="h200-sxm-141", accelerator_count=8, tensor_parallel=8, decode_context_parallel=8
    )
    divided = check(catalog(), request).deployment
    assert divided is not None
    assert divided.layout.decode_context_parallel == 8
    grouped = CheckRequest(
        model="Qwen/Qwen2.5-72B",
        accelerator="h200-sxm-141",
        accelerator_count=8,
        tensor_parallel=8,
        decode_context_parallel=2,
    )
    assert check(catalog(), grouped).verdict == "impossible"
