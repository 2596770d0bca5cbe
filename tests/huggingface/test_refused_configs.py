import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.catalog.huggingface import ConfigError, FieldProblem, read_config
from domain.catalog.model import Model
from domain.engine.model import model_cache_parts, parameter_counts
from tests.huggingface.configs import published, sample, sample_names

LLAMA = sample("meta-llama/Meta-Llama-3.1-70B")
CONFIGS = [*(sample(name) for name in sample_names()), *(row["config"] for row in published())]


def problems(config: Any) -> dict[str, FieldProblem]:
    with pytest.raises(ConfigError) as refusal:
        read_config(config, id="somebody/model")
    return {problem.field: problem for problem in refusal.value.problems}


def without(config: dict[str, Any], *names: str) -> dict[str, Any]:
    return {field: value for field, value in config.items() if field not in names}


@pytest.mark.parametrize("config", [None, [], "llama", 7])
def test_only_an_object_is_a_config(config):
    assert set(problems(config)) == {"config"}


def test_an_unknown_architecture_is_refused_with_those_that_are_known():
    told = problems({**LLAMA, "model_type": "mystery", "architectures": ["MysteryForCausalLM"]})
    assert told["model_type"].given == "'mystery'"
    assert "llama" in told["model_type"].allowed


def test_a_model_without_a_type_is_told_by_its_class_or_refused():
    assert read_config(without(LLAMA, "model_type"), id="x").layer_count == 80
    assert set(problems(without(LLAMA, "model_type", "architectures"))) == {"model_type"}


def test_a_model_that_writes_no_text_is_refused():
    assert "architectures" in problems({**LLAMA, "architectures": ["LlamaForSequenceClassification"]})


def test_all_missing_fields_are_named_at_once():
    told = problems(without(LLAMA, "hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"))
    assert set(told) == {"hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"}
    assert {problem.given for problem in told.values()} == {"nothing"}


@pytest.mark.parametrize(
    "value",
    ["8192", 8192.0, math.nan, math.inf, -1, 0, True, 10**12, [8192], {"a": 1}, pytest.param(10**5000, id="endless")],
)
@pytest.mark.parametrize(
    "field", ["hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size"]
)
def test_a_size_is_a_whole_number_within_reason(field, value):
    assert field in problems({**LLAMA, field: value})


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("deepseek-ai/DeepSeek-V3", "q_lora_rank"),
        ("deepseek-ai/DeepSeek-V3", "n_shared_experts"),
        ("deepseek-ai/DeepSeek-V3", "first_k_dense_replace"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "moe_shared_expert_intermediate_size"),
        ("XiaomiMiMo/MiMo-V2-Flash", "swa_num_key_value_heads"),
        ("deepseek-ai/DeepSeek-V4-Flash", "hc_mult"),
    ],
)
def test_what_no_default_can_tell_must_be_there(name, field):
    assert field in problems(without(sample(name), field))


@pytest.mark.parametrize("field", ["head_dim", "num_key_value_heads"])
def test_even_sizes_without_use_are_sizes(field):
    assert field in problems({**sample("deepseek-ai/DeepSeek-V3"), field: "many"})


def test_heads_must_divide():
    assert "num_key_value_heads" in problems({**LLAMA, "num_key_value_heads": 7})
    assert "hidden_size" in problems({**without(LLAMA, "head_dim"), "hidden_size": 8_191})


def test_more_experts_than_there_are_cannot_be_chosen():
    assert "num_experts_per_tok" in problems({**sample("mistralai/Mixtral-8x7B-v0.1"), "num_experts_per_tok": 9})


def test_two_names_for_one_thing_must_agree():
    told = problems({**sample("zai-org/GLM-5"), "num_experts": 128})
    assert {"n_routed_experts", "num_experts"} <= set(told)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("openai/gpt-oss-120b", "layer_types"),
        ("XiaomiMiMo/MiMo-V2-Flash", "hybrid_layer_pattern"),
        ("XiaomiMiMo/MiMo-V2-Flash", "moe_layer_freq"),
        ("deepseek-ai/DeepSeek-V4-Flash", "compress_ratios"),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1", "block_configs"),
    ],
)
@pytest.mark.parametrize("damage", ["shorter", "other", "no_list"])
def test_a_list_of_layers_has_one_entry_for_each(name, field, damage):
    config = sample(name)
    damaged = {"shorter": config[field][:-3], "other": ["mystery"] * len(config[field]), "no_list": "all"}[damage]
    assert any(path.startswith(field) for path in problems({**config, field: damaged}))


def test_a_pattern_of_layers_has_one_letter_for_each():
    config = sample("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16")
    assert "hybrid_override_pattern" in problems({**config, "hybrid_override_pattern": "MEM*"})
    assert "hybrid_override_pattern" in problems({**config, "hybrid_override_pattern": "X" * 52})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_layers_pattern", "MMAA"),
        ("cross_attention_layers", [3, 8, 13]),
        ("num_memory_heads", 4),
        ("kv_compression_ratio", 4),
        ("sliding_window", 4_096),
        ("hyper_connection_width", 4),
        ("quantization", {"group_size": 64, "bits": 4}),
        ("rope_layers_pattern", [1, 0]),
    ],
)
def test_an_unknown_field_that_may_change_weights_or_caches_is_refused(field, value):
    assert set(problems({**LLAMA, field: value})) == {field}


def test_an_unknown_field_that_is_off_changes_nothing():
    switched_off = {**LLAMA, "memory_layers_pattern": None, "use_memory_layers": False, "memory_layers": []}
    assert read_config(switched_off, id="x").layers == read_config(LLAMA, id="x").layers


def test_an_unknown_field_of_no_weight_is_remarked_upon():
    assert "flavour is not known" in read_config({**LLAMA, "flavour": "vanilla"}, id="x").note


def test_a_field_is_named_by_its_path():
    config = sample("Qwen/Qwen3.5-397B-A17B")
    damaged = {**config, "text_config": {**config["text_config"], "hidden_size": "wide", "num_new_heads": 3}}
    assert {"text_config.hidden_size", "text_config.num_new_heads"} <= set(problems(damaged))


def test_a_refusal_says_what_was_given_and_what_is_allowed():
    with pytest.raises(ConfigError, match="hidden_size: 'wide' given, a whole number from 1 to 16777216 allowed"):
        read_config({**LLAMA, "hidden_size": "wide"}, id="x")


def test_lists_for_layers_that_differ_are_refused_where_one_number_is_understood():
    config = next(row["config"] for row in published() if row["model"] == "tencent/Hunyuan-A13B-Instruct")
    assert "moe_topk" in problems({**config, "moe_topk": [8] * 31 + [4]})


def test_a_text_config_in_a_model_of_text_alone_is_refused():
    assert "text_config" in problems({**LLAMA, "text_config": {"num_hidden_layers": 2}})


def test_a_feature_that_is_not_understood_is_refused_when_it_is_on():
    assert "qk_layernorm" in problems({**next(c for c in CONFIGS if c["model_type"] == "phi"), "qk_layernorm": True})


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([0, 1, -1, 2**63, 10**30]),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def damaged_configs(draw):
    """Real configs of which some fields are replaced, dropped or doubled, at any depth."""
    config = dict(draw(st.sampled_from(CONFIGS)))
    parts = [config]
    for name in ("text_config", "vision_config", "quantization_config", "linear_attn_config"):
        if isinstance(config.get(name), dict):
            config[name] = dict(config[name])
            parts.append(config[name])
    for _ in range(draw(st.integers(1, 4))):
        part = draw(st.sampled_from(parts))
        field = draw(st.sampled_from(sorted(part))) if part else "hidden_size"
        match draw(st.sampled_from(["drop", "replace", "add"])):
            case "drop":
                part.pop(field, None)
            case "replace":
                part[field] = draw(anything)
            case _:
                part[draw(st.text(max_size=16))] = draw(anything)
    return config


def outcome(config: dict[str, Any]) -> Model | ConfigError:
    try:
        return read_config(config, id="somebody/model")
    except ConfigError as refusal:
        return refusal


@given(config=damaged_configs())
@settings(max_examples=400, deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_config_is_read_or_refused_and_nothing_else(config):
    told = outcome(config)
    if isinstance(told, ConfigError):
        assert told.problems
        assert all(problem.allowed for problem in told.problems)
    else:
        assert parameter_counts(told).total > 0
        assert all(layers > 0 for _, layers in model_cache_parts(told))


@given(config=anything)
@settings(max_examples=200)
def test_anything_that_is_no_config_is_refused(config):
    with pytest.raises(ConfigError):
        read_config(config, id="somebody/model")
