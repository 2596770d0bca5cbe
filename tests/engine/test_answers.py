"""What a person hears who asks what DeepSeek-V3 / R1 671B and its distilled models need: verdicts, counts and words."""

import pytest

from domain.engine.answer import (
    Candidate,
    CheckAnswer,
    CheckRequest,
    Load,
    SizeRequest,
    check,
    resolve_precision,
    size,
)
from tests.release import catalog

R1 = "deepseek-ai/DeepSeek-R1"
V3 = "deepseek-ai/DeepSeek-V3"
R1_14B = "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"
R1_32B = "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"
LLAMA_70B = "meta-llama/Llama-3.3-70B-Instruct"
QWEN_72B = "Qwen/Qwen2.5-72B-Instruct"
TWO_THOUSAND_TOKENS = Load(input_tokens=1024, output_tokens=1024)
GIB = 2.0**30


def asked(model: str, accelerator: str, count: int, **more) -> CheckAnswer:
    request = CheckRequest(model=model, accelerator=accelerator, accelerator_count=count, **more)
    return check(catalog(), request)


def sized(model: str, accelerator: str, weight_format: str) -> Candidate:
    request = SizeRequest(model=model, accelerators=(accelerator,), weight_format=weight_format)
    answer = size(catalog(), request)
    return (*answer.candidates, *answer.unpriced)[0]


def codes(answer: CheckAnswer | Candidate) -> set[str]:
    return {reason.code for reason in answer.reasons}


def offers(answer: CheckAnswer) -> dict[tuple[str, str, int], tuple[int, int]]:
    """Tensor and pipeline degree of every alternative, by format, path and accelerators."""
    return {
        (one.way.number_format, one.way.path, one.accelerator_count): (
            one.layout.tensor_parallel,
            one.layout.pipeline_parallel,
        )
        for one in answer.smaller_or_larger
    }


@pytest.mark.parametrize(
    ("accelerator", "count", "nodes"),
    [("h200-sxm-141", 8, 1), ("h20-141", 8, 1), ("h100-sxm-80", 16, 2), ("h800-sxm-80", 16, 2), ("h20-96", 16, 2)],
)
def test_671b_in_fp8_is_recommended_on_the_nodes_that_its_vendor_names(accelerator, count, nodes):
    recommended = sized(R1, accelerator, "fp8").recommended
    assert recommended is not None
    assert (recommended.accelerator_count, recommended.node_count) == (count, nodes)
    assert recommended.verdict == "fits"


def test_eight_h20_of_96_gb_hold_671b_and_are_flagged_as_marginal():
    answer = asked(R1, "h20-96", 8, weight_format="fp8")
    assert answer.verdict == "marginal"
    assert "MARGINAL" in codes(answer)
    assert answer.sentence.startswith("Marginal: 8 x h20-96 (1 node), fp8 native, TP8;")
    candidate = sized(R1, "h20-96", "fp8")
    assert candidate.smallest_deployable is not None
    assert candidate.smallest_deployable.accelerator_count == 8
    assert "MARGINAL" in codes(candidate)


def test_671b_in_bf16_on_16_a100_is_refused_with_the_shortfall_in_bytes():
    answer = asked(R1, "a100-sxm-80", 16, weight_format="bf16")
    assert answer.verdict == "does_not_fit"
    refusal = next(reason for reason in answer.reasons if reason.code == "DOES_NOT_FIT")
    assert refusal.bytes == pytest.approx(11.5e9, rel=0.02)
    assert answer.deployment is not None
    assert refusal.bytes == pytest.approx(-answer.deployment.memory.headroom_bytes, rel=1e-9)
    assert "1 342 GB of weights" in answer.sentence


def test_671b_on_16_a100_is_offered_in_formats_that_fit_and_in_bf16_on_20_and_24():
    offered = offers(asked(R1, "a100-sxm-80", 16, weight_format="bf16"))
    assert offered["bf16", "converted", 20] == (4, 5)
    assert offered["bf16", "converted", 24] == (8, 3)
    assert ("fp8", "weight_only", 16) in offered
    assert ("int8", "quantized", 16) in offered


def test_671b_in_bf16_on_a100_takes_20_by_memory_and_three_nodes_when_deployed():
    candidate = sized(R1, "a100-sxm-80", "bf16")
    assert candidate.smallest_by_memory.accelerator_count == 20
    deployable = candidate.smallest_deployable
    assert deployable is not None
    assert (deployable.accelerator_count, deployable.node_count) == (24, 3)
    assert (deployable.layout.tensor_parallel, deployable.layout.pipeline_parallel) == (8, 3)


def test_the_published_32_a100_stand_beside_the_24_with_the_reason_for_the_difference():
    answer = asked(R1, "a100-sxm-80", 16, weight_format="bf16")
    published = next(one for one in answer.published if one.accelerator_count == 32)
    assert published.number_format == "bf16"
    assert published.source in catalog().sources
    assert "found here: 24 x a100-sxm-80 (3 nodes)" in published.sentence
    assert "128 attention heads do not divide by 24" in published.sentence


def test_a_published_deployment_is_told_once():
    answer = asked(R1, "a100-sxm-80", 16, weight_format="bf16")
    told = [(one.accelerator_count, one.number_format, one.layout) for one in answer.published]
    assert len(told) == len(set(told))


def test_671b_in_bf16_on_24_ascend_910b_is_refused_because_its_worst_stage_does_not_fit():
    answer = asked(R1, "ascend-910b4-64", 24, weight_format="bf16")
    assert answer.verdict == "does_not_fit"
    assert "on the fullest device" in answer.sentence
    deployment = answer.deployment
    assert deployment is not None
    assert deployment.layout.pipeline_parallel > 1
    held = deployment.device_count * deployment.memory.budget_bytes
    assert deployment.way.weights_bytes < held, "all together would fit: it is one stage that does not"


@pytest.mark.parametrize(("weight_format", "count", "servers"), [("bf16", 32, 4), ("int8", 16, 2)])
def test_671b_on_ascend_910b_takes_four_servers_in_bf16_and_two_in_w8a8(weight_format, count, servers):
    recommended = sized(R1, "ascend-910b4-64", weight_format).recommended
    assert recommended is not None
    assert (recommended.accelerator_count, recommended.node_count) == (count, servers)


def test_the_310p_runs_16_bit_models_in_fp16_only_with_a_warning():
    lossless = resolve_precision(catalog(), R1_32B, "atlas-300i-duo-96", "lossless")
    assert [way.number_format for way in lossless.ways] == ["fp16"]
    assert "range warning" in lossless.ways[0].sentence
    answer = resolve_precision(catalog(), R1_32B, "atlas-300i-duo-96", "allow_8bit")
    assert {way.number_format for way in answer.ways} & {"bf16", "fp16", "fp8"} == {"fp16"}
    refused = {refusal.number_format: refusal.code for refusal in answer.refused}
    assert refused["bf16"] == "NO_BF16_ON_ACCELERATOR"
    assert refused["fp8"] == "NO_FP8_ON_ACCELERATOR"


def test_14b_in_bf16_on_one_24_gb_card_is_refused():
    answer = asked(R1_14B, "rtx-4090-24", 1, weight_format="bf16")
    assert answer.verdict == "does_not_fit"
    assert {("bf16", "native", 2), ("fp8", "quantized", 1), ("int8", "quantized", 1)} <= set(offers(answer))


def test_32b_on_one_rtx_3080_is_refused_at_every_precision_of_4_bits_or_more():
    ways = resolve_precision(catalog(), R1_32B, "rtx-3080-10", "allow_4bit").ways
    assert len(ways) > 5
    for way in ways:
        answer = asked(R1_32B, "rtx-3080-10", 1, weight_format=way.number_format, policy="allow_4bit")
        assert answer.verdict == "does_not_fit", way.sentence
        assert all(one.accelerator_count > 1 for one in answer.smaller_or_larger)


def test_12_h800_cannot_be_one_tensor_group_of_128_heads():
    answer = asked(R1, "h800-sxm-80", 12, weight_format="fp8", tensor_parallel=12)
    assert answer.verdict == "impossible"
    assert codes(answer) == {"HEADS_NOT_DIVISIBLE"}
    assert "128 attention heads do not divide by 12" in answer.sentence


def test_12_h800_hold_671b_as_tp4_x_pp3_and_are_one_and_a_half_nodes():
    answer = asked(R1, "h800-sxm-80", 12, weight_format="fp8")
    assert answer.verdict == "fits"
    assert "12 x h800-sxm-80 (1.5 nodes), fp8 native, TP4 x PP3" in answer.sentence
    assert "NOT_WHOLE_NODES" in codes(answer)
    assert ("fp8", "native", 16) in offers(answer)


def test_deepseek_v3_under_tp8_on_eight_h200_holds_as_many_sequences_as_published():
    answer = asked(V3, "h200-sxm-141", 8, weight_format="fp8", tensor_parallel=8, load=TWO_THOUSAND_TOKENS)
    assert answer.deployment is not None
    assert 79 * GIB <= answer.deployment.memory.weights_bytes <= 85 * GIB
    assert 300 <= answer.deployment.memory.sequence_capacity <= 320


@pytest.mark.parametrize("engine", ["sglang", None])
def test_attention_data_parallel_holds_six_to_eight_times_the_sequences(engine):
    common = {"weight_format": "fp8", "load": TWO_THOUSAND_TOKENS, "engine": engine}
    tensor = asked(V3, "h200-sxm-141", 8, tensor_parallel=8, **common)
    data = asked(V3, "h200-sxm-141", 8, tensor_parallel=1, attention_data_parallel=8, **common)
    assert tensor.deployment is not None
    assert data.deployment is not None
    ratio = data.deployment.memory.sequence_capacity / tensor.deployment.memory.sequence_capacity
    assert 6.0 <= ratio <= 8.0


def test_attention_data_parallel_says_that_attention_weights_are_copied():
    answer = asked(V3, "h200-sxm-141", 8, tensor_parallel=1, attention_data_parallel=8)
    said = next(one for one in answer.statements if one.startswith("Attention data parallelism"))
    assert "each of 8 groups holds a copy of attention weights (11.4 GB on each device)" in said


def test_every_answer_says_that_speed_was_not_judged():
    answer = asked(R1_14B, "l40s", 1)
    assert any("Speed was not judged" in statement for statement in answer.statements)
    everywhere = size(catalog(), SizeRequest(model=R1_14B))
    assert any("Speed was not judged" in statement for statement in everywhere.statements)


def test_nominal_memory_is_named_as_assumed_where_no_runtime_report_is_known():
    answer = asked(R1_14B, "rtx-4090-48", 1)
    assert answer.deployment is not None
    assert answer.deployment.memory.usable_kind == "assumed"
    assert any("the nominal" in statement for statement in answer.statements)


def test_three_cards_that_do_not_divide_the_heads_say_so():
    answer = asked(R1_32B, "rtx-4090-24", 3, tensor_parallel=3)
    assert answer.verdict == "impossible"
    assert codes(answer) == {"HEADS_NOT_DIVISIBLE"}


def test_cards_of_two_devices_are_counted_as_cards_and_laid_out_as_devices():
    answer = asked(R1_32B, "atlas-300i-duo-96", 1, weight_format="fp16")
    deployment = answer.deployment
    assert deployment is not None
    assert (deployment.accelerator_count, deployment.device_count) == (1, 2)
    assert deployment.layout.tensor_parallel == 2
    assert deployment.memory.usable_bytes == pytest.approx(48e9, rel=0.07)


@pytest.mark.parametrize(
    ("accelerator", "count", "joined"),
    [("rtx-4090-24", 4, "PCIe4 x16, no P2P"), ("a100-pcie-80", 4, "its own link joins 2"), ("l40s", 2, "PCIe4 x16")],
)
def test_a_tensor_group_that_only_the_host_bus_joins_is_called_slow(accelerator, count, joined):
    answer = asked(R1_32B, accelerator, count, weight_format="bf16", tensor_parallel=count)
    slow = next(reason for reason in answer.reasons if reason.code == "ALL_REDUCE_OVER_HOST_BUS")
    assert joined in slow.sentence


@pytest.mark.parametrize(("accelerator", "count"), [("h100-sxm-80", 8), ("a100-pcie-80", 2), ("ascend-910b3", 8)])
def test_a_tensor_group_that_a_link_joins_is_not(accelerator, count):
    assert "ALL_REDUCE_OVER_HOST_BUS" not in codes(asked(R1_32B, accelerator, count, tensor_parallel=count))


def test_an_engine_that_is_documented_not_to_run_a_format_is_refused_for_it():
    answer = asked(R1, "a100-sxm-80", 16, weight_format="fp8", engine="tensorrt_llm")
    assert answer.verdict == "impossible"
    assert codes(answer) == {"NO_ENGINE_RUNS_IT"}
    assert "tensorrt_llm does not run fp8" in answer.sentence


def test_the_best_way_is_the_best_that_the_engine_runs():
    answer = asked(R1, "a100-sxm-80", 24, engine="tensorrt_llm")
    assert answer.deployment is not None
    assert answer.deployment.way.number_format == "bf16"
    assert asked(R1, "a100-sxm-80", 24, engine="mindie").verdict == "impossible"


def test_an_engine_of_which_nothing_is_known_is_named():
    known = asked(R1, "ascend-910b3", 16, weight_format="int8")
    blank = asked(R1, "ascend-910b3", 16, weight_format="int4_awq", policy="allow_4bit", engine="mindie")
    assert not any("is not known" in statement for statement in known.statements)
    assert any("mindie@" in one and "is not known: no source says so" in one for one in blank.statements)


def test_a_published_deployment_is_compared_with_its_own_accelerator():
    accelerators = ("a100-sxm-80", "h800-sxm-80")
    answer = size(catalog(), SizeRequest(model=R1, accelerators=accelerators, weight_format="bf16"))
    compared = [one for one in answer.published if "found here: " in one.sentence]
    assert {one.accelerator for one in compared} == set(accelerators)
    for one in compared:
        assert f" x {one.accelerator} " in one.sentence


def test_of_what_costs_the_same_the_better_quality_comes_first():
    ranks = {"lossless": 0, "near_lossless": 1, "lossy": 2}
    for rank_by in ("cost", "count"):
        answer = size(catalog(), SizeRequest(model=QWEN_72B, policy="allow_4bit", rank_by=rank_by))
        shown = [one.recommended for one in answer.candidates if one.recommended is not None]
        costs = [one.cost_usd_per_hour if rank_by == "cost" else one.accelerator_count for one in shown]
        qualities = [ranks[one.way.quality] for one in shown]
        ranked = list(zip(costs, qualities, strict=True))
        assert ranked == sorted(ranked)
        assert any(len({quality for cost, quality in ranked if cost == each}) > 1 for each in costs)


def test_what_two_ways_of_one_format_both_say_is_said_once():
    answer = size(catalog(), SizeRequest(model=R1, weight_format="int8", engine="mindie"))
    assert {one.reason.code for one in answer.rejections} >= {"NO_ENGINE_RUNS_IT"}
    assert len(answer.rejections) == len(set(answer.rejections))
    alone = asked(R1, "a10", 8, weight_format="int8", engine="mindie")
    assert alone.verdict == "impossible"
    assert len(alone.reasons) == 1
    assert alone.sentence.count("mindie does not run int8") == 1


@pytest.mark.parametrize(
    ("accelerator", "kind"), [("h100-sxm-80", "measured"), ("h800-sxm-80", "derived"), ("rtx-4090-48", "assumed")]
)
def test_usable_memory_is_of_the_kind_that_the_catalog_states(accelerator, kind):
    deployment = asked(R1_14B, accelerator, 1).deployment
    assert deployment is not None
    assert deployment.memory.usable_kind == kind


def test_a_published_deployment_beside_a_load_of_ones_own_is_told_with_that_load():
    load = Load(input_tokens=1000, output_tokens=24, concurrency=10_000)
    answer = size(catalog(), SizeRequest(model=R1, accelerators=("h200-sxm-141",), load=load))
    told = [one for one in answer.published if one.number_format == "fp8"]
    assert told
    for one in told:
        assert (
            f"Documented {one.accelerator_count} without a load; for 10000 sequences of 1024 tokens: " in one.sentence
        )
        assert "found here" not in one.sentence


@pytest.mark.parametrize(
    ("tensor", "data", "expected"),
    [
        (16, 1, {"TENSOR_GROUP_CROSSES_NODES"}),
        (1, 16, {"EXPERT_EXCHANGE_CROSSES_NODES"}),
        (8, 2, {"EXPERT_EXCHANGE_CROSSES_NODES"}),
        (8, 1, set()),
    ],
)
def test_what_crosses_nodes_is_named_for_what_it_is(tensor, data, expected):
    answer = asked(V3, "h200-sxm-141", 16, tensor_parallel=tensor, attention_data_parallel=data, engine="sglang")
    assert {code for code in codes(answer) if code.endswith("_CROSSES_NODES")} == expected
    for reason in answer.reasons:
        if reason.code == "EXPERT_EXCHANGE_CROSSES_NODES":
            assert f"The exchange of {data} attention groups" in reason.sentence
            assert "with the experts on all 16 spans nodes of 8" in reason.sentence
            assert "all-reduce" not in reason.sentence


def test_groups_that_attend_apart_share_experts_over_the_host_bus_and_no_all_reduce():
    answer = asked("Qwen/Qwen3-30B-A3B", "l40s", 4, tensor_parallel=1, attention_data_parallel=4, engine="sglang")
    assert "EXPERT_EXCHANGE_OVER_HOST_BUS" in codes(answer)
    assert "ALL_REDUCE_OVER_HOST_BUS" not in codes(answer)


def test_a_part_of_a_node_reads_as_a_fraction_and_a_shortfall_in_gb():
    answer = asked(R1, "h100-sxm-80", 1, weight_format="fp8")
    said = {reason.code: reason for reason in answer.reasons}
    assert said["NOT_WHOLE_NODES"].sentence.startswith("1 accelerator is 1/8 of a node: ")
    assert said["DOES_NOT_FIT"].sentence == "The fullest device lacks 600.6 GB."
    assert said["DOES_NOT_FIT"].bytes == pytest.approx(600.57e9, rel=1e-4)


def test_more_cards_in_slots_than_a_server_holds_are_no_whole_number_of_servers():
    assert "NOT_WHOLE_NODES" not in codes(asked(LLAMA_70B, "l40s", 6, weight_format="bf16"))
    answer = asked(LLAMA_70B, "l40s", 10, weight_format="bf16")
    assert "10 accelerators are 1.25 nodes" in next(
        reason.sentence for reason in answer.reasons if reason.code == "NOT_WHOLE_NODES"
    )


def test_a_context_beyond_the_models_own_is_said():
    asked = CheckRequest(
        model="Qwen/Qwen2.5-7B", accelerator="h200-sxm-141", accelerator_count=8, load=Load(input_tokens=1_000_000)
    )
    assert "CONTEXT_EXCEEDED" in {reason.code for reason in check(catalog(), asked).reasons}


def test_drafts_that_no_module_makes_are_said():
    asked = CheckRequest(
        model="Qwen/Qwen2.5-7B", accelerator="h200-sxm-141", accelerator_count=1, speculative_draft_tokens=2
    )
    assert "NO_MTP_MODULE" in {reason.code for reason in check(catalog(), asked).reasons}


@pytest.mark.parametrize(
    ("degrees", "code"),
    [
        ({"tensor_parallel": 4, "expert_parallel": 4}, "NO_EXPERTS"),
        ({"attention_data_parallel": 4, "engine": "sglang"}, "NO_ATTENTION_DATA_PARALLEL"),
        ({"tensor_parallel": 4, "decode_context_parallel": 2, "engine": "sglang"}, "NO_DECODE_CONTEXT_PARALLEL"),
    ],
)
def test_a_degree_that_would_do_nothing_is_refused(degrees, code):
    asked = CheckRequest(model="Qwen/Qwen2.5-7B", accelerator="h100-sxm-80", accelerator_count=4, **degrees)
    answer = check(catalog(), asked)
    assert answer.verdict == "impossible"
    assert code in {reason.code for reason in answer.reasons}


def test_alternatives_are_judged_at_the_asked_share_of_memory():
    asked = CheckRequest(
        model="meta-llama/Llama-3.1-70B", accelerator="h100-sxm-80", accelerator_count=2, memory_fraction=0.5
    )
    found = check(catalog(), asked).smaller_or_larger
    assert found
    assert {one.memory.memory_fraction for one in found} == {0.5}
