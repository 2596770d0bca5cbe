"""The built-in release: complete, sourced, and right where somebody else published the figure."""

import csv
import time
from collections import Counter
from pathlib import Path

import pytest

from domain.catalog.model import LinearAttention
from domain.catalog.release import Catalog
from domain.engine.model_cache import cache_bytes_per_token
from domain.engine.model_weights import parameter_counts
from domain.engine.ways import PrecisionResolver
from service.release_files import built_in

FIGURES = Path(__file__).with_name("model_figures.csv")
GIB = 1024**3


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return built_in()


def test_every_accelerator_node_and_model_is_there(catalog):
    assert (len(catalog.accelerators), len(catalog.nodes)) == (76, 41)
    assert len(catalog.models) == 84
    assert {accelerator.vendor for accelerator in catalog.accelerators.values()} == {
        "NVIDIA",
        "AMD",
        "Huawei",
        "Intel",
        "Google",
        "Apple",
    }


def test_models_whose_figures_nobody_verified_are_left_out(catalog):
    for name in ("deepseek-ai/DeepSeek-V4-Flash", "deepseek-ai/DeepSeek-V4-Pro", "moonshotai/Kimi-K3"):
        assert name not in catalog.models
        assert name not in catalog.aliases


def test_loading_takes_less_than_half_a_second():
    def seconds() -> float:
        start = time.process_time()
        built_in()
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 0.5


def test_the_digest_is_the_same_every_time(catalog):
    assert built_in().digest == catalog.digest


def test_every_source_is_named_by_something(catalog):
    named = {fact.source for fact in catalog.facts.values()}
    folder = Path(__file__).parents[2] / "domain/catalog/releases/2026-11"
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.toml") if path.name != "sources.toml"]

    assert [key for key in catalog.sources if key not in named and not any(f'"{key}"' in text for text in texts)] == []


def test_every_fact_names_a_source_that_a_reader_can_open(catalog):
    for path, fact in catalog.facts.items():
        assert catalog.sources[fact.source].link, path


def test_the_two_kinds_of_blank_are_what_the_accelerators_show(catalog):
    for path, fact in catalog.facts.items():
        section, key, *rest = path.split("/")
        if section == "accelerators" and rest[0].endswith("_flops_per_s"):
            compute_type = rest[0].removesuffix("_flops_per_s")
            peaks = catalog.accelerators[key].peak_flops_per_s
            assert (compute_type in peaks) == (fact.kind != "unsupported"), path
            assert peaks.get(compute_type) == fact.value, path


def test_what_answers_cite_is_a_fact(catalog):
    model = catalog.model("RedHatAI/Qwen2.5-7B-Instruct-fp8-dynamic")
    cited = PrecisionResolver(catalog, model).resolve(catalog.accelerator("h100-sxm-80"), "allow_4bit").facts

    assert [path for path in (*cited, "nodes/dgx-h100/accelerator_count") if path not in catalog.facts] == []


# Vendors' data sheets, dense, in bytes, bytes/s, flops/s (the sources stand in the release).
PUBLISHED = [
    ("h100-sxm-80", 80e9, 3.35e12, {"bf16": 989e12, "fp8": 1979e12, "int8": 1979e12}),
    ("h200-sxm-141", 141e9, 4.8e12, {"bf16": 989e12, "fp8": 1979e12}),
    ("h20-96", 96e9, 4.0e12, {"bf16": 148e12, "fp8": 296e12}),
    ("a100-sxm-80", 80e9, 2.039e12, {"bf16": 312e12, "int8": 624e12}),
    ("b200-sxm", 180e9, 7.7e12, {"bf16": 2250e12, "fp8": 4500e12, "fp4": 9000e12}),
    ("gb300", 288e9, 8.0e12, {"fp8": 5000e12, "fp4": 15000e12, "int8": 165e12}),
    ("mi300x", 192e9, 5.3e12, {"bf16": 1307.4e12, "fp8": 2614.9e12}),
    ("mi355x", 288e9, 8.0e12, {"fp8": 5033e12, "fp4": 10066e12}),
    ("ascend-910b4-64", 64e9, 1.6e12, {"fp16": 280e12}),
    ("atlas-300i-duo-96", 96e9, 408e9, {"fp16": 140e12, "int8": 280e12}),
    ("rtx-4090-24", 24e9, 1008e9, {"bf16": 165.2e12, "fp8": 330.3e12}),
    ("gaudi3", 128e9, 3.7e12, {"bf16": 1677e12, "fp8": 1677e12}),
]


@pytest.mark.parametrize(("name", "memory_bytes", "bandwidth", "peaks"), PUBLISHED, ids=[row[0] for row in PUBLISHED])
def test_accelerators_are_as_published(catalog, name, memory_bytes, bandwidth, peaks):
    accelerator = catalog.accelerator(name)

    assert accelerator.memory_bytes == memory_bytes
    assert accelerator.memory_bandwidth_bytes_per_s == bandwidth
    assert {key: accelerator.peak_flops_per_s[key] for key in peaks} == peaks


# FP32 accumulation halves the 16-bit rate of GeForce cards but not their integer rate; Blackwell Ultra and the 5090
# print FP4 at 3 and 4 times FP8; Gaudi 3 has one rate for both; peaks of the others double from width to width.
HALF_RATE = {
    "rtx-2080",
    "rtx-4090-24",
    "rtx-4090-48",
    "rtx-5090",
    "rtx-3090",
    "rtx-3080-10",
    "rtx-3060-12",
    "rtx-3050-8",
}
LIKE_BF16 = {"gaudi3"}
CUT_INT8 = {"b300-sxm", "gb300"}
FP4_TIMES = {"b300-sxm": 3, "gb300": 3, "rtx-5090": 4}


def test_native_fp8_peaks_are_twice_the_bf16_ones(catalog):
    for name, accelerator in catalog.accelerators.items():
        fp8, bf16 = accelerator.peak_flops_per_s.get("fp8"), accelerator.peak_flops_per_s.get("bf16")
        if fp8 and bf16:
            assert fp8 / bf16 == pytest.approx(1 if name in LIKE_BF16 else 2, rel=0.015), name


def test_int8_peaks_are_twice_the_16_bit_ones(catalog):
    for name, accelerator in catalog.accelerators.items():
        int8, fp16 = accelerator.peak_flops_per_s.get("int8"), accelerator.peak_flops_per_s.get("fp16")
        if not int8 or not fp16 or name in CUT_INT8 or accelerator.generation in {"volta", "pascal", "cdna2"}:
            continue
        assert int8 / fp16 == pytest.approx(4 if name in HALF_RATE else 2, rel=0.015), name


def test_fp4_peaks_are_multiples_of_the_fp8_ones(catalog):
    for name, accelerator in catalog.accelerators.items():
        fp4, fp8 = accelerator.peak_flops_per_s.get("fp4"), accelerator.peak_flops_per_s.get("fp8")
        if fp4 and fp8:
            assert fp4 / fp8 == pytest.approx(FP4_TIMES.get(name, 2), rel=0.015), name


def test_no_peak_is_a_sparse_one(catalog):
    densest = max(a.peak_flops_per_s.get("bf16") or 0 for a in catalog.accelerators.values())

    assert densest == 2516e12  # MI355X; sparse figures would print H100 at 1 979 and B200 at 4 500


def test_one_way_link_rates_are_half_of_both_ways(catalog):
    for name, accelerator in catalog.accelerators.items():
        both, one = accelerator.link.bidirectional_bytes_per_s, accelerator.link.unidirectional_bytes_per_s
        if both and one:
            assert one == pytest.approx(both / 2, rel=0.001), name


USABLE = [
    ("h100-sxm-80", 79.19),
    ("h800-sxm-80", 79.19),
    ("a100-sxm-80", 79.15),
    ("a800-sxm-80", 79.15),
    ("h200-sxm-141", 139.8),
    ("h20-141", 139.8),
    ("ascend-910b4-64", 60.97),
    ("ascend-910b3", 60.97),
    ("atlas-300i-duo-96", 2 * 43.24),
    ("atlas-300i-duo-48", 43.24),
    ("rtx-4090-24", 23.55),
    ("rtx-3090", 23.58),
    ("b200-sxm", 178.35),
    ("l40s", 44.39),
]


@pytest.mark.parametrize(("name", "gib"), USABLE)
def test_usable_memory_is_what_runtimes_report(catalog, name, gib):
    assert catalog.accelerator(name).usable_memory_bytes == pytest.approx(gib * GIB, abs=1)


def test_usable_memory_that_nobody_reported_is_unknown_rather_than_nominal(catalog):
    for name in ("rtx-3080-10", "tpu-v5e", "rtx-4090-48", "gaudi2"):
        assert catalog.accelerator(name).usable_memory_bytes is None


def test_a_whole_board_is_bought_at_once_and_slot_cards_are_not(catalog):
    assert catalog.nodes["hgx-h200-8"].granularity_count == 8
    assert catalog.nodes["gb200-nvl72"].granularity_count == 72
    assert catalog.nodes["atlas-800i-a2-8x64"].granularity_count == 8
    assert catalog.nodes["srv-8x4090"].granularity_count == 1
    assert catalog.nodes["atlas-300i-duo-4x48"].granularity_count == 1


def test_cards_with_two_devices_say_so(catalog):
    two = {name for name, accelerator in catalog.accelerators.items() if accelerator.devices_per_card == 2}

    assert two == {"atlas-300i-duo-48", "atlas-300i-duo-96", "ascend-910c", "mi250x"}


def test_what_a_generation_cannot_do_is_unsupported(catalog):
    assert catalog.accelerator("ascend-910b3").support["fp8"] == "unsupported"
    assert catalog.accelerator("atlas-300i-duo-96").support["bf16"] == "unsupported"
    assert catalog.accelerator("t4").support["bf16"] == "unsupported"
    assert catalog.accelerator("a100-sxm-80").support["fp8"] == "emulated"
    assert "fp8" not in catalog.accelerator("a100-sxm-80").peak_flops_per_s
    assert catalog.accelerator("mi308x").peak_flops_per_s["bf16"] is None


def figures() -> list[dict[str, str]]:
    with FIGURES.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", figures(), ids=lambda row: row["model"])
def test_parameters_and_cache_of_a_model_are_the_published_ones(catalog, row):
    model = catalog.model(row["model"])
    counts = parameter_counts(model)

    assert (counts.total, counts.active) == (int(row["parameters"]), int(row["active_parameters"]))
    assert cache_bytes_per_token(model, 2.0) == int(row["kv_bytes_per_token"])
    assert cache_bytes_per_token(model, 2.0, growing_only=True) == int(row["growing_kv_bytes_per_token"])


def test_a_patterned_model_has_as_many_layers_as_its_configuration(catalog):
    kinds = Counter(
        type(catalog.models["Qwen/Qwen3.5-397B-A17B"].layers[index].attention)
        for index in catalog.models["Qwen/Qwen3.5-397B-A17B"].pattern
    )

    assert kinds[LinearAttention] == 45
    assert sum(kinds.values()) == 60


def test_number_formats_count_their_scales(catalog):
    bits = {name: number_format.storage_bits for name, number_format in catalog.number_formats.items()}

    assert bits["int4_awq"] == pytest.approx(4.16, abs=0.005)  # 16-bit scale and 4-bit zero point per 128
    assert (bits["mxfp4"], bits["nvfp4"], bits["q8_0"]) == (4.25, 4.5, 8.5)
    assert bits["fp8"] == pytest.approx(8 + 32 / 128**2)
    assert bits["q4_k_m"] == 4.8944  # llama.cpp, Llama-3.1-8B


def test_mxfp4_and_nvfp4_are_different_formats_to_a_mi355x(catalog):
    paths = {
        (row.engine, row.number_format): row.path
        for row in catalog.format_support
        if row.generation == catalog.accelerator("mi355x").generation
    }

    assert paths["vllm", "mxfp4"] == "native"
    assert paths["vllm", "nvfp4"] == "no"


def test_engines_are_offered_in_the_order_of_preference(catalog):
    bare = [key for key in catalog.serving_engines if "@" not in key]

    assert bare[0] == "vllm"
    assert catalog.serving_engines["vllm"].version == "0.19.0"
    assert catalog.serving_engines["vllm@0.11.0"].version == "0.11.0"


def test_checkpoints_of_the_same_architecture_resolve(catalog):
    assert catalog.model("moonshotai/Kimi-Dev-72B").layers == catalog.model("Qwen/Qwen2.5-72B").layers
    assert catalog.model("RedHatAI/Qwen2.5-7B-Instruct-fp8-dynamic").stored.number_format == "fp8"
    assert catalog.model("meta-llama/Llama-3.1-8B-Instruct").stored.number_format == "bf16"
