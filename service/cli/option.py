"""Options that several commands share, declared once."""

from typing import Annotated, Any, Literal

import typer

from domain.engine.precision import Policy

SERVER = "127.0.0.1:7433"

LARGEST = 2**31 - 1
"""What a number of the contract can be; most are refused long before."""


def whole(*names: str, least: int = 1, **told: Any) -> Any:  # noqa: ANN401 - what typer.Option takes and returns
    """Return an option that takes a number which the contract has room for."""
    return typer.Option(*names, min=least, callback=_refuse_huge, **told)


def _refuse_huge(number: int | None) -> int | None:
    if number is not None and number > LARGEST:
        raise typer.BadParameter(f"{number} is more than {LARGEST}.")
    return number


def completed_model(incomplete: str) -> list[str]:
    """Return model ids that go on from what was typed."""
    return [name for name in _built_in("models") if incomplete.lower() in name.lower()]


def completed_accelerator(incomplete: str) -> list[str]:
    """Return accelerator ids that go on from what was typed."""
    return [name for name in _built_in("accelerators") if name.startswith(incomplete.lower())]


def _built_in(part: str) -> list[str]:
    from service.release_files import built_in  # noqa: PLC0415 - only when a shell asks

    return sorted(getattr(built_in(), part))


ModelArgument = Annotated[
    str,
    typer.Argument(
        help="Id, unambiguous part of one, or path to a config.json.",
        autocompletion=completed_model,
        show_default=False,
    ),
]
AcceleratorArgument = Annotated[
    str,
    typer.Argument(help="Id or unambiguous part of one.", autocompletion=completed_accelerator, show_default=False),
]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="HOST:PORT", help="Ask a server instead of the engine in this process."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as the contract's JSON.")]
Rows = Annotated[int, whole("--rows", help="Rows of a table at most.")]
PolicyOption = Annotated[Policy, typer.Option("--policy", help="What is accepted of the precision.")]
MaybePolicy = Annotated[Policy | None, typer.Option("--policy", help="What is accepted (allow_8bit).")]
RankBy = Literal["cost", "count"]

Accelerator = Annotated[
    str,
    typer.Option(
        "--accelerator", "-a", help="Id or part of one.", autocompletion=completed_accelerator, show_default=False
    ),
]
Accelerators = Annotated[
    list[str] | None,
    typer.Option("--accelerator", "-a", help="Only these; may be repeated.", autocompletion=completed_accelerator),
]
Count = Annotated[int, whole("--count", "-n", help="Accelerators, as bought.", show_default=False)]
MaybeCount = Annotated[int | None, whole("--count", "-n", help="Check so many, as bought.")]
TensorParallel = Annotated[int | None, whole("--tp", help="Tensor parallel ranks.")]
PipelineParallel = Annotated[int | None, whole("--pp", help="Pipeline stages.")]
ExpertParallel = Annotated[int | None, whole("--ep", help="Expert parallel ranks.")]
AttentionDataParallel = Annotated[int | None, whole("--adp", help="Attention data parallel ranks.")]
DecodeContextParallel = Annotated[int | None, whole("--dcp", help="Decode context parallel ranks.")]
Replicas = Annotated[int | None, whole("--replicas", help="Copies of the whole model.")]
WeightFormat = Annotated[str | None, typer.Option("--weight-format", help="Format of the weights, such as fp8.")]
CacheFormat = Annotated[str | None, typer.Option("--kv-cache-format", help="Format of the KV cache.")]
Engine = Annotated[str | None, typer.Option("--engine", help="Serving engine, such as vllm.")]
EngineVersion = Annotated[str | None, typer.Option("--engine-version", help="Version of the serving engine.")]
InputTokens = Annotated[int | None, whole("--input-tokens", help="Of each sequence (4096).")]
OutputTokens = Annotated[int | None, whole("--output-tokens", least=0, help="Of each sequence (1024).")]
Concurrency = Annotated[int | None, whole("--concurrency", "-c", help="Sequences held at once (1).")]
DraftTokens = Annotated[int, whole("--draft-tokens", least=0, help="Speculative tokens per step.")]
MemoryFraction = Annotated[float | None, typer.Option("--memory-fraction", help="Share the engine may fill.")]
MaxCount = Annotated[int | None, whole("--max-count", help="Accelerators at most (128).")]

As = Annotated[str, typer.Option("--as", metavar="NAME", help="Who you are, to a server in development mode.")]
Workspace = Annotated[str, typer.Option("--workspace", help="Workspace, to a server in development mode.")]
Plan = Annotated[str, typer.Argument(help="Id, beginning of one, or name of a plan.", show_default=False)]
PlanServer = Annotated[str, typer.Option("--server", metavar="HOST:PORT", help="The server that keeps the plans.")]
RequestId = Annotated[str | None, typer.Option("--request-id", help="UUID; the same again is the same request.")]
ExpectedRevision = Annotated[
    int | None, whole("--expected-revision", help="Refuse if the plan has another revision by now.")
]
EffectiveAt = Annotated[str | None, typer.Option("--effective-at", metavar="TIME", help="From when on it holds.")]
