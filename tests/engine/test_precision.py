"""Every way to run a model on an accelerator: what must come out by generation, and what holds of every answer."""

import pytest

from domain.catalog.number_format import Quality
from domain.engine.answer import Policy, PrecisionAnswer, Way, resolve_precision
from tests.release import catalog

R1 = "deepseek-ai/DeepSeek-R1"
QWEN_7B = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
GPT_OSS = "openai/gpt-oss-120b"
MODELS = (R1, QWEN_7B, GPT_OSS, "moonshotai/Kimi-K2-Instruct", "Qwen/Qwen3-30B-A3B")
POLICIES: tuple[Policy, ...] = ("lossless", "allow_8bit", "allow_4bit")
QUALITIES: tuple[Quality, ...] = ("lossless", "near_lossless", "lossy")
LEAST_BITS = {"lossless": 16.0, "allow_8bit": 8.0, "allow_4bit": 4.0}
ACCELERATORS = sorted(catalog().accelerators)


def resolved(model: str, accelerator: str, policy: Policy = "allow_8bit") -> PrecisionAnswer:
    return resolve_precision(catalog(), model, accelerator, policy)


def way(answer: PrecisionAnswer, number_format: str) -> Way:
    return next(one for one in answer.ways if one.number_format == number_format)


def refusals(answer: PrecisionAnswer) -> dict[str, str]:
    return {refused.number_format: refused.code for refused in answer.refused}


@pytest.mark.parametrize(
    "accelerator",
    ["h100-sxm-80", "h200-sxm-141", "h20-96", "h800-sxm-80", "l40s", "rtx-4090-24", "b200-sxm", "rtx-5090", "gb300"],
)
def test_an_fp8_checkpoint_runs_as_published_on_hopper_ada_and_blackwell(accelerator):
    first = resolved(R1, accelerator).ways[0]
    assert (first.number_format, first.path, first.quality, first.compute_type) == ("fp8", "native", "lossless", "fp8")
    assert first.peak_flops_per_s == catalog().accelerators[accelerator].peak_flops_per_s["fp8"]


@pytest.mark.parametrize("accelerator", ["mi300x", "mi325x"])
def test_an_fp8_checkpoint_runs_on_cdna3_after_it_is_re_encoded(accelerator):
    first = resolved(R1, accelerator).ways[0]
    assert (first.number_format, first.path) == ("fp8", "native")
    assert "FNUZ" in first.sentence


@pytest.mark.parametrize("accelerator", ["a100-sxm-80", "a800-sxm-80", "a100-pcie-80", "rtx-3090"])
def test_an_fp8_checkpoint_runs_weight_only_on_ampere_and_bf16_takes_twice_the_bytes(accelerator):
    answer = resolved(R1, accelerator, "allow_4bit")
    expanded, converted, whole = way(answer, "fp8"), way(answer, "bf16"), way(answer, "int8")
    assert (expanded.path, expanded.compute_type) == ("weight_only", "bf16")
    assert converted.weights_bytes == pytest.approx(2.0 * expanded.weights_bytes, rel=0.01)
    assert (whole.path, whole.compute_type, whole.quality) == ("quantized", "int8", "near_lossless")
    assert way(answer, "int4_awq").path == "weight_only"


@pytest.mark.parametrize("accelerator", ["t4", "quadro-rtx-6000", "rtx-2080"])
def test_turing_has_fp8_weight_only_and_fp16(accelerator):
    answer = resolved(R1, accelerator)
    assert (way(answer, "fp8").path, way(answer, "fp8").compute_type) == ("weight_only", "fp16")
    assert way(answer, "fp16").path == "converted"
    assert refusals(answer)["bf16"] == "NO_BF16_ON_ACCELERATOR"


@pytest.mark.parametrize("accelerator", ["v100-sxm2-32", "v100s-pcie-32"])
def test_volta_runs_16_bit_models_in_fp16(accelerator):
    answer = resolved(QWEN_7B, accelerator)
    assert answer.ways[0].number_format == "fp16"
    assert refusals(answer)["bf16"] == "NO_BF16_ON_ACCELERATOR"


@pytest.mark.parametrize("accelerator", ["p40", "gtx-1080"])
def test_pascal_runs_int8_or_fp32_since_its_fp16_is_slower(accelerator):
    answer = resolved(QWEN_7B, accelerator)
    assert {"int8", "fp32"} <= {one.number_format for one in answer.ways}
    assert refusals(answer)["fp16"] == "FP16_SLOWER_THAN_FP32"
    assert refusals(answer)["bf16"] == "NO_BF16_ON_ACCELERATOR"


@pytest.mark.parametrize("accelerator", ["ascend-910b1", "ascend-910b3", "ascend-910b4-64", "ascend-910c"])
def test_ascend_910_has_no_fp8_path_at_all_but_bf16_w8a8_and_w8a16(accelerator):
    answer = resolved(R1, accelerator)
    assert refusals(answer)["fp8"] == "NO_FP8_ON_ACCELERATOR"
    assert way(answer, "bf16").path == "converted"
    whole, expanded = (one for one in answer.ways if one.number_format == "int8")
    assert (whole.path, expanded.path) == ("quantized", "weight_only")


def test_w8a16_stores_the_bytes_of_w8a8_and_computes_at_the_16_bit_rate():
    whole, expanded = (one for one in resolved(R1, "ascend-910b3").ways if one.number_format == "int8")
    peaks = catalog().accelerators["ascend-910b3"].peak_flops_per_s
    assert whole.weights_bytes == expanded.weights_bytes
    assert (whole.peak_flops_per_s, expanded.peak_flops_per_s) == (peaks["int8"], peaks["bf16"])


@pytest.mark.parametrize("accelerator", ["atlas-300i-duo-48", "atlas-300i-duo-96", "atlas-300i-pro"])
def test_the_310p_has_neither_bf16_nor_fp8_and_fp16_warns_of_its_range(accelerator):
    answer = resolved(QWEN_7B, accelerator)
    assert answer.ways[0].number_format == "fp16"
    assert "range warning" in answer.ways[0].sentence
    assert (refusals(answer)["bf16"], refusals(answer)["fp8"]) == ("NO_BF16_ON_ACCELERATOR", "NO_FP8_ON_ACCELERATOR")


def test_mxfp4_and_nvfp4_are_different_formats():
    answer = resolved(GPT_OSS, "mi355x", "allow_4bit")
    assert (way(answer, "mxfp4").path, way(answer, "mxfp4").compute_type) == ("native", "fp4")
    assert refusals(resolved(QWEN_7B, "mi355x", "allow_4bit"))["nvfp4"] == "NO_KERNEL_FOR_FORMAT"
    assert way(resolved(QWEN_7B, "b200-sxm", "allow_4bit"), "nvfp4").compute_type == "fp4"


def test_a_checkpoint_is_not_quantised_to_the_width_that_it_has():
    assert refusals(resolved(R1, "h100-sxm-80"))["int8"] == "NOT_SMALLER_THAN_STORED"


def test_a_4_bit_checkpoint_is_lossless_as_published_whatever_the_policy():
    answer = resolved(GPT_OSS, "h100-sxm-80", "lossless")
    assert (way(answer, "mxfp4").quality, way(answer, "mxfp4").path) == ("lossless", "weight_only")


def test_b300_computes_w8a8_no_faster_than_bf16_and_is_not_offered_it():
    whole = [one for one in resolved(QWEN_7B, "b300-sxm").ways if one.number_format == "int8"]
    assert [one.path for one in whole] == ["weight_only"]


def test_not_known_is_not_no():
    answer = resolved(R1, "a100-sxm-80")
    said = {support.engine: support for support in way(answer, "fp8").engines}
    assert (said["vllm"].answer, said["tensorrt_llm"].answer) == ("yes", "no")
    assert (said["ktransformers"].answer, said["ktransformers"].source) == ("not_known", "")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("model", MODELS)
def test_ways_are_ordered_by_quality_then_bytes_then_rate(model, policy):
    for accelerator in ACCELERATORS:
        ways = resolved(model, accelerator, policy).ways
        order = [(QUALITIES.index(one.quality), one.weights_bytes, -(one.peak_flops_per_s or 0.0)) for one in ways]
        assert order == sorted(order), accelerator


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("model", MODELS)
def test_every_weight_format_is_a_way_or_is_refused_with_a_code_and_a_sentence(model, policy):
    formats = {key for key, value in catalog().number_formats.items() if value.for_weights}
    for accelerator in ACCELERATORS:
        answer = resolved(model, accelerator, policy)
        ways, refused = {one.number_format for one in answer.ways}, refusals(answer)
        assert ways | set(refused) == formats
        assert not ways & set(refused)
        assert all(one.sentence for one in answer.refused)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("model", MODELS)
def test_no_way_loses_more_than_the_policy_allows(model, policy):
    formats = catalog().number_formats
    for accelerator in ACCELERATORS:
        for one in resolved(model, accelerator, policy).ways:
            allowed = formats[one.number_format].element_bits >= LEAST_BITS[policy]
            assert one.quality == "lossless" or (allowed and policy != "lossless"), one.sentence


@pytest.mark.parametrize("model", MODELS)
def test_a_wider_policy_keeps_every_way_of_a_narrower_one(model):
    for accelerator in ACCELERATORS:
        offered = [{(one.number_format, one.path) for one in resolved(model, accelerator, p).ways} for p in POLICIES]
        assert offered[0] <= offered[1] <= offered[2], accelerator


@pytest.mark.parametrize("model", MODELS)
def test_what_is_said_of_an_engine_has_a_source(model):
    content = catalog()
    for accelerator in ACCELERATORS:
        for one in resolved(model, accelerator, "allow_4bit").ways:
            assert one.sentence.endswith(".")
            for support in one.engines:
                known = support.source in content.sources or support.source.startswith("serving_engines/")
                assert known if support.answer != "not_known" else not support.source, support


def test_rates_are_dense_peaks_of_the_whole_card_or_said_to_be_unknown():
    answer = resolved(QWEN_7B, "mi308x")
    assert answer.ways[0].peak_flops_per_s is None
    assert "at a rate that the catalog does not know" in answer.ways[0].sentence
