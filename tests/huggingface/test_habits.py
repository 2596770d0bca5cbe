"""What a config leaves unsaid, and what it says in ways of its own."""

from typing import Any

import pytest

from domain.catalog.huggingface import read_config
from domain.catalog.model import LatentAttention, LinearAttention, MixtureOfExperts, Model, SelfAttention
from tests.huggingface.configs import published, sample

PUBLISHED = {row["model"]: row["config"] for row in published()}


def read(config: dict[str, Any]) -> Model:
    return read_config(config, id="somebody/model")


def attentions(model: Model) -> list[Any]:
    return [model.layers[kind].attention for kind in model.pattern]


def feed_forwards(model: Model) -> list[Any]:
    return [model.layers[kind].feed_forward for kind in model.pattern]


def windows(model: Model) -> list[int | None]:
    return [attention.window_tokens for attention in attentions(model)]


@pytest.mark.parametrize(
    ("name", "tied"),
    [
        ("meta-llama/Llama-2-7b-hf", False),
        ("Qwen/Qwen2.5-7B-Instruct", False),
        ("google/gemma-7b", True),
        ("tiiuae/falcon-7b", True),
        ("CohereForAI/c4ai-command-r-plus", True),
        ("bigcode/starcoder2-15b", True),
        ("EleutherAI/gpt-neox-20b", False),
    ],
)
def test_what_a_config_does_not_say_about_tying_is_what_its_architecture_does(name, tied):
    config = {field: value for field, value in PUBLISHED[name].items() if field != "tie_word_embeddings"}
    assert read(config).tied_embeddings is tied
    assert read({**config, "tie_word_embeddings": not tied}).tied_embeddings is not tied


def test_a_model_of_text_and_images_is_tied_as_its_outer_config_says():
    config = sample("Qwen/Qwen3.5-397B-A17B")
    assert not read(config).tied_embeddings
    assert read({**config, "tie_word_embeddings": True}).tied_embeddings


def test_heads_are_an_equal_share_of_the_width_and_all_have_keys_unless_said():
    config = PUBLISHED["meta-llama/Llama-2-7b-hf"]
    silent = {field: value for field, value in config.items() if field not in {"head_dim", "num_key_value_heads"}}
    attention = attentions(read(silent))[0]
    assert (attention.head_dim, attention.kv_head_count) == (128, 32)


@pytest.mark.parametrize(("name", "head_dim"), [("google/gemma-7b", 256), ("zai-org/GLM-4-32B-0414", 128)])
def test_some_architectures_have_heads_of_a_width_of_their_own(name, head_dim):
    config = {field: value for field, value in PUBLISHED[name].items() if field != "head_dim"}
    assert attentions(read(config))[0].head_dim == head_dim


def test_experts_go_by_many_names():
    config = PUBLISHED["zai-org/GLM-4.5"]
    renamed = {**config, "num_local_experts": config["n_routed_experts"]}
    del renamed["n_routed_experts"]
    assert read(renamed).layers == read(config).layers


def test_mistral_looks_back_on_a_window_in_every_layer():
    assert windows(read(PUBLISHED["mistralai/Mistral-7B-v0.1"])) == [4_096] * 32


def test_qwen_has_windows_only_where_they_are_switched_on_and_only_in_upper_layers():
    config = PUBLISHED["Qwen/Qwen2.5-7B-Instruct"]
    assert windows(read(config)) == [None] * 28
    switched = read({**config, "use_sliding_window": True, "max_window_layers": 20, "sliding_window": 32_768})
    assert windows(switched) == [None] * 20 + [32_768] * 8


def test_gemma_2_alternates_and_gemma_3_has_one_full_layer_in_six():
    assert windows(read(PUBLISHED["google/gemma-2-9b-it"]))[:4] == [4_096, None, 4_096, None]
    assert windows(read(PUBLISHED["google/gemma-3-1b-it"]))[:7] == [512] * 5 + [None, 512]


def test_gpt_oss_starts_with_a_window():
    config = sample("openai/gpt-oss-120b")
    assert windows(read(config)) == [128, None] * 18
    del config["layer_types"]
    assert windows(read(config)) == [128, None] * 18


def test_llama_4_reads_the_whole_context_in_every_fourth_layer():
    model = read(sample("meta-llama/Llama-4-Scout-17B-16E-Instruct"))
    assert windows(model) == [8_192, 8_192, 8_192, None] * 12


def test_llama_4_maverick_has_experts_in_every_other_layer():
    model = read(PUBLISHED["meta-llama/Llama-4-Maverick-17B-128E-Instruct"])
    sparse = [isinstance(half, MixtureOfExperts) for half in feed_forwards(model)]
    assert sparse == [False, True] * 24


def test_qwen3_next_has_one_softmax_layer_in_four():
    model = read(PUBLISHED["Qwen/Qwen3-Next-80B-A3B-Instruct"])
    softmax = [isinstance(attention, SelfAttention) for attention in attentions(model)]
    assert softmax == [False, False, False, True] * 12


def test_nemotron_layers_are_one_thing_each_and_follow_the_pattern():
    model = read(sample("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"))
    kinds = [model.layers[kind] for kind in model.pattern]
    assert isinstance(kinds[0].attention, LinearAttention)
    assert kinds[0].feed_forward is None
    assert kinds[1].attention is None
    assert isinstance(kinds[5].attention, SelfAttention)
    assert sum(isinstance(kind.attention, SelfAttention) for kind in kinds) == 6


def test_the_mtp_module_of_nemotron_3_is_an_attention_and_an_expert_layer():
    config = {**sample("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"), "num_nextn_predict_layers": 1}
    model = read({**config, "mtp_hybrid_override_pattern": "*E"})
    assert model.mtp_kind is not None
    module = model.layers[model.mtp_kind]
    assert isinstance(module.attention, SelfAttention)
    assert isinstance(module.feed_forward, MixtureOfExperts)


def test_deepseek_v2_routers_have_no_bias_and_v3_routers_have_one():
    assert not feed_forwards(read(PUBLISHED["deepseek-ai/DeepSeek-V2-Lite-Chat"]))[-1].router_bias
    assert feed_forwards(read(sample("deepseek-ai/DeepSeek-V3")))[-1].router_bias


def test_sparse_attention_has_an_index_only_where_a_layer_chooses_for_itself():
    config = sample("zai-org/GLM-5")
    layers = config["num_hidden_layers"]
    alternating = read({**config, "indexer_types": ["full", "shared"] * (layers // 2)})
    indexed = [attention.indexer is not None for attention in attentions(alternating)]
    assert indexed == [True, False] * (layers // 2)
    assert all(isinstance(layer.attention, LatentAttention) for layer in alternating.layers)


def test_gemma_4_full_layers_share_a_projection_and_cache_keys_and_values():
    model = read(sample("google/gemma-4-26B-A4B"))
    full = next(attention for attention in attentions(model) if attention.window_tokens is None)
    assert (full.head_dim, full.kv_head_count, full.key_equals_value) == (512, 2, True)


def test_a_field_that_transformers_fills_in_is_remarked_upon():
    model = read(PUBLISHED["google/gemma-3-4b-it"])
    assert "text_config.num_attention_heads is missing; 8, the default of transformers, is taken." in model.note
    assert model.vocabulary_size == 262_208


def test_a_tower_is_counted_where_its_kind_is_known():
    (tower,) = read(PUBLISHED["google/gemma-3-27b-it"]).towers
    assert tower.parameter_count == pytest.approx(0.42e9, rel=0.01)


def test_a_tower_that_is_not_counted_is_remarked_upon():
    assert "not counted" in read(sample("meta-llama/Llama-4-Scout-17B-16E-Instruct")).note
    config = sample("Qwen/Qwen3.5-397B-A17B")
    assert "audio_config" in read({**config, "audio_config": {"hidden_size": 8}}).note


def test_an_old_qwen2_vl_keeps_its_language_model_beside_its_tower():
    model = read(PUBLISHED["Qwen/Qwen2-VL-7B-Instruct"])
    assert model.layer_count == 28
    assert model.towers


def test_a_class_tells_what_an_unknown_model_type_does_not():
    config = PUBLISHED["deepseek-ai/DeepSeek-V2-Lite-Chat"]
    assert read({**config, "model_type": "deepseek_of_ours"}).layers == read(config).layers


def test_the_longest_context_is_the_one_stated():
    assert read(PUBLISHED["meta-llama/Llama-3.2-1B"]).max_position_tokens == 131_072
    assert read(PUBLISHED["zai-org/glm-4-9b-chat"]).max_position_tokens == 131_072


def test_the_first_decilm_differs_only_in_the_key_and_value_heads_of_its_layers():
    config = {
        **PUBLISHED["meta-llama/Llama-2-7b-hf"],
        "model_type": "deci",
        "num_key_value_heads": None,
        "num_key_value_heads_per_layer": [4, 4, 1, 2] * 8,
    }
    assert [attention.kv_head_count for attention in attentions(read(config))] == [4, 4, 1, 2] * 8


def test_mistral_without_a_word_about_its_window_has_the_one_of_transformers():
    config = PUBLISHED["mistralai/Mistral-7B-v0.1"]
    silent = {field: value for field, value in config.items() if field != "sliding_window"}
    assert windows(read(silent)) == [4_096] * 32
    assert "sliding_window is missing" in read(silent).note
    assert windows(read({**config, "sliding_window": None})) == [None] * 32
