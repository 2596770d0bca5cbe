"""Bytes on one device: published numbers first, then what holds of every model and layout, then limits."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalog.serving_engine import BatchingLimits, ServingEngine
from domain.engine.answer import CheckRequest, Deployment, Load, check
from domain.engine.footprint import Footprint
from domain.engine.judging import MARGINAL_ROOM_FRACTION, verdict_of
from domain.engine.memory import (
    Division,
    Keeping,
    StageContent,
    cache_bytes_per_sequence,
    cache_paddings,
    cache_room_bytes,
    sequence_capacity,
    weights_bytes_by_component,
)
from domain.engine.parallelism import division_obstacle
from domain.engine.setting import ModelStudy
from tests.release import catalog

GIB = 2.0**30
V3 = "deepseek-ai/DeepSeek-V3"
DEGREES = (1, 2, 4, 8, 16, 32)
MODELS = sorted(catalog().models)
LATENT_MODELS = (V3, "deepseek-ai/DeepSeek-V2", "moonshotai/Kimi-K2-Instruct", "zai-org/GLM-5")
TIED = "meta-llama/Llama-3.2-3B"

some_models = st.sampled_from(MODELS)
some_formats = st.sampled_from(("bf16", "fp8", "int4_awq"))
some_engines = st.sampled_from(("vllm", "sglang", "tensorrt_llm"))


def footprint_of(model: str, number_format: str = "bf16") -> Footprint:
    return ModelStudy(catalog(), catalog().model(model)).footprint(number_format, with_mtp=False)


def divided(tensor: int, *, data: int = 1, expert: int = 1, context: int = 1) -> Division[float]:
    return Division(
        tensor_parallel=float(tensor),
        attention_data_parallel=float(data),
        expert_parallel=float(expert),
        decode_context_parallel=float(context),
    )


def whole(footprint: Footprint) -> StageContent[float]:
    """The only stage of a model that is not pipelined."""
    counts = tuple(float(layer.layer_count) for layer in footprint.layers)
    return StageContent(layer_counts=counts, is_first=1.0, is_last=1.0)


def kept_by(footprint: Footprint, engine: ServingEngine) -> Keeping:
    limits = BatchingLimits(card_class="large", sequence_count=1024, batched_tokens=8192)
    padding = cache_paddings(footprint, engine)
    return Keeping(engine=engine, limits=limits, cache_element_bytes=2.0, state_padding=padding)


def weights(footprint: Footprint, division: Division[float], engine: str = "vllm") -> float:
    known = catalog().serving_engines[engine]
    return sum(weights_bytes_by_component(footprint, division, whole(footprint), known).values())


def sequence(footprint: Footprint, division: Division[float], tokens: int, engine: str = "sglang") -> float:
    keeping = kept_by(footprint, catalog().serving_engines[engine])
    return cache_bytes_per_sequence(footprint, division, whole(footprint), keeping, float(tokens))


def legal_degrees(model: str, engine: str = "vllm") -> list[int]:
    known = catalog().serving_engines[engine]
    return [degree for degree in DEGREES if division_obstacle(catalog().model(model), degree, known) is None]


def deployed(model: str, accelerator: str, count: int, **more) -> Deployment:
    request = CheckRequest(model=model, accelerator=accelerator, accelerator_count=count, **more)
    deployment = check(catalog(), request).deployment
    assert deployment is not None
    return deployment


# Published: DeepSeek-V3 in FP8 under tensor parallel 8 (SGLang's log: 79 to 85 GiB on each H200).
def test_deepseek_v3_in_fp8_under_tp8_takes_what_its_logs_show():
    assert 79 * GIB <= weights(footprint_of(V3, "fp8"), divided(8)) <= 85 * GIB


# arXiv:2505.09343, table 1, times the tokens; a latent is copied to every tensor rank.
@pytest.mark.parametrize(
    ("model", "bytes_per_token"),
    [(V3, 70_272), ("Qwen/Qwen2.5-72B", 327_680), ("meta-llama/Llama-3.1-405B", 516_096)],
)
def test_a_sequence_takes_the_published_bytes_per_token(model, bytes_per_token):
    assert sequence(footprint_of(model), divided(1), 4096) == 4096 * bytes_per_token


@pytest.mark.parametrize("model", LATENT_MODELS)
@given(degree=st.sampled_from(DEGREES), tokens=st.integers(1, 200_000))
@settings(deadline=None, max_examples=20)
def test_the_cache_of_latent_attention_is_copied_to_every_tensor_rank(model, degree, tokens):
    footprint = footprint_of(model)
    assert sequence(footprint, divided(degree), tokens) == sequence(footprint, divided(1), tokens)


@pytest.mark.parametrize(("model", "head_count"), [("Qwen/Qwen2.5-72B", 8), ("Qwen/Qwen2.5-7B", 4)])
def test_grouped_heads_divide_until_there_is_one_on_each_rank(model, head_count):
    footprint = footprint_of(model)
    full = sequence(footprint, divided(1), 8192)
    for degree in DEGREES:
        assert sequence(footprint, divided(degree), 8192) == full / min(degree, head_count)


def test_projections_of_key_value_heads_are_copied_where_ranks_outnumber_heads():
    footprint, engine = footprint_of("Qwen/Qwen2.5-72B"), catalog().serving_engines["vllm"]
    width, layers, head_dim = 8192, 80, 128
    query_and_output = 2.0 * (2 * width * 64 * head_dim + 64 * head_dim)
    key_and_value = 2.0 * (2 * width * 8 * head_dim + 2 * 8 * head_dim)
    for tensor in (8, 16, 32):
        held = weights_bytes_by_component(footprint, divided(tensor), whole(footprint), engine)["attention"]
        assert held == pytest.approx(layers * (query_and_output / tensor + key_and_value / 8))


@pytest.mark.parametrize("number_format", ["fp8", "int4_awq", "q4_k_m", "bf16"])
def test_norms_stay_in_16_bits_whatever_the_format(number_format):
    footprint, engine = footprint_of("Qwen/Qwen2.5-7B", number_format), catalog().serving_engines["vllm"]
    norms = weights_bytes_by_component(footprint, divided(1), whole(footprint), engine)["norms"]
    assert norms == 2.0 * 3584 * (2 * 28 + 1)


def test_decode_context_parallel_divides_the_copies_of_a_latent():
    footprint = footprint_of(V3)
    full = sequence(footprint, divided(8), 8192)
    assert sequence(footprint, divided(8, context=8), 8192) == full / 8


def test_a_recurrent_layer_keeps_the_same_state_whatever_the_length():
    footprint = footprint_of("Qwen/Qwen3-Next-80B-A3B-Instruct")
    short, long = (sequence(footprint, divided(1), tokens) for tokens in (1024, 2048))
    per_token = (long - short) / 1024
    assert per_token == 12 * 2 * 2 * 256 * 2.0
    assert short - 1024 * per_token >= 75_497_472


def test_a_window_stops_growing_at_what_it_looks_back_on_and_one_step_adds():
    footprint = footprint_of("openai/gpt-oss-120b")
    growing = [sequence(footprint, divided(1), tokens) for tokens in (40_000, 80_000)]
    full_layers = 18
    assert growing[1] - growing[0] == 40_000 * full_layers * 2 * 8 * 64 * 2.0


# vLLM start-up log of Gemma-3-4B: 29 windowed and 5 full layers are kept as seven groups of five.
def test_groups_of_layers_are_padded_to_equal_size():
    footprint = footprint_of("google/gemma-3-4b-it")
    paddings = cache_paddings(footprint, catalog().serving_engines["vllm"])
    padded = sum(padding * layer.layer_count for padding, layer in zip(paddings, footprint.layers, strict=True))
    assert padded == pytest.approx(35)


def test_an_engine_that_does_not_group_layers_pads_nothing():
    footprint = footprint_of("google/gemma-3-4b-it")
    assert set(cache_paddings(footprint, catalog().serving_engines["sglang"])) == {1.0}


def test_attention_data_parallel_copies_attention_and_embedding_and_divides_the_experts():
    footprint, engine = footprint_of(V3, "fp8"), catalog().serving_engines["sglang"]
    tensor = weights_bytes_by_component(footprint, divided(8), whole(footprint), engine)
    data = weights_bytes_by_component(footprint, divided(1, data=8, expert=8), whole(footprint), engine)
    undivided = weights_bytes_by_component(footprint, divided(1), whole(footprint), engine)
    assert data["attention"] == undivided["attention"] > tensor["attention"]
    assert data["embedding"] == undivided["embedding"]
    assert data["routed_experts"] == tensor["routed_experts"] == undivided["routed_experts"] / 8
    assert data["dense_ffn"] == tensor["dense_ffn"]


def test_an_engine_whose_data_ranks_stand_apart_copies_everything_but_the_routed_experts():
    footprint, engine = footprint_of(V3, "fp8"), catalog().serving_engines["vllm"]
    data = weights_bytes_by_component(footprint, divided(1, data=8, expert=8), whole(footprint), engine)
    undivided = weights_bytes_by_component(footprint, divided(1), whole(footprint), engine)
    copied = {name for name in data if data[name] == undivided[name]}
    assert set(data) - copied == {"routed_experts"}


@given(model=some_models, number_format=some_formats)
@settings(deadline=None, max_examples=80)
def test_one_rank_holds_the_whole_model(model, number_format):
    footprint = footprint_of(model, number_format)
    assert weights(footprint, divided(1)) == pytest.approx(footprint.weights_bytes, rel=1e-12)


@given(model=some_models, number_format=some_formats, engine=some_engines)
@settings(deadline=None, max_examples=80)
def test_more_tensor_ranks_never_hold_more_each_and_never_less_in_all(model, number_format, engine):
    footprint = footprint_of(model, number_format)
    held = [(degree, weights(footprint, divided(degree), engine)) for degree in legal_degrees(model, engine)]
    each = [size for _, size in held]
    assert each == sorted(each, reverse=True)
    together = [degree * size for degree, size in held]
    assert all(later >= earlier * (1 - 1e-12) for earlier, later in pairwise(together))


@given(model=some_models, stage_count=st.integers(1, 7))
@settings(deadline=None, max_examples=80)
def test_more_pipeline_stages_never_make_the_fullest_heavier(model, stage_count):
    engine = catalog().serving_engines["vllm"]
    footprint = footprint_of(model)
    if footprint.model.layer_count > stage_count:
        fewer, more = (fullest_stage(footprint, count, engine) for count in (stage_count, stage_count + 1))
        assert more <= fewer * (1.0 + 1e-3)


def fullest_stage(footprint: Footprint, stage_count: int, engine: ServingEngine) -> float:
    stages = (footprint.model.layer_count,) if stage_count == 1 else footprint.balanced(stage_count)
    heaviest, start = 0.0, 0
    for place, count in enumerate(stages):
        kinds = footprint.model.pattern[start : start + count]
        start += count
        stage = StageContent(
            layer_counts=tuple(float(kinds.count(kind)) for kind in range(len(footprint.layers))),
            is_first=float(place == 0),
            is_last=float(place == len(stages) - 1),
        )
        held = weights_bytes_by_component(footprint, divided(1), stage, engine)
        heaviest = max(heaviest, sum(held.values()))
    return heaviest


def test_the_last_stage_holds_a_tied_embedding_once_more():
    footprint, engine = footprint_of(TIED), catalog().serving_engines["vllm"]
    table = footprint.model.vocabulary_size * footprint.model.hidden_size * 2.0
    none = tuple(0.0 for _ in footprint.layers)
    alone = StageContent(layer_counts=none, is_first=1.0, is_last=1.0)
    last = StageContent(layer_counts=none, is_first=0.0, is_last=1.0)
    held = [weights_bytes_by_component(footprint, divided(1), stage, engine) for stage in (alone, last)]
    assert held[0].get("output_head", 0.0) == 0.0
    assert held[1]["output_head"] == table


@given(
    load=st.tuples(st.integers(1, 30_000), st.integers(0, 8_000), st.integers(1, 500)),
    more=st.tuples(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 500)),
    model=st.sampled_from((V3, "Qwen/Qwen2.5-72B", "google/gemma-3-27b-it", "Qwen/Qwen3-Next-80B-A3B-Instruct")),
)
@settings(deadline=None, max_examples=50)
def test_headroom_never_grows_with_tokens_or_concurrency(load, more, model):
    small = Load(input_tokens=load[0], output_tokens=load[1], concurrency=load[2])
    large = Load(input_tokens=load[0] + more[0], output_tokens=load[1] + more[1], concurrency=load[2] + more[2])
    held = {"tensor_parallel": 8, "attention_data_parallel": 1}
    room = [deployed(model, "h200-sxm-141", 8, load=asked, **held).memory for asked in (small, large)]
    assert room[1].headroom_bytes <= room[0].headroom_bytes
    assert room[1].sequence_capacity <= room[0].sequence_capacity


@given(
    model=some_models,
    accelerator=st.sampled_from(("h100-sxm-80", "l40s", "mi300x", "ascend-910b3", "rtx-4090-24")),
    concurrency=st.integers(1, 300),
)
@settings(deadline=None, max_examples=60)
def test_the_parts_add_up_to_the_budget_and_the_verdict_follows_from_them(model, accelerator, concurrency):
    deployment = deployed(model, accelerator, 8, load=Load(concurrency=concurrency))
    memory = deployment.memory
    parts = memory.weights_bytes + memory.activations_bytes + memory.reserve_bytes + memory.kv_room_bytes
    assert parts == pytest.approx(memory.budget_bytes, rel=1e-8)
    assert sum(size for _, size in memory.weights_by_component_bytes) == pytest.approx(memory.weights_bytes, rel=1e-8)
    assert memory.headroom_bytes == pytest.approx(memory.kv_room_bytes - memory.kv_cache_bytes, rel=1e-6, abs=10.0)
    assert (deployment.verdict == "does_not_fit") == (memory.headroom_bytes < 0.0)
    copies = deployment.layout.attention_data_parallel * deployment.layout.replicas
    held = -(-concurrency // copies) * copies
    assert (memory.sequence_capacity >= held) == (deployment.verdict != "does_not_fit")


@pytest.mark.parametrize(
    ("headroom_bytes", "room_fraction", "verdict"),
    [
        (-1.0, 0.5, "does_not_fit"),
        (0.0, MARGINAL_ROOM_FRACTION, "fits"),
        (0.0, 0.0799999, "marginal"),
        (1e9, 0.0, "marginal"),
    ],
)
def test_marginal_is_what_fits_with_under_8_percent_of_the_budget_left_for_the_cache(
    headroom_bytes, room_fraction, verdict
):
    assert verdict_of(headroom_bytes, room_fraction) == verdict


@given(usable=st.floats(10e9, 300e9), weights_bytes=st.floats(1e9, 300e9), transient=st.floats(0, 20e9))
def test_each_engine_keeps_its_own_books(usable, weights_bytes, transient):
    room = {
        engine: cache_room_bytes(
            usable, 0.9, catalog().serving_engines[engine], weights=weights_bytes, transient=transient
        )
        for engine in ("vllm", "sglang", "tensorrt_llm")
    }
    left = usable - weights_bytes - transient
    assert room["vllm"] == usable * 0.9 - weights_bytes - transient
    assert room["sglang"] == min(usable * 0.9 - weights_bytes, left)
    assert room["tensorrt_llm"] == min(0.9 * left, left)
    assert room["vllm"] <= room["sglang"]


@given(room_bytes=st.floats(-1e12, 1e12), each_bytes=st.floats(1.0, 1e10))
def test_capacity_is_whole_never_negative_and_holds(room_bytes, each_bytes):
    capacity = sequence_capacity(room_bytes, each_bytes)
    assert capacity >= 0.0
    assert capacity == int(capacity)
    assert capacity * each_bytes <= max(room_bytes, 0.0) * (1 + 1e-12)


@given(tokens=st.integers(1, 100_000))
def test_an_engine_hands_out_whole_blocks(tokens):
    footprint = footprint_of("Qwen/Qwen2.5-7B")
    block = catalog().serving_engines["vllm"].block_tokens
    rounded = -(-tokens // block) * block
    assert sequence(footprint, divided(1), tokens, "vllm") == sequence(footprint, divided(1), rounded, "sglang")


def test_a_cache_in_8_bits_holds_twice_the_tokens():
    sixteen = deployed("Qwen/Qwen2.5-72B", "h200-sxm-141", 4).memory
    eight = deployed("Qwen/Qwen2.5-72B", "h200-sxm-141", 4, kv_cache_format="fp8").memory
    assert eight.kv_capacity_tokens == pytest.approx(2.0 * sixteen.kv_capacity_tokens, rel=0.001)


def test_mtp_modules_are_loaded_for_speculation_alone():
    plain = dict(deployed(V3, "h200-sxm-141", 8).memory.weights_by_component_bytes)
    drafting = dict(deployed(V3, "h200-sxm-141", 8, speculative_draft_tokens=1).memory.weights_by_component_bytes)
    assert "mtp" not in plain
    assert 8 * drafting["mtp"] == pytest.approx(11.7e9, rel=0.1)
