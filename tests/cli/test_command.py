"""The command `tonnage` as a person or a script runs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

R1 = "deepseek-ai/DeepSeek-R1"


def tonnage(*arguments: str, columns: int | None = None) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | ({} if columns is None else {"COLUMNS": str(columns)})
    command = [str(Path(sys.executable).with_name("tonnage")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)


def on_screen(columns: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """As on a terminal of so many columns, without its colours."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FORCE_COLOR", "1")
        environment.setenv("TERM", "xterm")
        done = tonnage(*arguments, columns=columns)
    done.stdout = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return done


def test_a_check_answers_first_and_explains_then():
    done = tonnage("check", "DeepSeek-R1", "--accelerator", "h200", "--count", "8")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f"{R1} on 8 x h200-sxm-141: fits"
    assert "Memory of the fullest device" in done.stdout
    assert done.stderr == ""


def test_json_is_the_contract_and_nothing_else():
    done = tonnage("check", "DeepSeek-R1", "-a", "h200", "-n", "8", "--tp", "8", "--concurrency", "4", "--json")
    answer = json.loads(done.stdout)["answer"]
    assert answer["model"] == R1
    assert answer["verdict"] == "VERDICT_FITS"
    assert answer["deployment"]["layout"]["tensor_parallel"] == 8
    assert answer["deployment"]["memory"]["headroom_bytes"] > 0


def test_what_does_not_fit_is_an_answer_too():
    done = tonnage("check", "R1-Distill-Qwen-14B", "-a", "rtx-4090-24", "-n", "1", "--weight-format", "bf16")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].endswith(": does not fit")
    assert "short of" in done.stdout


def test_the_smallest_deployments_are_tables_that_fit_the_screen():
    for columns in (80, 200):
        done = tonnage("size", "DeepSeek-R1", "--rows", "5", columns=columns)
        assert done.returncode == 0
        assert "Recommended on each" in done.stdout


def test_ways_to_run_a_model_are_ordered_and_refusals_explained():
    done = tonnage("precision", "DeepSeek-R1", "ascend-910b3")
    assert done.returncode == 0
    assert "Refused under allow 8bit" in done.stdout


def test_the_catalog_is_listed_and_each_number_has_its_source():
    assert "h200-sxm-141" in tonnage("accelerators").stdout
    shown = tonnage("accelerators", "h200").stdout
    assert "memory_bytes" in shown
    assert "https://" in shown
    assert R1 in tonnage("models").stdout
    assert "671.0 billion parameters" in tonnage("models", "DeepSeek-R1").stdout


def test_a_config_json_of_ones_own_is_a_model(tmp_path):
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
    path = tmp_path / "mine" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps(config))
    done = tonnage("check", str(path), "-a", "rtx-4090-24", "-n", "1")
    assert done.stdout.splitlines()[0] == "mine on 1 x rtx-4090-24: fits"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "DeepSeek-R1", "-a", "h20", "-n", "8"), "can mean 2 accelerators: h20-141, h20-96"),
        (("check", "DeepSeek-R9", "-a", "h200", "-n", "8"), "Did you mean"),
        (("check", "DeepSeek-R1", "-a", "h200", "-n", "0"), "--count"),
        (("check", "DeepSeek-R1", "-a", "h200", "-n", "8", "--weight-format", "fp9"), "weight_format"),
        (("check", "DeepSeek-R1", "-a", "h200", "-n", "8", "--memory-fraction", "nan"), "memory_fraction"),
        (("check", "DeepSeek-R1", "-a", "h200", "-n", "5000"), "accelerator_count"),
        (("check", "no/such/config.json", "-a", "h200", "-n", "8"), "config.json"),
        (("size", "DeepSeek-R1", "--policy", "sloppy"), "policy"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_was_meant(arguments, said):
    done = tonnage(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_ends_with_1_and_says_how_to_start_one():
    done = tonnage("plan", "list", "--server", "127.0.0.1:1")
    assert done.returncode == 1
    assert "No server answers at 127.0.0.1:1." in done.stderr
    assert "make run" in done.stderr


def test_a_pipe_that_is_closed_early_is_no_error():
    command = f"{Path(sys.executable).with_name('tonnage')} accelerators | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr


def test_colours_are_for_terminals():
    assert "\x1b[" not in tonnage("check", "DeepSeek-R1", "-a", "h200", "-n", "8").stdout


def test_shells_are_offered_models():
    completion = {
        "_TONNAGE_COMPLETE": "complete_bash",
        "COMP_WORDS": "tonnage check deepseek-ai/DeepSeek-V3.",
        "COMP_CWORD": "2",
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("tonnage")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | completion,
        timeout=60,
    )
    assert "deepseek-ai/DeepSeek-V3.1" in done.stdout


@pytest.mark.parametrize("columns", [50, 60, 80])
def test_a_narrow_screen_loses_columns_by_name_and_no_part_of_an_id(columns):
    done = on_screen(columns, "size", "DeepSeek-R1", "--rows", "3", "-a", "ascend-910b2", "-a", "h200-sxm-141")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert all(len(line.rstrip()) <= columns for line in lines)
    assert "\N{HORIZONTAL ELLIPSIS}" not in done.stdout
    assert any(line.strip().startswith("ascend-910b2 ") for line in lines)
    assert any(line.strip().startswith("left out, the screen is narrow: ") for line in lines)
    header = next(line for line in lines if line.strip().startswith("accelerator "))
    assert {"accelerator", "weights", "count", "USD/h"} <= set(header.split())
