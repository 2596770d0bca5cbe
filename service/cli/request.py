"""What was typed, as requests of the contract."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tonnage.v1 import deployment_pb2 as part
from tonnage.v1 import plan_pb2 as plan
from tonnage.v1 import sizing_pb2 as pb

from service.api.conversion import enum_number, timestamp_of
from service.cli.door import Door, accelerators, models
from service.cli.names import NamedModel, identified, model_named


class TimeNotUnderstood(Exception):
    """A time is written as 2026-11-22 or 2026-11-22T14:30:00+01:00; without a zone it is UTC."""


class OptionsRefused(Exception):
    """Options were typed that the question has no place for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Everything about a deployment that can be typed; None is not typed."""

    accelerators: tuple[str, ...] = ()
    accelerator_count: int | None = None
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    expert_parallel: int | None = None
    attention_data_parallel: int | None = None
    decode_context_parallel: int | None = None
    replicas: int | None = None
    weight_format: str | None = None
    kv_cache_format: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    policy: str | None = None
    memory_fraction: float | None = None
    speculative_draft_tokens: int | None = None
    max_accelerator_count: int | None = None
    rank_by: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    concurrency: int | None = None

    @property
    def typed(self) -> tuple[str, ...]:
        """Names of what was typed, without the accelerators."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self) if field.name != "accelerators")
        return tuple(name for name, value in values if value is not None)


OPTIONS = {
    "tensor_parallel": "--tp",
    "pipeline_parallel": "--pp",
    "expert_parallel": "--ep",
    "attention_data_parallel": "--adp",
    "decode_context_parallel": "--dcp",
    "speculative_draft_tokens": "--draft-tokens",
    "max_accelerator_count": "--max-count",
}
"""Options that are not called as the wish is."""


def named_model(door: Door, given: str) -> NamedModel:
    """Return the model that was meant."""
    return model_named(given, lambda: (model.id for model in models(door)))


def named_accelerator(door: Door, given: str) -> str:
    """Return the id of the accelerator that was meant."""
    return identified("accelerator", given, (card.id for card in accelerators(door)))


def precision_request(door: Door, model: str, accelerator: str, policy: str) -> pb.ResolvePrecisionRequest:
    """Return the question for the ways to run a model."""
    request = pb.ResolvePrecisionRequest(accelerator=named_accelerator(door, accelerator))
    _set_model(request, named_model(door, model))
    _set_wishes(request, Wishes(policy=policy))
    return request


def check_request(door: Door, model: str | None, wishes: Wishes) -> pb.CheckDeploymentRequest:
    """Return the question about fixed hardware; a model that is None is left out."""
    request = pb.CheckDeploymentRequest()
    _amend(request, door, model, wishes)
    return request


def size_request(door: Door, model: str | None, wishes: Wishes) -> pb.SizeDeploymentRequest:
    """Return the question for the smallest deployments; a model that is None is left out."""
    request = pb.SizeDeploymentRequest()
    _amend(request, door, model, wishes)
    return request


def requirements(door: Door, model: str, wishes: Wishes) -> plan.Requirements:
    """Return what a plan shall ask for: a check where a count was typed, else a sizing."""
    if wishes.accelerator_count is None:
        return plan.Requirements(size=size_request(door, model, wishes))
    return plan.Requirements(check=check_request(door, model, wishes))


def amended(door: Door, standing: plan.Requirements, model: str | None, wishes: Wishes) -> plan.Requirements:
    """Return what stands, with what was typed in its place."""
    changed = plan.Requirements()
    changed.CopyFrom(standing)
    if standing.WhichOneof("question") == "check":
        _amend(changed.check, door, model, wishes)
    elif wishes.accelerator_count is None:
        _amend(changed.size, door, model, wishes)
    else:
        changed.check.CopyFrom(_as_check(standing.size))
        _amend(changed.check, door, model, wishes)
    return changed


def moment(text: str | None) -> Timestamp | None:
    """Return the time that was typed."""
    if text is None:
        return None
    try:
        typed = datetime.fromisoformat(text)
        return timestamp_of(typed if typed.tzinfo else typed.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as problem:
        raise TimeNotUnderstood(f"{text!r}: {TimeNotUnderstood.__doc__}") from problem


def _amend(
    request: pb.CheckDeploymentRequest | pb.SizeDeploymentRequest, door: Door, model: str | None, wishes: Wishes
) -> None:
    _refuse_homeless(request, wishes)
    if model is not None:
        _set_model(request, named_model(door, model))
    if wishes.accelerators:
        ids = [named_accelerator(door, given) for given in wishes.accelerators]
        if isinstance(request, pb.SizeDeploymentRequest):
            request.accelerators[:] = list(dict.fromkeys(ids))
        elif len(set(ids)) > 1:
            raise OptionsRefused(f"With --count there is one --accelerator, not {', '.join(ids)}.")
        else:
            request.accelerator = ids[0]
    _set_wishes(request, wishes)


def _refuse_homeless(request: Message, wishes: Wishes) -> None:
    homes = {*request.DESCRIPTOR.fields_by_name, *part.Load.DESCRIPTOR.fields_by_name}
    if homeless := [name for name in wishes.typed if name not in homes]:
        named = ", ".join(OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in homeless)
        raise OptionsRefused(f"{named}: only where --count says how many accelerators there are.")


def _set_model(request: Message, named: NamedModel) -> None:
    request.ClearField("config_json")
    given = {"model": named.model} | ({} if named.config_json is None else {"config_json": named.config_json})
    request.MergeFrom(type(request)(**given))


def _set_wishes(request: Message, wishes: Wishes) -> None:
    described = request.DESCRIPTOR.fields_by_name
    for name in wishes.typed:
        value = getattr(wishes, name)
        if name in described:
            enum = described[name].enum_type
            setattr(request, name, value if enum is None else enum_number(enum, value))
        else:
            setattr(request.load, name, value)  # type: ignore[attr-defined] # both questions have one


def _as_check(size: pb.SizeDeploymentRequest) -> pb.CheckDeploymentRequest:
    shared = {field.name for field in size.DESCRIPTOR.fields} & {
        field.name for field in pb.CheckDeploymentRequest.DESCRIPTOR.fields
    }
    check = pb.CheckDeploymentRequest(
        **{field.name: value for field, value in size.ListFields() if field.name in shared}
    )
    if len(size.accelerators) == 1:
        check.accelerator = size.accelerators[0]
    return check
