import csv
from pathlib import Path

import pytest

from domain.catalog.model import Model
from domain.engine.model import (
    cache_bytes_per_token,
    parameter_counts,
    state_bytes_per_sequence,
    weight_parts,
)
from service.release_files import built_in

# Counted from configurations and reference implementations, and closed against vendors' published totals.
# An empty figure: not counted there.
PUBLISHED = Path(__file__).parents[1] / "data" / "published_parameters.csv"
with PUBLISHED.open() as lines:
    ROWS = list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def models():
    return built_in().models


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["model"])
def test_every_catalog_model_has_its_published_parameters_and_cache(models, row):
    model = models[row["model"]]
    counts = parameter_counts(model)
    assert counts.total == int(row["total"])
    assert counts.active == int(row["active"])
    assert cache_bytes_per_token(model, 2.0) == int(row["kv_bytes_per_token"])
    assert cache_bytes_per_token(model, 2.0, growing_only=True) == int(row["growing_kv_bytes_per_token"])
    assert not row["mtp"] or counts.mtp == int(row["mtp"])
    assert state_bytes_per_sequence(model) == int(row["state_bytes_per_sequence"] or 0)


def test_no_catalog_model_goes_unchecked(models):
    later = {"mistralai/Mistral-Small-3.1-24B-Instruct-2503"}
    assert set(models) - {row["model"] for row in ROWS} <= later


def test_deepseek_v3_counts_as_its_report_and_its_weights_say(models):
    # arXiv:2412.19437 sec. 4.2: 671B total, 37B activated; README_WEIGHTS.md: 11.5B unique in the MTP module,
    # 36.7B activated with 0.9B of embedding and 0.9B of output head.
    counts = parameter_counts(models["deepseek-ai/DeepSeek-V3"])
    assert counts.total == pytest.approx(671.03e9, rel=1e-5)
    assert counts.active == pytest.approx(37.55e9, rel=1e-4)
    assert counts.active_without_input_embedding == pytest.approx(36.6e9, rel=1e-3)
    assert counts.mtp == pytest.approx(11.6e9, rel=1e-3)
    components = dict(counts.by_component)
    assert components["embedding"] == components["output_head"] == 129_280 * 7_168
    assert components["routed_experts"] == 58 * 256 * 3 * 7_168 * 2_048


@pytest.mark.parametrize(
    ("name", "published_bytes"),
    [
        # arXiv:2505.09343, table 1
        ("deepseek-ai/DeepSeek-V3", 70_272),
        ("Qwen/Qwen2.5-72B", 327_680),
        ("meta-llama/Llama-3.1-405B", 516_096),
    ],
)
def test_one_token_occupies_the_published_number_of_bytes(models, name, published_bytes):
    assert cache_bytes_per_token(models[name], 2.0) == published_bytes


def _saving(model: Model, baseline_bytes: float, element_bytes: float = 2.0) -> float:
    return 1 - cache_bytes_per_token(model, element_bytes) / baseline_bytes


def test_latent_attention_saves_what_its_baseline_makes_of_it(models):
    v2, v3 = models["deepseek-ai/DeepSeek-V2"], models["deepseek-ai/DeepSeek-V3"]
    grouped = cache_bytes_per_token(models["deepseek-ai/deepseek-llm-67b-base"], 2.0)
    assert _saving(v2, grouped) == pytest.approx(0.822, abs=5e-4)
    assert _saving(v3, grouped) == pytest.approx(0.819, abs=5e-4)


def test_the_advertised_saving_of_93_3_percent_needs_a_six_bit_cache(models):
    # arXiv:2405.04434, abstract and sec. 3.2.3: 93.3 % against DeepSeek 67B, with a cache of 6 bits an element.
    grouped = cache_bytes_per_token(models["deepseek-ai/deepseek-llm-67b-base"], 2.0)
    v2 = models["deepseek-ai/DeepSeek-V2"]
    assert _saving(v2, grouped, element_bytes=6 / 8) == pytest.approx(0.933, abs=5e-4)
    assert _saving(v2, grouped) < 0.93


def test_against_its_own_twin_with_a_head_for_each_query_the_saving_is_98_2_percent(models):
    attention = models["deepseek-ai/DeepSeek-V3"].layers[0].attention
    twin_elements = attention.head_count * 2 * attention.nope_head_dim
    latent_elements = attention.kv_lora_rank + attention.rope_head_dim
    assert 1 - latent_elements / twin_elements == pytest.approx(0.982, abs=5e-4)


def test_parts_of_a_model_add_up_to_its_parameters(models):
    for model in models.values():
        counts = parameter_counts(model)
        parts = weight_parts(model)
        assert sum(part.parameter_count for part in parts) == counts.total + counts.mtp + counts.tower
        assert all(0 <= part.active_parameter_count <= part.parameter_count for part in parts)
        assert counts.active_without_input_embedding <= counts.active <= counts.total


def test_only_experts_are_not_all_active(models):
    for model in models.values():
        for part in weight_parts(model):
            if part.component not in {"routed_experts", "mtp", "tower"}:
                assert part.active_parameter_count == part.parameter_count
