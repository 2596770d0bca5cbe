from typing import Any

import pytest

from domain.catalog.huggingface import ConfigError, read_config
from domain.catalog.model import StoredWeights
from service.release_files import built_in
from tests.huggingface.configs import published, sample

LLAMA = next(row["config"] for row in published() if row["model"] == "meta-llama/Llama-3.2-1B")
MOE = sample("Qwen/Qwen3-30B-A3B")


def stored(quantization: object, config: dict[str, Any] = LLAMA) -> StoredWeights:
    return read_config({**config, "quantization_config": quantization}, id="somebody/model").stored


def groups(**weights: object) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
    }


@pytest.mark.parametrize(
    ("quantization", "number_format"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8"),
        ({"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}, "fp8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4_awq"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "int4_gptq"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True, "load_in_4bit": False}, "int8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4_awq"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8"),
        ({"quantization": {"quant_algo": "NVFP4"}, "quant_method": "modelopt"}, "nvfp4"),
        (groups(num_bits=8, type="float", strategy="channel"), "fp8"),
        (groups(num_bits=8, type="int", strategy="channel"), "int8"),
        (groups(num_bits=4, type="int", group_size=128), "int4_awq"),
        (groups(num_bits=4, type="int", group_size=32), "int4_g32"),
        (groups(num_bits=4, type="float", group_size=16), "nvfp4"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4"}}}, "mxfp4"),
    ],
)
def test_a_quantised_checkpoint_tells_its_format(quantization, number_format):
    assert stored(quantization).number_format == number_format
    assert number_format in built_in().number_formats


@pytest.mark.parametrize(("dtype", "number_format"), [("bfloat16", "bf16"), ("float16", "fp16"), ("float32", "fp32")])
def test_a_plain_checkpoint_tells_its_type(dtype, number_format):
    assert read_config({**LLAMA, "torch_dtype": dtype}, id="x").stored.number_format == number_format
    renamed = {field: value for field, value in LLAMA.items() if field != "torch_dtype"}
    assert read_config({**renamed, "dtype": dtype}, id="x").stored.number_format == number_format


def test_a_checkpoint_without_a_type_is_taken_as_bf16_and_says_so():
    silent = {field: value for field, value in LLAMA.items() if field != "torch_dtype"}
    model = read_config(silent, id="x")
    assert model.stored.number_format == "bf16"
    assert "no torch_dtype" in model.note


def test_gpt_oss_has_its_experts_alone_in_mxfp4():
    model = read_config(sample("openai/gpt-oss-120b"), id="x")
    assert (model.stored.number_format, model.stored.by_component) == ("mxfp4", ())


def test_kimi_k2_5_has_its_experts_alone_in_int4():
    ignored = ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*", "re:.*mlp\\.(gate|up|gate_up|down)_proj.*"]
    quantization = {**groups(num_bits=4, type="int", group_size=32), "ignore": ignored}
    found = stored(quantization, sample("moonshotai/Kimi-K2-Instruct"))
    assert (found.number_format, found.by_component) == ("int4_g32", ())


def test_a_whole_model_in_an_experts_format_says_which_components_it_reaches():
    found = stored(groups(num_bits=4, type="int", group_size=32))
    assert ("attention", "int4_g32") in found.by_component
    assert ("dense_ffn", "int4_g32") in found.by_component


def test_a_mixed_checkpoint_tells_the_format_of_each_component():
    layers = {
        "model.layers.1.mlp.experts.0.down_proj": {"quant_algo": "NVFP4"},
        "model.layers.1.self_attn.o_proj": {"quant_algo": "FP8"},
    }
    found = stored({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}, MOE)
    assert found.number_format == "nvfp4"
    assert ("attention", "fp8") in found.by_component
    assert ("dense_ffn", "bf16") in found.by_component
    assert "routed_experts" not in dict(found.by_component)


def test_attention_that_was_left_out_everywhere_stays_16_bit():
    left_out = [f"model.layers.{layer}.self_attn.{name}_proj" for layer in range(16) for name in "qkvo"]
    assert stored({"quant_method": "fp8", "modules_to_not_convert": left_out}).by_component == (("attention", "bf16"),)
    assert stored({"quant_method": "fp8", "ignored_layers": ["re:.*self_attn.*"]}).by_component == (
        ("attention", "bf16"),
    )


def test_a_few_layers_left_out_are_remarked_upon():
    quantization = {"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.mlp", "lm_head"]}
    model = read_config({**LLAMA, "quantization_config": quantization}, id="x")
    assert model.stored.by_component == ()
    assert "A few layers keep dense_ffn in BF16" in model.note


def test_tables_norms_and_routers_are_left_to_the_format():
    assert stored(sample("Qwen/Qwen3-235B-A22B-FP8")["quantization_config"], MOE).by_component == ()


def test_a_name_that_promises_a_format_the_config_does_not_state_is_remarked_upon():
    model = read_config(sample("nvidia/DeepSeek-V3.1-NVFP4"), id="nvidia/DeepSeek-V3.1-NVFP4")
    assert model.stored.number_format == "bf16"
    assert "The name says NVFP4" in model.note


@pytest.mark.parametrize(
    ("quantization", "field"),
    [
        ({"quant_method": "aqlm"}, "quantization_config.quant_method"),
        ({"bits": 4}, "quantization_config.quant_method"),
        ({"quant_method": "gptq", "bits": 3}, "quantization_config.bits"),
        ({"quant_method": "modelopt", "quant_algo": "INT2"}, "quantization_config.quant_algo"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, "quantization_config.quantized_layers"),
        ({"quant_method": "compressed-tensors"}, "quantization_config.config_groups"),
        ({"quant_method": "bitsandbytes"}, "quantization_config.load_in_4bit"),
        ({"quant_method": "quark"}, "quantization_config.global_quant_config"),
        ({"quant_method": "fp8", "ignored_layers": [1]}, "quantization_config.ignored_layers"),
        ("fp8", "quantization_config"),
    ],
)
def test_a_quantisation_that_cannot_be_told_names_its_field(quantization, field):
    with pytest.raises(ConfigError) as refusal:
        stored(quantization)
    assert field in {problem.field for problem in refusal.value.problems}
