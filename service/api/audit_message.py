"""Events of the history as messages."""

from tonnage.v1 import audit_pb2 as pb

from domain.planning.plan import PlanApproved, PlanDrafted, PlanEvaluated, PlanRetired, PlanRevised
from service.api.conversion import enum_number, message_of
from service.api.plan_message import Subjects, evaluation, requirements
from service.store import StoredEvent


def event(stored: StoredEvent, subjects: Subjects) -> pb.Event:
    """Return one row of the history."""
    message = message_of(
        stored,
        pb.Event,
        subject=subjects.get(stored.actor, ""),
        stream_kind=enum_number(pb.StreamKind.DESCRIPTOR, stored.stream_kind),
        **dict.fromkeys(field.name for field in pb.Event.DESCRIPTOR.oneofs_by_name["event"].fields),
    )
    _describe(stored.event, message)
    return message


def _describe(happened: object, message: pb.Event) -> None:
    match happened:
        case PlanDrafted():
            asked = requirements(happened.requirements)
            message.plan_drafted.CopyFrom(message_of(happened, pb.PlanDrafted, requirements=asked))
        case PlanRevised():
            asked = requirements(happened.requirements)
            message.plan_revised.CopyFrom(message_of(happened, pb.PlanRevised, requirements=asked))
        case PlanEvaluated():
            message.plan_evaluated.inputs.CopyFrom(requirements(happened.inputs))
            message.plan_evaluated.evaluation.CopyFrom(evaluation(happened.evaluation))
        case PlanApproved():
            message.plan_approved.CopyFrom(message_of(happened, pb.PlanApproved))
        case PlanRetired():
            message.plan_retired.CopyFrom(message_of(happened, pb.PlanRetired))
        case _:
            pass
