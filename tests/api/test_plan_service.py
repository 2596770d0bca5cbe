"""Plans over a real channel: what is kept, what is refused, and that nothing happens twice."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from tonnage.v1 import deployment_pb2 as part
from tonnage.v1 import plan_pb2 as pb
from tonnage.v1 import sizing_pb2 as sizing

from tests.api.calling import R1, Caller, approving, drafting, retiring, revising


def stamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


async def test_a_drafted_plan_holds_question_answer_and_basis(planner, catalog):
    drafted = await planner.draft()
    assert drafted.outcome.changed
    assert drafted.outcome.revision == drafted.plan.revision == 2
    assert drafted.plan.requirements.check.accelerator_count == 8
    assert drafted.plan.evaluation.check.verdict == part.VERDICT_FITS
    assert drafted.plan.evaluation.basis.catalog_digest == catalog.digest
    assert drafted.plan.planner_subject == "pia"


async def test_a_plan_can_ask_for_the_smallest_deployments(planner):
    question = sizing.SizeDeploymentRequest(model=R1, accelerators=["h200-sxm-141", "h20-141"])
    drafted = await planner.draft(requirements=pb.Requirements(size=question))
    assert drafted.plan.evaluation.size.candidates
    assert list(drafted.plan.requirements.size.accelerators) == ["h200-sxm-141", "h20-141"]


async def test_a_plan_reads_back_as_it_was_written(planner):
    drafted = await planner.draft()
    found = await planner.call(planner.plans.GetPlan, pb.GetPlanRequest(plan_id=drafted.plan.plan_id))
    assert found.plan == drafted.plan
    assert found.position == drafted.outcome.position


async def test_a_read_may_ask_to_see_a_write(planner):
    drafted = await planner.draft()
    seen = pb.GetPlanRequest(plan_id=drafted.plan.plan_id, at_least_position=drafted.outcome.position)
    assert (await planner.call(planner.plans.GetPlan, seen)).position >= drafted.outcome.position
    ahead = pb.GetPlanRequest(plan_id=drafted.plan.plan_id, at_least_position=drafted.outcome.position + 10**6)
    refused = await planner.refused(planner.plans.GetPlan, ahead)
    assert (refused.code, refused.reason) == (StatusCode.UNAVAILABLE, "POSITION_NOT_REACHED")
    assert refused.has_retry_delay


async def test_the_caller_may_choose_the_plan_id_once(planner):
    plan_id = str(uuid4())
    assert (await planner.draft(plan_id=plan_id)).plan.plan_id == plan_id
    refused = await planner.refused(planner.plans.DraftPlan, drafting(plan_id=plan_id))
    assert (refused.code, refused.reason) == (StatusCode.ALREADY_EXISTS, "PLAN_ALREADY_EXISTS")


async def test_a_draft_sent_again_is_answered_as_it_was(planner):
    request = drafting()
    first = await planner.call(planner.plans.DraftPlan, request)
    await planner.revise(first.plan)
    assert await planner.call(planner.plans.DraftPlan, request) == first


async def test_a_draft_sent_many_times_at_once_makes_one_plan(planner):
    request = drafting()
    answers = await asyncio.gather(*(planner.call(planner.plans.DraftPlan, request) for _ in range(12)))
    assert {answer.plan.plan_id for answer in answers} == {answers[0].plan.plan_id}
    listed = await planner.call(planner.plans.ListPlans, pb.ListPlansRequest())
    assert len(listed.plans) == 1


async def test_a_request_id_stands_for_one_request(planner):
    request = drafting()
    await planner.call(planner.plans.DraftPlan, request)
    request.name = "another"
    refused = await planner.refused(planner.plans.DraftPlan, request)
    assert (refused.code, refused.reason) == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_a_revision_sets_new_requirements(planner):
    drafted = await planner.draft()
    revised = await planner.revise(drafted.plan, count=16)
    assert revised.plan.requirements.check.accelerator_count == 16
    assert revised.plan.reason == "more people ask"
    assert revised.plan.revision == revised.plan.evaluated_revision == 4


async def test_a_revision_to_the_same_changes_nothing(planner):
    drafted = await planner.draft()
    revised = await planner.revise(drafted.plan, count=8)
    assert not revised.outcome.changed
    assert revised.plan.revision == drafted.plan.revision


async def test_a_stale_caller_is_told_where_the_plan_stands(planner):
    drafted = await planner.draft()
    await planner.revise(drafted.plan)
    refused = await planner.refused(planner.plans.RevisePlan, revising(drafted.plan, count=24))
    assert (refused.code, refused.reason) == (StatusCode.ABORTED, "STALE_REVISION")
    assert refused.metadata["current_revision"] == "4"


async def test_of_many_revisions_at_once_one_wins(planner):
    drafted = await planner.draft()
    counts = range(16, 24)
    calls = (planner.revise(drafted.plan, count=count) for count in counts)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1


async def test_somebody_else_approves_what_was_evaluated(planner, approver):
    drafted = await planner.draft()
    approved = await approver.approve(drafted.plan, comment="go")
    assert [(found.subject, found.revision, found.comment) for found in approved.plan.approvals] == [("abe", 2, "go")]


async def test_a_planner_cannot_approve_their_own_plan(planner):
    drafted = await planner.draft()
    refused = await planner.refused(planner.plans.ApprovePlan, approving(drafted.plan))
    assert (refused.code, refused.reason) == (StatusCode.PERMISSION_DENIED, "APPROVER_IS_PLANNER")
    assert refused.message == "Whoever set the requirements of a plan cannot approve it."


async def test_an_approval_names_what_was_evaluated_last(planner, approver):
    drafted = await planner.draft()
    refused = await approver.refused(approver.plans.ApprovePlan, approving(drafted.plan, evaluated_revision=1))
    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "APPROVAL_OUTDATED")
    assert refused.metadata["evaluated_revision"] == "2"


async def test_what_does_not_fit_cannot_be_approved(planner, approver):
    drafted = await planner.draft(count=1)
    refused = await approver.refused(approver.plans.ApprovePlan, approving(drafted.plan))
    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "NOTHING_TO_APPROVE")


async def test_a_retired_plan_can_be_read_and_not_changed(planner):
    drafted = await planner.draft()
    retired = await planner.retire(drafted.plan)
    assert retired.plan.status == pb.PLAN_STATUS_RETIRED
    assert (retired.plan.retirement.subject, retired.plan.retirement.reason) == ("pia", "replaced")
    refused = await planner.refused(planner.plans.RevisePlan, revising(retired.plan))
    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "PLAN_NOT_ACTIVE")


async def test_an_unknown_plan_is_not_found(planner):
    nowhere = pb.Plan(plan_id=str(uuid4()), revision=1, evaluated_revision=1)
    for method, request in (
        (planner.plans.GetPlan, pb.GetPlanRequest(plan_id=nowhere.plan_id)),
        (planner.plans.RetirePlan, retiring(nowhere)),
    ):
        refused = await planner.refused(method, request)
        assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "PLAN_NOT_FOUND")


async def test_a_plan_of_another_workspace_is_not_found(planner, channel):
    drafted = await planner.draft()
    stranger = Caller(channel, subject="sam", workspace="elsewhere")
    refused = await stranger.refused(stranger.plans.GetPlan, pb.GetPlanRequest(plan_id=drafted.plan.plan_id))
    assert refused.reason == "PLAN_NOT_FOUND"


async def test_a_plan_can_be_read_at_every_revision(planner):
    drafted = await planner.draft()
    await planner.revise(drafted.plan)
    before = await planner.call(planner.plans.GetPlan, pb.GetPlanRequest(plan_id=drafted.plan.plan_id, revision=2))
    assert before.plan.requirements.check.accelerator_count == 8
    beyond = pb.GetPlanRequest(plan_id=drafted.plan.plan_id, revision=99)
    refused = await planner.refused(planner.plans.GetPlan, beyond)
    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")


async def test_a_plan_can_be_read_as_of_a_time(planner):
    drafted = await planner.draft()
    revised = await planner.revise(drafted.plan)
    for answer in (drafted, revised):
        then = pb.AsOf(recorded_at=answer.outcome.recorded_at)
        found = await planner.call(planner.plans.GetPlan, pb.GetPlanRequest(plan_id=drafted.plan.plan_id, as_of=then))
        assert found.plan.revision == answer.plan.revision


async def test_a_plan_as_of_a_time_before_it_is_not_found(planner):
    drafted = await planner.draft()
    earlier = pb.AsOf(recorded_at=stamp(datetime.now(UTC) - timedelta(days=1)))
    request = pb.GetPlanRequest(plan_id=drafted.plan.plan_id, as_of=earlier)
    refused = await planner.refused(planner.plans.GetPlan, request)
    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "REVISION_NOT_FOUND")


async def test_a_change_cannot_take_effect_before_the_one_that_precedes_it(planner):
    drafted = await planner.draft()
    request = revising(drafted.plan, effective_at=stamp(datetime.now(UTC) - timedelta(days=1)))
    refused = await planner.refused(planner.plans.RevisePlan, request)
    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "EFFECTIVE_TIME_IN_PAST")
    assert refused.metadata["earliest"]


async def test_plans_are_listed_newest_first_page_by_page(planner):
    names = [f"plan {number}" for number in range(5)]
    for name in names:
        await planner.draft(name=name)
    request = pb.ListPlansRequest(page_size=2)
    seen: list[str] = []
    while True:
        page = await planner.call(planner.plans.ListPlans, request)
        seen.extend(plan.name for plan in page.plans)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == names[::-1]


async def test_plans_are_listed_by_status_model_and_accelerator(planner):
    kept, ended = await planner.draft(name="kept"), await planner.draft(name="ended")
    await planner.retire(ended.plan)
    for request, names in (
        (pb.ListPlansRequest(status=pb.PLAN_STATUS_ACTIVE), ["kept"]),
        (pb.ListPlansRequest(status=pb.PLAN_STATUS_RETIRED), ["ended"]),
        (pb.ListPlansRequest(model=R1), ["ended", "kept"]),
        (pb.ListPlansRequest(model="another"), []),
        (pb.ListPlansRequest(accelerator="h200-sxm-141"), ["ended", "kept"]),
        (pb.ListPlansRequest(planner=kept.plan.planner), ["ended", "kept"]),
        (pb.ListPlansRequest(planner=str(uuid4())), []),
    ):
        listed = await planner.call(planner.plans.ListPlans, request)
        assert [plan.name for plan in listed.plans] == names


async def test_a_page_token_is_good_for_its_own_list(planner):
    for _ in range(3):
        await planner.draft()
    token = (await planner.call(planner.plans.ListPlans, pb.ListPlansRequest(page_size=1))).next_page_token
    for request in (
        pb.ListPlansRequest(page_token=token, model="another"),
        pb.ListPlansRequest(page_token="nonsense"),
    ):
        refused = await planner.refused(planner.plans.ListPlans, request)
        assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


async def test_a_refused_write_leaves_nothing_behind(planner):
    drafted = await planner.draft()
    request = revising(drafted.plan, expected_revision=1)
    await planner.refused(planner.plans.RevisePlan, request)
    request.expected_revision = 2
    accepted = await planner.call(planner.plans.RevisePlan, request)
    assert accepted.outcome.changed


async def test_a_call_that_was_cut_off_can_be_sent_again(planner):
    requests = [drafting(name=f"plan {number}") for number in range(40)]

    async def cut_off(request: pb.DraftPlanRequest, after_s: float) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):
            await planner.call(planner.plans.DraftPlan, request, after_s)

    await asyncio.gather(*(cut_off(request, 0.002 * number) for number, request in enumerate(requests)))
    answers = [await planner.call(planner.plans.DraftPlan, request) for request in requests]
    assert [answer.outcome.revision for answer in answers] == [2] * 40
    listed = await planner.call(planner.plans.ListPlans, pb.ListPlansRequest(page_size=100))
    assert {plan.plan_id for plan in listed.plans} == {answer.plan.plan_id for answer in answers}
