"""The life of a plan, rule by rule."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given as for_all
from hypothesis import strategies as st

from domain.planning.evaluation import as_recorded
from domain.planning.plan import (
    INITIAL,
    ActivePlan,
    ApprovalOutdated,
    ApproverIsPlanner,
    Command,
    EffectiveTimeInPast,
    Event,
    NothingToApprove,
    PlanAlreadyExists,
    PlanApproved,
    PlanDrafted,
    PlanEvaluated,
    PlanNotActive,
    PlanNotFound,
    PlanRefused,
    PlanRetired,
    PlanRevised,
    RetiredPlan,
    decide,
    evolve,
    fold,
)
from tests.planning.example import (
    ADA,
    BOB,
    CHECK,
    DECEMBER,
    DOES_NOT_FIT,
    EIGHT_H200,
    FITS,
    MONDAY,
    SIZE,
    SIZED,
    SMALLER_CHECK,
    TUESDAY,
    WEDNESDAY,
    approve,
    draft,
    evaluation,
    retire,
    revise,
)
from tests.planning.scenario import given

drafted = PlanDrafted(actor=ADA, name="Chat", requirements=CHECK, effective_at=MONDAY, recorded_at=MONDAY)
evaluated = PlanEvaluated(actor=ADA, inputs=CHECK, evaluation=evaluation(), effective_at=MONDAY, recorded_at=MONDAY)
approved = PlanApproved(actor=BOB, revision=2, effective_at=TUESDAY, recorded_at=TUESDAY)
retired = PlanRetired(actor=ADA, reason="done", effective_at=WEDNESDAY, recorded_at=WEDNESDAY)
does_not_fit = replace(evaluated, evaluation=evaluation(DOES_NOT_FIT))


def test_a_draft_records_what_is_asked_and_what_the_engine_says():
    given().when(draft()).then(
        PlanDrafted(actor=ADA, name="Chat", requirements=CHECK),
        PlanEvaluated(actor=ADA, inputs=CHECK, evaluation=evaluation()),
    )


def test_a_plan_is_drafted_once():
    given(drafted, evaluated).when(draft()).then_refused(PlanAlreadyExists)


def test_a_retired_plan_is_not_drafted_again():
    given(drafted, evaluated, retired).when(draft()).then_refused(PlanAlreadyExists)


def test_a_plan_that_was_never_drafted_cannot_be_revised():
    given().when(revise()).then_refused(PlanNotFound)


def test_a_plan_that_was_never_drafted_cannot_be_approved():
    given().when(approve()).then_refused(PlanNotFound)


def test_a_plan_that_was_never_drafted_cannot_be_retired():
    given().when(retire()).then_refused(PlanNotFound)


def test_new_requirements_revise_the_plan_and_are_evaluated():
    given(drafted, evaluated).when(revise()).then(
        PlanRevised(actor=ADA, requirements=SMALLER_CHECK, reason="fewer users"),
        PlanEvaluated(actor=ADA, inputs=SMALLER_CHECK, evaluation=evaluation(DOES_NOT_FIT)),
    )


def test_the_same_requirements_with_the_same_answer_revise_nothing():
    given(drafted, evaluated).when(revise(requirements=CHECK, evaluation=evaluation())).then_nothing()


def test_the_same_requirements_by_another_release_are_a_revision():
    newer = evaluation(digest=DECEMBER)
    given(drafted, evaluated).when(revise(requirements=CHECK, evaluation=newer)).then(
        PlanRevised(actor=ADA, requirements=CHECK, reason="fewer users"),
        PlanEvaluated(actor=ADA, inputs=CHECK, evaluation=newer),
    )


def test_digits_beyond_the_tenth_revise_nothing():
    memory = replace(EIGHT_H200.memory, weights_bytes=87.5e9 * (1 + 1e-13))
    noisy = replace(FITS, deployment=replace(EIGHT_H200, memory=memory))
    given(drafted, evaluated).when(revise(requirements=CHECK, evaluation=evaluation(noisy))).then_nothing()


def test_a_retired_plan_cannot_be_revised():
    given(drafted, evaluated, retired).when(revise()).then_refused(PlanNotActive)


def test_somebody_else_approves_the_plan():
    given(drafted, evaluated).when(approve()).then(PlanApproved(actor=BOB, revision=2))


def test_the_planner_cannot_approve_the_own_plan():
    given(drafted, evaluated).when(approve(actor=ADA)).then_refused(ApproverIsPlanner)


def test_the_planner_approves_where_four_eyes_are_not_asked_for():
    given(drafted, evaluated).when(approve(actor=ADA, four_eyes=False)).then(PlanApproved(actor=ADA, revision=2))


def test_whoever_revised_the_plan_is_its_planner():
    revised = PlanRevised(actor=BOB, requirements=SMALLER_CHECK, reason="", effective_at=MONDAY, recorded_at=MONDAY)
    given(drafted, evaluated, revised, evaluated).when(approve(revision=4)).then_refused(ApproverIsPlanner)


def test_approving_twice_changes_nothing():
    given(drafted, evaluated, approved).when(approve()).then_nothing()


def test_an_approval_of_what_the_plan_said_before_is_refused():
    revised = PlanRevised(actor=ADA, requirements=SMALLER_CHECK, reason="", effective_at=MONDAY, recorded_at=MONDAY)
    given(drafted, evaluated, revised, evaluated).when(approve()).then_refused(ApprovalOutdated, evaluated_revision=4)


def test_an_answer_without_a_deployment_cannot_be_approved():
    given(drafted, does_not_fit).when(approve()).then_refused(NothingToApprove)


def test_a_sizing_that_recommends_something_can_be_approved():
    sized = replace(evaluated, inputs=SIZE, evaluation=evaluation(SIZED))
    given(replace(drafted, requirements=SIZE), sized).when(approve()).then(PlanApproved(actor=BOB, revision=2))


def test_a_sizing_that_found_nothing_cannot_be_approved():
    nothing = replace(evaluated, inputs=SIZE, evaluation=evaluation(replace(SIZED, candidates=())))
    given(drafted, nothing).when(approve()).then_refused(NothingToApprove)


def test_a_revision_takes_the_approvals_away():
    state = fold((drafted, evaluated, approved, *decide(revise(), fold((drafted, evaluated, approved)))))
    assert isinstance(state, ActivePlan)
    assert state.approvals == ()


def test_a_retired_plan_cannot_be_approved():
    given(drafted, evaluated, retired).when(approve()).then_refused(PlanNotActive)


def test_a_plan_is_retired_with_a_reason():
    given(drafted, evaluated).when(retire()).then(PlanRetired(actor=ADA, reason="done"))


def test_a_plan_is_retired_once():
    given(drafted, evaluated, retired).when(retire()).then_refused(PlanNotActive)


def test_a_retired_plan_remembers_what_it_was():
    state = fold((drafted, evaluated, retired))
    assert isinstance(state, RetiredPlan)
    assert state.revision == 3
    assert state.last.name == "Chat"


def test_a_change_cannot_take_effect_before_the_change_that_precedes_it():
    given(replace(drafted, effective_at=TUESDAY), replace(evaluated, effective_at=TUESDAY)).when(
        retire(effective_at=MONDAY)
    ).then_refused(EffectiveTimeInPast, earliest=TUESDAY)


def test_a_change_that_names_no_time_cannot_precede_one_that_lies_ahead():
    ahead = replace(evaluated, effective_at=WEDNESDAY)
    given(drafted, ahead).when(revise(at=TUESDAY)).then_refused(EffectiveTimeInPast, earliest=WEDNESDAY)


def test_a_clock_that_lags_behind_the_database_refuses_nobody():
    by_database = replace(evaluated, effective_at=TUESDAY, recorded_at=TUESDAY)
    given(drafted, by_database).when(retire(at=MONDAY)).then(PlanRetired(actor=ADA, reason="done"))


def test_a_change_may_take_effect_later():
    given(drafted, evaluated).when(retire(effective_at=WEDNESDAY)).then(
        PlanRetired(actor=ADA, reason="done", effective_at=WEDNESDAY)
    )


actors = st.sampled_from([ADA, BOB])
times = st.sampled_from([MONDAY, TUESDAY, WEDNESDAY])
said = st.fixed_dictionaries({"actor": actors, "at": times, "effective_at": st.none() | times})
judged = st.sampled_from(
    [(CHECK, evaluation()), (SMALLER_CHECK, evaluation(DOES_NOT_FIT)), (SIZE, evaluation(SIZED, DECEMBER))]
)


def _asked(make: Callable[..., Command]) -> st.SearchStrategy[Command]:
    return st.builds(lambda base, pair: make(**base, requirements=pair[0], evaluation=pair[1]), said, judged)


commands = st.one_of(
    _asked(draft),
    _asked(revise),
    st.builds(
        lambda base, revision, four_eyes: approve(**base, revision=revision, four_eyes=four_eyes),
        said,
        st.integers(1, 9),
        st.booleans(),
    ),
    st.builds(lambda base: retire(**base), said),
)


def _lived(asked: list[Command]) -> list[Event]:
    """Let everything happen that is not refused; as in the store, recorded time never runs backwards."""
    happened: list[Event] = []
    recorded_at = MONDAY
    for command in asked:
        try:
            decided = decide(command, fold(happened))
        except PlanRefused:
            continue
        recorded_at = max(recorded_at, command.at)
        effective_at = command.effective_at or recorded_at
        happened += [replace(event, effective_at=effective_at, recorded_at=recorded_at) for event in decided]
    return happened


@for_all(st.lists(commands, max_size=8))
def test_the_revision_of_a_plan_is_the_number_of_its_events(asked):
    happened = _lived(asked)
    state = fold(happened)
    assert (0 if state == INITIAL else state.revision) == len(happened)  # type: ignore[union-attr]


@for_all(st.lists(commands, max_size=8), commands)
def test_a_command_decided_twice_in_a_row_changes_nothing_or_is_refused(asked, command):
    happened = _lived([*asked, command])
    try:
        again = decide(command, fold(happened))
    except PlanRefused:
        return
    assert again == ()


@for_all(st.lists(commands, max_size=8))
def test_effective_times_never_run_backwards_in_a_plan(asked):
    effective = [event.effective_at for event in _lived(asked)]
    assert effective == sorted(effective)  # type: ignore[type-var]


@for_all(st.lists(commands, max_size=8))
def test_what_is_recorded_needs_no_more_rounding(asked):
    for event in _lived(asked):
        assert as_recorded(event) == event


@for_all(
    st.lists(st.sampled_from([drafted, evaluated, does_not_fit, approved, retired]), max_size=6),
    st.sampled_from([drafted, evaluated, does_not_fit, approved, retired]),
)
def test_evolve_never_fails_whatever_the_order_of_events(before, event):
    evolve(fold(before), event)
