"""How plans and their history look."""

from collections.abc import Sequence
from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp
from tonnage.v1 import audit_pb2, deployment_pb2
from tonnage.v1 import plan_pb2 as pb

from domain.engine.answer import CheckAnswer, SizeAnswer
from service.api.conversion import value_of
from service.cli.check_report import show_check
from service.cli.screen import screen, show_headline, show_lines, show_section, table
from service.cli.size_report import show_size

ROWS = 10


def show_outcome(outcome: pb.WriteOutcome, plan: pb.Plan) -> None:
    """Print what became of a write."""
    done = "Recorded" if outcome.changed else "Nothing changed"
    show_headline(f"{done}: {plan.name}, revision {outcome.revision}, position {outcome.position}")
    screen().print(f"Plan {outcome.plan_id}")


def show_plan(plan: pb.Plan, position: int) -> None:
    """Print a plan: where it stands, then what it says."""
    status = pb.PlanStatus.Name(plan.status).removeprefix("PLAN_STATUS_").lower()
    show_headline(f"{plan.name}: {status}, revision {plan.revision}")
    screen().print(f"Plan {plan.plan_id}, position {position}")
    lines = [f"Drafted {_when(plan.created_at)}, last changed {_when(plan.recorded_at)}"]
    lines.append(f"Planned by {_who(plan.planner_subject, plan.planner)}" + (f": {plan.reason}" if plan.reason else ""))
    lines.extend(_approval(approval) for approval in plan.approvals)
    if not plan.approvals and not plan.HasField("retirement"):
        lines.append(f"Not approved (evaluated at revision {plan.evaluated_revision})")
    if plan.HasField("retirement"):
        ended = plan.retirement
        lines.append(f"Retired by {_who(ended.subject, ended.actor)}: {ended.reason}")
    basis = plan.evaluation.basis
    lines.append(f"Catalog {basis.catalog_release} ({basis.catalog_digest[:12]}), engine {basis.engine_version}")
    show_lines(lines)
    show_section("What it says")
    show_evaluation(plan.evaluation)


def show_evaluation(evaluation: pb.Evaluation, most_rows: int = ROWS) -> None:
    """Print the engine's answer."""
    match evaluation.WhichOneof("answer"):
        case "size":
            show_size(value_of(evaluation.size, SizeAnswer), most_rows=most_rows)
        case "check":
            show_check(value_of(evaluation.check, CheckAnswer))
        case _:
            screen().print("It was not judged.")


def show_plans(plans: Sequence[pb.PlanSummary]) -> None:
    """Print plans, a line each."""
    rows = table("plan", "name", "status", "rev", "model", "says", right=("rev",), wrap=("name", "model", "says"))
    for plan in plans:
        status = pb.PlanStatus.Name(plan.status).removeprefix("PLAN_STATUS_").lower()
        agreed = f", {plan.approval_count} approved" if plan.approval_count else ""
        rows.add_row(plan.plan_id[:8], plan.name, status + agreed, str(plan.revision), plan.model, _says(plan))
    screen().print(rows)


def show_events(events: Sequence[audit_pb2.Event]) -> None:
    """Print what happened, oldest first."""
    rows = table("rev", "recorded", "who", "what", "details", right=("rev",), wrap=("details",))
    for event in events:
        who = _who(event.subject, event.actor)
        rows.add_row(str(event.revision), _when(event.recorded_at), who, event.type.replace("_", " "), _details(event))
    screen().print(rows)


def _details(event: audit_pb2.Event) -> str:
    match event.WhichOneof("event"):
        case "plan_drafted":
            return event.plan_drafted.name
        case "plan_revised":
            return event.plan_revised.reason
        case "plan_evaluated":
            judged = event.plan_evaluated.evaluation
            return judged.check.sentence or judged.size.sentence
        case "plan_approved":
            return f"of revision {event.plan_approved.revision}. {event.plan_approved.comment}".strip()
        case "plan_retired":
            return event.plan_retired.reason
        case _:
            return ""


def _says(plan: pb.PlanSummary) -> str:
    if plan.verdict == deployment_pb2.VERDICT_UNSPECIFIED:
        return plan.sentence.removeprefix(f"{plan.model}: ")
    verdict = deployment_pb2.Verdict.Name(plan.verdict).removeprefix("VERDICT_").lower().replace("_", " ")
    return f"{verdict}: {plan.sentence}"


def _approval(approval: pb.Approval) -> str:
    comment = f": {approval.comment}" if approval.comment else ""
    return f"Approved by {_who(approval.subject, approval.actor)}, {_when(approval.recorded_at)}{comment}"


def _who(subject: str, actor: str) -> str:
    return subject or f"(erased {actor[:8]})"


def _when(moment: Timestamp) -> str:
    return moment.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
