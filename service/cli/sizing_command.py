"""The commands `precision`, `check` and `size`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any

import typer
from tonnage.v1 import sizing_pb2 as pb

from service.api.conversion import value_of
from service.cli import option
from service.cli.door import Door, InProcess, Remote
from service.cli.output import print_json
from service.cli.request import Wishes, check_request, precision_request, size_request


def door_to(server: str | None) -> Door:
    """Return the server where one was named, else the engine in this process."""
    return InProcess() if server is None else Remote(server)


def typed(parameters: Mapping[str, Any], accelerators: tuple[str, ...]) -> Wishes:
    """Return what was typed into options that are named as the wishes are."""
    names = {field.name for field in fields(Wishes)} & parameters.keys()
    return Wishes(accelerators=accelerators, **{name: parameters[name] for name in names})


def precision(
    model: option.ModelArgument,
    accelerator: option.AcceleratorArgument,
    policy: option.PolicyOption = "allow_8bit",
    server: option.Server = None,
    *,
    json: option.Json = False,
) -> None:
    """Show every way to run a model on an accelerator, best first, and what is refused."""
    from domain.engine.answer import PrecisionAnswer  # noqa: PLC0415 - --help needs no engine
    from service.cli.precision_report import show_precision  # noqa: PLC0415 - as above

    door = door_to(server)
    response = door.ask(precision_request(door, model, accelerator, policy), pb.ResolvePrecisionResponse)
    if json:
        print_json(response)
    else:
        show_precision(value_of(response.answer, PrecisionAnswer))


def check(
    context: typer.Context,
    model: option.ModelArgument,
    accelerator: option.Accelerator,
    accelerator_count: option.Count,
    tensor_parallel: option.TensorParallel = None,
    pipeline_parallel: option.PipelineParallel = None,
    expert_parallel: option.ExpertParallel = None,
    attention_data_parallel: option.AttentionDataParallel = None,
    decode_context_parallel: option.DecodeContextParallel = None,
    replicas: option.Replicas = None,
    weight_format: option.WeightFormat = None,
    kv_cache_format: option.CacheFormat = None,
    engine: option.Engine = None,
    engine_version: option.EngineVersion = None,
    policy: option.PolicyOption = "allow_8bit",
    input_tokens: option.InputTokens = None,
    output_tokens: option.OutputTokens = None,
    concurrency: option.Concurrency = None,
    memory_fraction: option.MemoryFraction = None,
    speculative_draft_tokens: option.DraftTokens = 0,
    server: option.Server = None,
    *,
    json: option.Json = False,
) -> None:
    """Say whether fixed hardware holds a model and a load, by how much, and what would."""
    from domain.engine.answer import CheckAnswer  # noqa: PLC0415 - --help needs no engine
    from service.cli.check_report import show_check  # noqa: PLC0415 - as above

    wishes = typed(context.params, accelerators=(accelerator,))
    door = door_to(server)
    response = door.ask(check_request(door, model, wishes), pb.CheckDeploymentResponse)
    if json:
        print_json(response)
    else:
        show_check(value_of(response.answer, CheckAnswer))


def size(
    context: typer.Context,
    model: option.ModelArgument,
    accelerator: option.Accelerators = None,
    weight_format: option.WeightFormat = None,
    kv_cache_format: option.CacheFormat = None,
    engine: option.Engine = None,
    engine_version: option.EngineVersion = None,
    policy: option.PolicyOption = "allow_8bit",
    input_tokens: option.InputTokens = None,
    output_tokens: option.OutputTokens = None,
    concurrency: option.Concurrency = None,
    max_accelerator_count: option.MaxCount = None,
    rank_by: Annotated[option.RankBy, typer.Option("--rank-by", help="What comes first.")] = "cost",
    rows: option.Rows = 15,
    server: option.Server = None,
    *,
    json: option.Json = False,
) -> None:
    """Find the smallest deployments that hold a model and a load, per accelerator and precision."""
    from domain.engine.answer import SizeAnswer  # noqa: PLC0415 - --help needs no engine
    from service.cli.size_report import show_size  # noqa: PLC0415 - as above

    wishes = typed(context.params, accelerators=tuple(accelerator or ()))
    door = door_to(server)
    response = door.ask(size_request(door, model, wishes), pb.SizeDeploymentResponse)
    if json:
        print_json(response)
    else:
        show_size(value_of(response.answer, SizeAnswer), most_rows=rows)
