"""What people type, and what they mean."""

import pytest

from service.cli.names import NameNotUnderstood, identified, model_named

MODELS = (
    "deepseek-ai/DeepSeek-R1",
    "deepseek-ai/DeepSeek-R1-0528",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B",
    "deepseek-ai/DeepSeek-V3",
    "Qwen/Qwen3-8B",
)
CARDS = ("a100-pcie-80", "a100-sxm-80", "gh200-96", "h200-sxm-141", "h20-96", "h20-141", "rtx-3080-10")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("deepseek-ai/DeepSeek-R1", "deepseek-ai/DeepSeek-R1"),
        ("DeepSeek-R1", "deepseek-ai/DeepSeek-R1"),
        ("deepseek-r1", "deepseek-ai/DeepSeek-R1"),
        ("r1-distill-qwen-14b", "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"),
        ("Distill 14B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B"),
        ("qwen3", "Qwen/Qwen3-8B"),
    ],
)
def test_a_model_is_known_by_an_unambiguous_part(given, meant):
    assert identified("model", given, MODELS) == meant


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("h200", "h200-sxm-141"),
        ("H200 SXM 141", "h200-sxm-141"),
        ("3080", "rtx-3080-10"),
        ("A100 PCIe", "a100-pcie-80"),
    ],
)
def test_an_accelerator_is_known_by_an_unambiguous_part(given, meant):
    assert identified("accelerator", given, CARDS) == meant


def test_an_ambiguous_name_is_refused_with_everything_that_it_can_mean():
    with pytest.raises(NameNotUnderstood, match="can mean 2 accelerators: h20-141, h20-96"):
        identified("accelerator", "h20", CARDS)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(NameNotUnderstood, match=r"Did you mean .*DeepSeek-V3"):
        identified("model", "DeepSeek-V9", MODELS)


def test_nothing_means_nothing():
    with pytest.raises(NameNotUnderstood):
        identified("model", "///", MODELS)


def test_a_path_to_a_config_json_is_a_model_of_its_own(tmp_path):
    config = tmp_path / "my-model" / "config.json"
    config.parent.mkdir()
    config.write_text('{"model_type": "qwen2"}')
    named = model_named(str(config), lambda: MODELS)
    assert (named.model, named.config_json) == ("my-model", '{"model_type": "qwen2"}')


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NameNotUnderstood):
        model_named(str(tmp_path / "config.json"), lambda: MODELS)
