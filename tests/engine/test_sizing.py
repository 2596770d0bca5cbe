"""The smallest deployments: least by brute force, whole nodes, ranked as asked, and every absence explained."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.engine.answer import (
    Candidate,
    CheckRequest,
    Deployment,
    Load,
    SizeAnswer,
    SizeRequest,
    check,
    size,
)
from tests.release import catalog

R1 = "deepseek-ai/DeepSeek-R1"
V3 = "deepseek-ai/DeepSeek-V3"
QWEN_72B = "Qwen/Qwen2.5-72B"
R1_14B = "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"
R1_32B = "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"
LLAMA_70B = "meta-llama/Llama-3.1-70B"
QWEN_MOE = "Qwen/Qwen3-30B-A3B"
DATA_DEGREES = (1, 2, 4, 8, 16)


def candidates(answer: SizeAnswer) -> tuple[Candidate, ...]:
    return (*answer.candidates, *answer.unpriced)


def sized(model: str, accelerator: str, weight_format: str, load: Load) -> Candidate:
    request = SizeRequest(
        model=model, accelerators=(accelerator,), weight_format=weight_format, load=load, policy="allow_4bit"
    )
    return candidates(size(catalog(), request))[0]


def deployments(answer: SizeAnswer) -> Iterator[Deployment]:
    for candidate in candidates(answer):
        yield from filter(None, (candidate.smallest_by_memory, candidate.smallest_deployable, candidate.recommended))


def degrees(found: Deployment) -> dict[str, Any]:
    names = ("tensor_parallel", "attention_data_parallel", "pipeline_parallel", "replicas")
    return {name: getattr(found.layout, name) for name in names}


def layouts_of(ranks: int) -> Iterator[dict[str, int]]:
    """Every way to write ``ranks`` as tensor x attention data x pipeline x replicas."""
    for replicas in (one for one in range(1, ranks + 1) if ranks % one == 0):
        each = ranks // replicas
        for tensor in (one for one in range(1, each + 1) if each % one == 0):
            for data in (one for one in DATA_DEGREES if (each // tensor) % one == 0):
                yield {
                    "tensor_parallel": tensor,
                    "attention_data_parallel": data,
                    "pipeline_parallel": each // tensor // data,
                    "replicas": replicas,
                }


def holds(model: str, found: Deployment, load: Load, count: int, layout: Mapping[str, Any]) -> bool:
    engine, _, version = found.engine.partition("@")
    request = CheckRequest(
        model=model,
        accelerator=found.accelerator,
        accelerator_count=count,
        weight_format=found.way.number_format,
        engine=engine,
        engine_version=version,
        policy="allow_4bit",
        load=load,
        **layout,
    )
    return check(catalog(), request).verdict in {"fits", "marginal"}


CASES = [
    (R1_14B, "rtx-4090-24", "bf16", Load()),
    (R1_14B, "t4", "fp16", Load()),
    (R1_32B, "ascend-910b4-32", "bf16", Load()),
    (R1_32B, "atlas-300i-duo-48", "fp16", Load(concurrency=4)),
    (LLAMA_70B, "l40s", "bf16", Load(concurrency=16)),
    (QWEN_72B, "a100-sxm-80", "int8", Load(concurrency=64)),
    (QWEN_MOE, "l4", "bf16", Load(concurrency=40)),
]


@pytest.mark.parametrize(("model", "accelerator", "weight_format", "load"), CASES)
def test_no_smaller_count_holds_it_in_any_layout(model, accelerator, weight_format, load):
    found = sized(model, accelerator, weight_format, load).smallest_by_memory
    devices = catalog().accelerators[accelerator].devices_per_card
    assert found.verdict in {"fits", "marginal"}
    for count in range(1, found.accelerator_count):
        for layout in layouts_of(count * devices):
            assert not holds(model, found, load, count, layout), (count, layout)
    if found.layout.rank_count == found.device_count:
        assert holds(model, found, load, found.accelerator_count, degrees(found))


@pytest.mark.parametrize(("model", "accelerator", "weight_format", "load"), CASES)
def test_no_fewer_whole_nodes_hold_it(model, accelerator, weight_format, load):
    found = sized(model, accelerator, weight_format, load).smallest_deployable
    if found is None:
        assert not [node for node in catalog().nodes.values() if node.accelerator == accelerator]
        return
    devices = catalog().accelerators[accelerator].devices_per_card
    for node in (one for one in catalog().nodes.values() if one.accelerator == accelerator):
        inside = node.accelerator_count * devices
        for count in range(1, found.accelerator_count):
            for layout in layouts_of(count * devices) if count % node.step_count(count) == 0 else ():
                group = layout["tensor_parallel"] * layout["attention_data_parallel"]
                assert inside % group or not holds(model, found, load, count, layout), (count, layout)


@pytest.mark.parametrize("model", [R1, QWEN_72B, R1_14B, QWEN_MOE, "google/gemma-3-27b-it", "openai/gpt-oss-120b"])
def test_the_three_smallest_stand_in_order_and_are_what_they_are_called(model):
    answer = size(catalog(), SizeRequest(model=model, policy="allow_4bit"))
    assert len(candidates(answer)) > 20
    for candidate in candidates(answer):
        by_memory, deployable, recommended = (
            candidate.smallest_by_memory,
            candidate.smallest_deployable,
            candidate.recommended,
        )
        assert by_memory.verdict in {"fits", "marginal"}
        if deployable is not None:
            assert deployable.accelerator_count >= by_memory.accelerator_count
            node = catalog().nodes[deployable.node or ""]
            assert deployable.accelerator_count % node.step_count(deployable.accelerator_count) == 0
        if recommended is not None:
            assert deployable is not None
            assert recommended.accelerator_count >= deployable.accelerator_count
            assert recommended.verdict == "fits"
        else:
            assert {reason.code for reason in candidate.reasons} & {"MARGINAL", "NODE_NOT_KNOWN", "NO_WHOLE_NODES"}


@pytest.mark.parametrize("model", [V3, QWEN_72B, "openai/gpt-oss-120b"])
def test_what_a_sizing_returns_a_check_confirms(model):
    accelerators = ("h200-sxm-141", "a100-sxm-80", "l40s", "mi300x", "ascend-910c", "rtx-4090-24", "b200-sxm")
    confirmed = 0
    for found in deployments(size(catalog(), SizeRequest(model=model, accelerators=accelerators))):
        engine, _, version = found.engine.partition("@")
        request = CheckRequest(
            model=model,
            accelerator=found.accelerator,
            accelerator_count=found.accelerator_count,
            weight_format=found.way.number_format,
            engine=engine,
            engine_version=version,
            **degrees(found),
        )
        again = check(catalog(), request).deployment
        if again is not None and again.layout == found.layout and again.way == found.way:
            assert (again.memory, again.verdict, again.node) == (found.memory, found.verdict, found.node)
            confirmed += 1
    assert confirmed >= 10


def test_every_accelerator_is_a_candidate_or_is_rejected_with_a_reason():
    answer = size(catalog(), SizeRequest(model=R1, max_accelerator_count=16))
    seen = {one.accelerator for one in deployments(answer)} | {one.accelerator for one in answer.rejections}
    assert seen == set(catalog().accelerators)
    assert all(rejection.reason.code and rejection.reason.sentence for rejection in answer.rejections)


def test_what_does_not_fit_lacks_bytes():
    answer = size(catalog(), SizeRequest(model=R1, accelerators=("rtx-4090-24",), max_accelerator_count=8))
    codes = {rejection.reason.code for rejection in answer.rejections}
    assert codes == {"DOES_NOT_FIT"}
    assert all((rejection.reason.bytes or 0.0) > 0.0 for rejection in answer.rejections)
    assert "can be recommended" in answer.sentence


def test_a_load_that_is_too_large_is_told_apart_from_a_model_that_is():
    load = Load(input_tokens=30_000, output_tokens=2_000, concurrency=5_000)
    answer = size(catalog(), SizeRequest(model=R1_14B, accelerators=("l4",), load=load, max_accelerator_count=8))
    assert {rejection.reason.code for rejection in answer.rejections} == {"LOAD_TOO_LARGE"}


def test_candidates_are_ranked_by_cost_with_the_unpriced_apart():
    answer = size(catalog(), SizeRequest(model=R1))
    best = [one.recommended for one in answer.candidates if one.recommended is not None]
    prices = [one.cost_usd_per_hour for one in best]
    assert prices == sorted(price for price in prices if price is not None)
    assert len(prices) > 10
    assert answer.unpriced
    for candidate in answer.unpriced:
        assert candidate.smallest_by_memory.cost_usd_per_hour is None


def test_candidates_are_ranked_by_count_when_asked():
    answer = size(catalog(), SizeRequest(model=R1, rank_by="count"))
    counts = [one.recommended.accelerator_count for one in answer.candidates if one.recommended is not None]
    assert counts == sorted(counts)


def test_cost_and_power_are_those_of_all_accelerators():
    for found in deployments(size(catalog(), SizeRequest(model=QWEN_72B))):
        accelerator = catalog().accelerators[found.accelerator]
        for total, each in (
            (found.cost_usd_per_hour, accelerator.price_usd_per_hour),
            (found.power_w, accelerator.tdp_w),
        ):
            assert total == (None if each is None else pytest.approx(each * found.accelerator_count))


@given(concurrency=st.integers(1, 400), more=st.integers(0, 400), accelerator=st.sampled_from(("l40s", "h100-sxm-80")))
@settings(deadline=None, max_examples=25)
def test_more_load_never_takes_fewer_accelerators(concurrency, more, accelerator):
    counts = [
        sized(QWEN_72B, accelerator, "bf16", Load(concurrency=load)).smallest_by_memory.accelerator_count
        for load in (concurrency, concurrency + more)
    ]
    assert counts[0] <= counts[1]


@given(limit=st.integers(1, 40), concurrency=st.integers(1, 64))
@settings(deadline=None, max_examples=25)
def test_the_limit_is_kept_and_cards_of_two_devices_count_once(limit, concurrency):
    accelerators = ("ascend-910c", "atlas-300i-duo-96", "mi250x", "h200-sxm-141")
    request = SizeRequest(
        model=V3, accelerators=accelerators, max_accelerator_count=limit, load=Load(concurrency=concurrency)
    )
    for found in deployments(size(catalog(), request)):
        assert found.accelerator_count <= limit
        per_card = catalog().accelerators[found.accelerator].devices_per_card
        assert found.layout.rank_count <= found.device_count == found.accelerator_count * per_card


def test_one_server_of_eight_cards_with_two_devices_each_holds_671b_in_w8a8():
    request = SizeRequest(model=R1, accelerators=("ascend-910c",), weight_format="int8", max_accelerator_count=8)
    best = candidates(size(catalog(), request))[0].recommended
    assert best is not None
    assert (best.accelerator_count, best.device_count, best.node, best.node_count) == (8, 16, "atlas-800i-a3", 1)


@pytest.mark.parametrize(
    ("accelerator", "count", "node"),
    [
        ("rtx-4090-24", 1, "cpu-2x-xeon6454s-4090"),
        ("rtx-4090-24", 4, "ws-4x4090"),
        ("rtx-4090-24", 8, "srv-8x4090"),
        ("ascend-910c", 16, "atlas-800i-a3"),
        ("ascend-910c", 384, "cloudmatrix-384"),
        ("h100-sxm-80", 12, "dgx-h100"),
    ],
)
def test_accelerators_stand_in_the_type_of_node_that_suits_them(accelerator, count, node):
    request = CheckRequest(model=R1_14B, accelerator=accelerator, accelerator_count=count, replicas=count)
    deployment = check(catalog(), request).deployment
    assert deployment is not None
    assert deployment.node == node


@given(
    model=st.sampled_from(("meta-llama/Llama-3.2-3B", R1_14B, R1_32B, "Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-0.5B")),
    accelerator=st.sampled_from(("l4", "l40s", "v100-sxm2-32", "ascend-910b4-32", "a100-sxm-80")),
    concurrency=st.integers(1, 3_000),
)
@settings(deadline=None, max_examples=60)
def test_no_tensor_group_of_a_deployable_layout_straddles_two_nodes(model, accelerator, concurrency):
    load = Load(input_tokens=8_000, output_tokens=192, concurrency=concurrency)
    answer = size(catalog(), SizeRequest(model=model, accelerators=(accelerator,), load=load, max_accelerator_count=96))
    for candidate in candidates(answer):
        found = candidate.smallest_deployable
        if found is None or found.node is None:
            continue
        devices = catalog().nodes[found.node].accelerator_count * catalog().accelerators[accelerator].devices_per_card
        group = found.layout.tensor_parallel * found.layout.attention_data_parallel
        groups = found.layout.pipeline_parallel * found.layout.replicas
        nodes = -(-found.accelerator_count // catalog().nodes[found.node].accelerator_count)
        assert groups <= nodes * (devices // group), found.layout


@pytest.mark.parametrize("concurrency", [1, 64, 2000])
@pytest.mark.parametrize(
    "model", ["deepseek-ai/DeepSeek-V3", "meta-llama/Llama-3.1-405B", "Qwen/Qwen3-30B-A3B", "google/gemma-3-27b-it"]
)
def test_what_a_sizing_returns_a_check_accepts(model, concurrency):
    load = Load(concurrency=concurrency)
    asked = SizeRequest(model=model, accelerators=("h200-sxm-141", "a10", "mi300x", "ascend-910b3", "l40s"), load=load)
    answer = size(catalog(), asked)
    for candidate in (*answer.candidates, *answer.unpriced):
        for found in (candidate.smallest_by_memory, candidate.smallest_deployable, candidate.recommended):
            if found is not None:
                again = CheckRequest(
                    model=model,
                    accelerator=found.accelerator,
                    accelerator_count=found.accelerator_count,
                    weight_format=found.way.number_format,
                    engine=found.engine.partition("@")[0],
                    load=load,
                )
                assert check(catalog(), again).verdict in {"fits", "marginal"}, found


@pytest.mark.parametrize(
    ("model", "accelerator", "concurrency"), [(R1, "l40s", 64), (QWEN_72B, "a100-pcie-80", 400), (QWEN_72B, "l20", 400)]
)
def test_cards_in_slots_are_bought_singly_up_to_one_server_and_by_servers_beyond(model, accelerator, concurrency):
    load = Load(concurrency=concurrency)
    answer = size(catalog(), SizeRequest(model=model, accelerators=(accelerator,), policy="allow_4bit", load=load))
    chosen = [one for candidate in candidates(answer) if (one := candidate.smallest_deployable) is not None]
    whole = [one for one in chosen if one.accelerator_count > catalog().nodes[one.node or ""].accelerator_count]
    assert whole
    for one in whole:
        assert one.node_count == int(one.node_count or 0.0)
        assert one.layout.rank_count <= one.device_count


def test_cards_of_one_server_are_bought_singly():
    found = sized(QWEN_72B, "l40s", "bf16", Load()).recommended
    assert found is not None
    assert (found.node_count or 0.0) < 1.0


def test_one_server_for_each_card_is_no_deployment_where_servers_hold_several():
    found = sized(LLAMA_70B, "rtx-4090-24", "fp8", Load(concurrency=64)).smallest_deployable
    assert found is not None
    assert catalog().nodes[found.node or ""].accelerator_count > 1
