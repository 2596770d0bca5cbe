"""The catalog over a real channel: every number with its source."""

import json
from pathlib import Path

import pytest
from grpc import StatusCode
from tonnage.v1 import catalog_pb2 as pb

from tests.api.calling import H200, R1

CONFIGS = Path(__file__).parents[1] / "data" / "configs"


async def test_every_accelerator_is_listed_page_by_page(planner, catalog):
    request = pb.ListAcceleratorsRequest(page_size=20)
    seen: list[str] = []
    while True:
        page = await planner.call(planner.catalog.ListAccelerators, request)
        seen.extend(card.id for card in page.accelerators)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == sorted(catalog.accelerators)


async def test_accelerators_are_filtered(planner):
    request = pb.ListAcceleratorsRequest(generation="hopper", min_memory_bytes=100e9)
    found = await planner.call(planner.catalog.ListAccelerators, request)
    assert found.accelerators
    assert all(card.generation == "hopper" and card.memory_bytes >= 100e9 for card in found.accelerators)


async def test_every_number_of_an_accelerator_has_a_source(planner, catalog):
    found = await planner.call(planner.catalog.GetAccelerator, pb.GetAcceleratorRequest(accelerator=H200))
    memory = next(fact for fact in found.facts if fact.path == f"accelerators/{H200}/memory_bytes")
    assert memory.number == found.accelerator.memory_bytes == 141e9
    assert memory.kind == pb.FACT_KIND_VENDOR
    assert all(fact.source.title and fact.source.link for fact in found.facts)
    assert found.release.digest == catalog.digest


async def test_an_accelerator_comes_with_the_nodes_that_carry_it(planner):
    found = await planner.call(planner.catalog.GetAccelerator, pb.GetAcceleratorRequest(accelerator=H200))
    assert {node.accelerator for node in found.nodes} == {H200}


async def test_an_unknown_accelerator_is_not_found_and_the_nearest_are_named(planner):
    refused = await planner.refused(planner.catalog.GetAccelerator, pb.GetAcceleratorRequest(accelerator="h200-sxm"))
    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "UNKNOWN_ACCELERATOR")
    assert H200 in refused.metadata["nearest"]


async def test_models_are_listed_and_filtered(planner, catalog):
    every = await planner.call(planner.catalog.ListModels, pb.ListModelsRequest(page_size=1000))
    assert {model.id for model in every.models} == {*catalog.models, *catalog.aliases}
    some = await planner.call(planner.catalog.ListModels, pb.ListModelsRequest(name_contains="deepseek-r1"))
    assert R1 in {model.id for model in some.models}
    assert all("deepseek-r1" in model.id.lower() for model in some.models)


async def test_a_model_is_described_to_the_last_parameter(planner):
    found = await planner.call(planner.catalog.GetModel, pb.GetModelRequest(model="deepseek-ai/DeepSeek-V3"))
    assert found.model.parameters.total == pytest.approx(671.03e9, rel=1e-4)
    assert found.model.parameters.active == pytest.approx(37.55e9, rel=1e-3)
    assert found.model.cache.kv_bytes_per_token == 70_272  # arXiv:2505.09343, table 1
    assert sum(layer.layer_count for layer in found.model.layers) == found.model.layer_count == 61
    assert {layer.WhichOneof("attention") for layer in found.model.layers} == {"latent_attention"}
    assert {layer.WhichOneof("feed_forward") for layer in found.model.layers} == {
        "dense_feed_forward",
        "mixture_of_experts",
    }
    assert found.facts


async def test_an_unknown_model_is_not_found(planner):
    refused = await planner.refused(planner.catalog.GetModel, pb.GetModelRequest(model="deepseek-ai/DeepSeek-R3"))
    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "UNKNOWN_MODEL")


async def test_every_model_and_accelerator_can_be_asked_for(planner, catalog):
    for model in (*catalog.models, *catalog.aliases):
        assert (await planner.call(planner.catalog.GetModel, pb.GetModelRequest(model=model))).model.id == model
    for card in catalog.accelerators:
        request = pb.GetAcceleratorRequest(accelerator=card)
        assert (await planner.call(planner.catalog.GetAccelerator, request)).accelerator.id == card


async def test_a_config_json_describes_a_model(planner):
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "max_position_embeddings": 131072,
        "use_sliding_window": False,
    }
    request = pb.ImportModelRequest(model="my-qwen", config_json=json.dumps(config))
    found = await planner.call(planner.catalog.ImportModel, request)
    assert found.model.id == "my-qwen"
    assert found.model.parameters.total == 7_615_616_512  # as Qwen2.5-7B


@pytest.mark.parametrize("config_json", ["not json", "[]", "{}", '{"model_type": "unheard-of"}', "[" * 5000, "1e999"])
async def test_a_config_json_that_is_not_understood_is_refused_by_field(planner, config_json):
    request = pb.ImportModelRequest(model="mine", config_json=config_json)
    refused = await planner.refused(planner.catalog.ImportModel, request)
    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "QUESTION_REFUSED")
    assert "config_json" in refused.fields


async def test_a_page_token_of_another_list_is_refused(planner):
    token = (await planner.call(planner.catalog.ListModels, pb.ListModelsRequest(page_size=1))).next_page_token
    for request in (
        pb.ListModelsRequest(page_token=token, family="another"),
        pb.ListModelsRequest(page_token="%%%"),
        pb.ListModelsRequest(page_token="AAAA"),
    ):
        refused = await planner.refused(planner.catalog.ListModels, request)
        assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
