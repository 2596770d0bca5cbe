"""What is typed is asked, or refused with 2 and the name of the option; nothing typed is left out in silence."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
import typer.main
from tonnage.v1 import plan_pb2 as plan
from tonnage.v1 import sizing_pb2 as sizing

from service.cli.command import APP
from service.cli.door import InProcess
from service.cli.request import OptionsRefused, Wishes, amended, requirements

NOBODY = ("--server", "127.0.0.1:1")
PLAN = "00000000-0000-4000-8000-000000000000"
HUGE = "99999999999999999999"


def tonnage(*arguments: str | bytes) -> "subprocess.CompletedProcess[str]":
    command = [Path(sys.executable).with_name("tonnage"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "R1", "-a", "h200", "-n", HUGE), "--count"),
        (("check", "R1", "-a", "h200", "-n", "8", "--input-tokens", "1000000000000"), "--input-tokens"),
        (("plan", "show", PLAN, "--revision", HUGE, *NOBODY), "--revision"),
        (("plan", "retire", PLAN, "--reason", "x", "--expected-revision", HUGE, *NOBODY), "--expected-revision"),
        (("plan", "list", "--rows", HUGE, *NOBODY), "--rows"),
        (("plan", "show", PLAN, "--as-of", "0001-01-01T00:00+23:59", *NOBODY), "0001-01-01"),
        (("plan", "show", PLAN, "--as-of", "9999-12-31T23:59-23:00", *NOBODY), "9999-12-31"),
        (("plan", "list", "--workspace", "ä", *NOBODY), "ä"),
        (("plan", "list", "--workspace", b"\xff", *NOBODY), "not UTF-8"),
        (("check", b"\xff", "-a", "h200", "-n", "8"), "not UTF-8"),
        (("plan", "draft", "x", "-m", "R1", "--tp", "4", "--replicas", "2", *NOBODY), "--tp, --replicas: only where"),
    ],
)
def test_what_cannot_be_asked_ends_with_2_before_anybody_is_asked(arguments, said):
    done = tonnage(*arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def whole_numbers(command, path: str = "tonnage"):
    for child in getattr(command, "commands", {}).values():
        yield from whole_numbers(child, f"{path} {child.name}")
    for parameter in command.params:
        if parameter.type_descriptor.annotation is int:
            yield f"{path} {parameter.opts[0]}", parameter, command


NUMBERS = list(whole_numbers(typer.main.get_command(APP)))


@pytest.mark.parametrize(("parameter", "command"), [row[1:] for row in NUMBERS], ids=[row[0] for row in NUMBERS])
def test_every_number_is_bounded(parameter, command):
    context = command.make_context("tonnage", [], resilient_parsing=True)
    context.resilient_parsing = False
    with pytest.raises(typer.BadParameter, match="is more than 2147483647"):
        parameter.process_value(context, HUGE)


def test_every_number_is_found():
    assert len(NUMBERS) > 30


@pytest.mark.parametrize(
    "wish", ["tensor_parallel", "pipeline_parallel", "expert_parallel", "attention_data_parallel", "replicas"]
)
def test_a_layout_is_for_hardware_that_is_counted(wish):
    wishes = replace(Wishes(accelerators=("h200",)), **{wish: 2})  # type: ignore[arg-type] # the wishes above are whole numbers
    with pytest.raises(OptionsRefused, match="--count"):
        requirements(InProcess(), "R1", wishes)
    asked = requirements(InProcess(), "DeepSeek-R1", replace(wishes, accelerator_count=8))
    assert getattr(asked.check, wish) == 2


def test_hardware_that_is_counted_is_of_one_kind():
    with pytest.raises(OptionsRefused, match="h20-141, h200-sxm-141"):
        requirements(InProcess(), "DeepSeek-R1", Wishes(accelerators=("h20-141", "h200"), accelerator_count=1))
    same = requirements(InProcess(), "DeepSeek-R1", Wishes(accelerators=("h200", "h200-sxm-141"), accelerator_count=8))
    assert same.check.accelerator == "h200-sxm-141"


def test_a_sizing_is_revised_within_what_a_sizing_can_ask():
    standing = plan.Requirements(size=sizing.SizeDeploymentRequest(model="deepseek-ai/DeepSeek-R1"))
    with pytest.raises(OptionsRefused, match="--tp"):
        amended(InProcess(), standing, None, Wishes(tensor_parallel=4))
    counted = amended(
        InProcess(), standing, None, Wishes(tensor_parallel=4, accelerators=("h200",), accelerator_count=8)
    )
    assert counted.check.tensor_parallel == 4
