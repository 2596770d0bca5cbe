"""The commands `plan ...` and `history`: plans that a server keeps."""

from typing import Annotated, Literal
from uuid import UUID, uuid4

import typer
from tonnage.v1 import audit_pb2 as audit
from tonnage.v1 import plan_pb2 as pb

from service.api.caller import SUBJECT_HEADER, WORKSPACE_HEADER
from service.cli import option
from service.cli.door import Door, Remote
from service.cli.names import identified
from service.cli.output import print_json
from service.cli.request import amended, moment, requirements
from service.cli.sizing_command import typed

PAGE_SIZE = 500

Reason = Annotated[str, typer.Option("--reason", help="Why, for those who read the history.", show_default=False)]
Status = Literal["active", "retired"]


def keeper(server: str, subject: str, workspace: str) -> Door:
    """Return the server that keeps the plans."""
    named = ((SUBJECT_HEADER, subject), (WORKSPACE_HEADER, workspace))
    for _, name in named:
        if not (name.isascii() and name.isprintable()):
            raise typer.BadParameter(f"{name!r} is no name that a header can carry.")
    return Remote(server, metadata=[(header, name) for header, name in named if name])


def draft(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the plan, for people.", show_default=False)],
    model: Annotated[str, typer.Option("--model", "-m", help="As in `size`.", autocompletion=option.completed_model)],
    accelerator: option.Accelerators = None,
    accelerator_count: option.MaybeCount = None,
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
    policy: option.MaybePolicy = None,
    input_tokens: option.InputTokens = None,
    output_tokens: option.OutputTokens = None,
    concurrency: option.Concurrency = None,
    effective_at: option.EffectiveAt = None,
    request_id: option.RequestId = None,
    subject: option.As = "",
    workspace: option.Workspace = "",
    server: option.PlanServer = option.SERVER,
    *,
    json: option.Json = False,
) -> None:
    """Begin a plan: for the smallest deployments, or with --count for fixed hardware."""
    door = keeper(server, subject, workspace)
    request = pb.DraftPlanRequest(
        request_id=request_id or str(uuid4()),
        name=name,
        requirements=requirements(door, model, typed(context.params, tuple(accelerator or ()))),
        effective_at=moment(effective_at),
    )
    _show_written(door.ask(request, pb.DraftPlanResponse), json=json)


def revise(
    context: typer.Context,
    plan: option.Plan,
    reason: Reason,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Another model.")] = None,
    accelerator: option.Accelerators = None,
    accelerator_count: option.MaybeCount = None,
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
    policy: option.MaybePolicy = None,
    input_tokens: option.InputTokens = None,
    output_tokens: option.OutputTokens = None,
    concurrency: option.Concurrency = None,
    effective_at: option.EffectiveAt = None,
    expected_revision: option.ExpectedRevision = None,
    request_id: option.RequestId = None,
    subject: option.As = "",
    workspace: option.Workspace = "",
    server: option.PlanServer = option.SERVER,
    *,
    json: option.Json = False,
) -> None:
    """Change what a plan asks for, or judge the same again by newer facts; what is not typed stays."""
    door = keeper(server, subject, workspace)
    standing = found(door, plan)
    wishes = typed(context.params, tuple(accelerator or ()))
    request = pb.RevisePlanRequest(
        request_id=request_id or str(uuid4()),
        plan_id=standing.plan_id,
        expected_revision=expected_revision or standing.revision,
        requirements=amended(door, standing.requirements, model, wishes),
        reason=reason,
        effective_at=moment(effective_at),
    )
    _show_written(door.ask(request, pb.RevisePlanResponse), json=json)


def approve(
    plan: option.Plan,
    comment: Annotated[str, typer.Option("--comment", help="For those who read the history.")] = "",
    effective_at: option.EffectiveAt = None,
    expected_revision: option.ExpectedRevision = None,
    request_id: option.RequestId = None,
    subject: option.As = "",
    workspace: option.Workspace = "",
    server: option.PlanServer = option.SERVER,
    *,
    json: option.Json = False,
) -> None:
    """Agree to what a plan says now; somebody else than its planner does that (--as, in development)."""
    door = keeper(server, subject, workspace)
    standing = found(door, plan)
    request = pb.ApprovePlanRequest(
        request_id=request_id or str(uuid4()),
        plan_id=standing.plan_id,
        expected_revision=expected_revision or standing.revision,
        evaluated_revision=standing.evaluated_revision,
        comment=comment,
        effective_at=moment(effective_at),
    )
    _show_written(door.ask(request, pb.ApprovePlanResponse), json=json)


def retire(
    plan: option.Plan,
    reason: Reason,
    effective_at: option.EffectiveAt = None,
    expected_revision: option.ExpectedRevision = None,
    request_id: option.RequestId = None,
    subject: option.As = "",
    workspace: option.Workspace = "",
    server: option.PlanServer = option.SERVER,
    *,
    json: option.Json = False,
) -> None:
    """End a plan; it can be read for ever."""
    door = keeper(server, subject, workspace)
    standing = found(door, plan)
    request = pb.RetirePlanRequest(
        request_id=request_id or str(uuid4()),
        plan_id=standing.plan_id,
        expected_revision=expected_revision or standing.revision,
        reason=reason,
        effective_at=moment(effective_at),
    )
    _show_written(door.ask(request, pb.RetirePlanResponse), json=json)


def show(
    plan: option.Plan,
    revision: Annotated[int | None, option.whole("--revision", help="As it stood at this revision.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="As it was known at this time.")] = None,
    effective_at: Annotated[
        str | None, typer.Option("--effective-at", metavar="TIME", help="With --as-of: what held at this time.")
    ] = None,
    workspace: option.Workspace = "",
    server: option.PlanServer = option.SERVER,
    *,
    json: option.Json = False,
) -> None:
    """Show a plan as it stands, at a revision, or as of a time."""
    from service.cli.plan_report import show_plan  # noqa: PLC0415 - --json needs no tables

    door = keeper(server, "", workspace)
    request = pb.GetPlanRequest(plan_id=plan_id_of(door, plan))
    if as_of is not None:
        request.as_of.CopyFrom(pb.AsOf(recorded_at=moment(as_of), effective_at=moment(effective_at)))
    elif revision is not None:
        request.revision = revision
    response = door.ask(request, pb.GetPlanResponse)
    if json:
        print_json(response)
    else:
        show_plan(response.plan, response.position)


def list_plans(
    status: Annotated[Status | None, typer.Option("--status", help="Only these.")] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only for this id.")] = None,
    accelerator: Annotated[str | None, typer.Option("--accelerator", "-a", help="Only for this id.")] = None,
    rows: option.Rows = 50,
    workspace: option.Workspace = "",
    server: option.PlanServer = option.SERVER,
    *,
    json: option.Json = False,
) -> None:
    """List plans, newest first."""
    from service.cli.plan_report import show_plans  # noqa: PLC0415 - --json needs no tables

    request = pb.ListPlansRequest(page_size=rows, model=model, accelerator=accelerator)
    request.status = pb.PlanStatus.Value(f"PLAN_STATUS_{(status or 'unspecified').upper()}")
    response = keeper(server, "", workspace).ask(request, pb.ListPlansResponse)
    if json:
        print_json(response)
    else:
        show_plans(response.plans)


def history(
    plan: option.Plan,
    workspace: option.Workspace = "",
    server: option.PlanServer = option.SERVER,
    *,
    json: option.Json = False,
) -> None:
    """Show everything that happened to a plan, oldest first: who, what, when and why."""
    from service.cli.plan_report import show_events  # noqa: PLC0415 - --json needs no tables

    door = keeper(server, "", workspace)
    request = audit.ListEventsRequest(plan_id=plan_id_of(door, plan), page_size=PAGE_SIZE)
    events: list[audit.Event] = []
    while True:
        page = door.ask(request, audit.ListEventsResponse)
        events.extend(page.events)
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    if json:
        print_json(audit.ListEventsResponse(events=events))
    else:
        show_events(events[::-1])


def found(door: Door, given: str) -> pb.Plan:
    """Return the plan that was meant, as it stands."""
    return door.ask(pb.GetPlanRequest(plan_id=plan_id_of(door, given)), pb.GetPlanResponse).plan


def plan_id_of(door: Door, given: str) -> str:
    """Return the id of the plan that was meant: an id, the beginning of one, or a name."""
    try:
        return str(UUID(given))
    except ValueError:
        plans = door.ask(pb.ListPlansRequest(page_size=PAGE_SIZE), pb.ListPlansResponse).plans
    by_name = {plan.plan_id for plan in plans if plan.name == given}
    if len(by_name) == 1:
        return by_name.pop()
    return identified("plan", given, by_name or (plan.plan_id for plan in plans))


def _show_written(
    response: pb.DraftPlanResponse | pb.RevisePlanResponse | pb.ApprovePlanResponse | pb.RetirePlanResponse,
    *,
    json: bool,
) -> None:
    from service.cli.plan_report import show_evaluation, show_outcome  # noqa: PLC0415 - --json needs no tables

    if json:
        print_json(response)
        return
    show_outcome(response.outcome, response.plan)
    if isinstance(response, pb.DraftPlanResponse | pb.RevisePlanResponse):
        show_evaluation(response.plan.evaluation)
