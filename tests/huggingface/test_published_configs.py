import pytest

from domain.catalog.huggingface import read_config
from domain.catalog.model import Model
from domain.engine.model import (
    cache_bytes_per_token,
    convolution_bytes_per_sequence,
    index_bytes_per_token,
    parameter_counts,
    state_bytes_per_sequence,
)
from service.release_files import built_in
from tests.huggingface.configs import published, sample, sample_names

ROWS = published()

# A sample and the catalog's entry for the same architecture.
CATALOG_NAMES = {
    "Qwen/Qwen3-235B-A22B-FP8": "Qwen/Qwen3-235B-A22B",
    "Qwen/Qwen3-32B-FP8": "Qwen/Qwen3-32B",
    "meta-llama/Meta-Llama-3.1-70B": "meta-llama/Llama-3.1-70B",
    "nvidia/DeepSeek-V3.1-NVFP4": "deepseek-ai/DeepSeek-V3.1",
}
IN_CATALOG = [
    *("MiniMaxAI/MiniMax-M2.5", "Qwen/Qwen3-30B-A3B", "Qwen/Qwen3-32B", "Qwen/Qwen3.5-397B-A17B", "zai-org/GLM-5"),
    *("deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-V3.2", "meta-llama/Llama-4-Scout-17B-16E-Instruct"),
    *("mistralai/Mixtral-8x7B-v0.1", "moonshotai/Kimi-K2-Instruct", "openai/gpt-oss-120b"),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    *CATALOG_NAMES,
]

# Not in the catalog: counted with transformers 5.23's own models, and near what their publishers name.
OTHERS = {
    "XiaomiMiMo/MiMo-V2-Flash": (308_778_780_864, 309e9, 15e9),
    "deepseek-ai/DeepSeek-V4-Flash": (284_332_240_471, 284e9, 13e9),
    "google/gemma-4-26B-A4B": (25_233_141_790, 25.2e9, 3.8e9),
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1": (49_867_145_216, 49.9e9, 49.9e9),
}


@pytest.fixture(scope="module")
def catalog_models():
    return built_in().models


def imported(name: str) -> Model:
    return read_config(sample(name), id=name)


def test_every_sample_is_told():
    assert set(sample_names()) == {*IN_CATALOG, *OTHERS}


@pytest.mark.parametrize("name", IN_CATALOG)
def test_an_imported_config_counts_like_the_catalog(catalog_models, name):
    model, known = imported(name), catalog_models[CATALOG_NAMES.get(name, name)]
    ours, theirs = parameter_counts(model), parameter_counts(known)
    assert (ours.total, ours.active) == (theirs.total, theirs.active)
    assert cache_bytes_per_token(model, 2.0) == cache_bytes_per_token(known, 2.0)
    growing = cache_bytes_per_token(model, 2.0, growing_only=True)
    assert growing == cache_bytes_per_token(known, 2.0, growing_only=True)
    assert state_bytes_per_sequence(model) == state_bytes_per_sequence(known)
    assert convolution_bytes_per_sequence(model) == convolution_bytes_per_sequence(known)
    assert index_bytes_per_token(model) == index_bytes_per_token(known)


@pytest.mark.parametrize(("name", "figures"), OTHERS.items())
def test_an_imported_config_counts_like_the_reference_implementation(name, figures):
    parameters, named_total, named_active = figures
    counts = parameter_counts(imported(name))
    assert counts.total == parameters
    assert counts.total == pytest.approx(named_total, rel=0.005)
    assert counts.active == pytest.approx(named_active, rel=0.07)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["model"])
def test_a_published_config_gives_the_parameters_of_its_checkpoint(row):
    counts = parameter_counts(read_config(row["config"], id=row["model"]))
    assert counts.total + counts.tower == row["parameters"], row["source"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["model"])
def test_fields_that_change_nothing_are_known(row):
    assert "is not known" not in read_config(row["config"], id=row["model"]).note


def test_qwen3_next_with_its_mtp_module_is_as_large_as_its_checkpoint():
    config = next(row["config"] for row in ROWS if row["model"] == "Qwen/Qwen3-Next-80B-A3B-Instruct")
    counts = parameter_counts(read_config({**config, "num_nextn_predict_layers": 1}, id="x"))
    assert counts.total + counts.mtp == 81_324_862_720


def test_glm_4_5_with_its_mtp_module_and_the_tables_beside_it_is_as_large_as_its_checkpoint():
    # Its checkpoint holds embedding and output head of the MTP module once more.
    config = next(row["config"] for row in ROWS if row["model"] == "zai-org/GLM-4.5")
    counts = parameter_counts(read_config(config, id="x"))
    assert counts.total + counts.mtp + 2 * 151_552 * 5_120 == 358_337_791_296


def test_deepseek_v4_caches_a_window_and_one_entry_for_four_or_128_tokens():
    model = imported("deepseek-ai/DeepSeek-V4-Flash")
    # 43 layers of 512 elements in the window; 21 layers compress by 4, 20 by 128.
    assert cache_bytes_per_token(model, 2.0) - cache_bytes_per_token(model, 2.0, growing_only=True) == 43 * 512 * 2
    assert cache_bytes_per_token(model, 2.0, growing_only=True) == 2 * 512 * (21 / 4 + 20 / 128)
    assert model.stored.number_format == "fp8"
    assert ("routed_experts", "mxfp4") in model.stored.by_component


def test_kimi_k3_caches_only_in_its_latent_layers():
    config = next(row["config"] for row in ROWS if row["model"] == "moonshotai/Kimi-K3")
    model = read_config(config, id="moonshotai/Kimi-K3")
    assert cache_bytes_per_token(model, 2.0) == 24 * 576 * 2
    assert model.stored.number_format == "mxfp4"
    assert model.stored.by_component == ()


def test_layers_that_a_search_left_out_have_neither_weights_nor_cache():
    model = imported("nvidia/Llama-3_3-Nemotron-Super-49B-v1")
    without_attention = [layer for layer in model.layers if layer.attention is None]
    assert without_attention
    assert all(layer.norm_count == 1 for layer in without_attention)
    kept = sum(1 for kind in model.pattern if model.layers[kind].attention is not None)
    assert cache_bytes_per_token(model, 2.0) == kept * 2 * 8 * 128 * 2


def test_minimax_m3_caches_keys_values_and_the_keys_of_its_index():
    config = next(row["config"] for row in ROWS if row["model"] == "MiniMaxAI/MiniMax-M3")
    model = read_config(config, id="MiniMaxAI/MiniMax-M3")
    # 60 layers of 4 heads, 57 of them with an index of one key of 128 elements.
    assert cache_bytes_per_token(model, 2.0) == 60 * 2 * 4 * 128 * 2
    assert index_bytes_per_token(model) == 57 * 128 * 2
