"""Whatever is asked of the store in whatever order: it agrees with a dictionary of lists."""

import asyncio
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from domain.planning.plan import Command, Event, PlanRefused, decide, fold
from service.store import EventFilter, PlanFilter, Request, Store, Written
from service.store.chain import Fault
from service.store.refusal import RequestIdReused, RevisionNotFound, StaleRevision
from tests.planning.example import (
    ADA,
    BOB,
    CHECK,
    DOES_NOT_FIT,
    SMALLER_CHECK,
    approve,
    draft,
    evaluation,
    retire,
    revise,
)
from tests.store.writing import request_by

WORKSPACES = ("acme", "umbrella")
COMMANDS: tuple[Command, ...] = (
    draft(),
    revise(),
    revise(requirements=CHECK, evaluation=evaluation()),
    revise(requirements=SMALLER_CHECK, evaluation=evaluation(DOES_NOT_FIT), reason="again"),
    approve(revision=2),
    approve(revision=4, actor=ADA, four_eyes=False),
    retire(actor=BOB),
)


@dataclass(slots=True)
class Model:
    """What the store should hold."""

    plans: dict[tuple[str, UUID], list[Event]] = field(default_factory=dict)
    answers: dict[Request, Written] = field(default_factory=dict)
    length: int = 0


def outcome(command: Command, past: list[Event], revision: int) -> tuple[Event, ...] | type[Exception]:
    """What must come of a command: events, or a refusal."""
    if revision not in (0, len(past)):
        return StaleRevision
    try:
        return decide(command, fold(past))
    except PlanRefused as refusal:
        return type(refusal)


class StoreMachine(RuleBasedStateMachine):
    """Two replicas of the store on one database, against the model."""

    url: str
    requests: Bundle[tuple[Request, UUID, Command, int]] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        # Plans of this run alone: the database is shared by all runs.
        self.plan_ids = [uuid4(), uuid4()]

    @initialize()
    def open(self) -> None:
        """Open two replicas."""
        self.stores = [self.runner.run(Store.open(self.url)) for _ in range(2)]

    def teardown(self) -> None:
        """Close them."""
        for store in getattr(self, "stores", ()):
            self.runner.run(store.close())
        self.runner.close()

    def _execute(self, replica: int, request: Request, plan_id: UUID, command: Command, revision: int) -> Written:
        return self.runner.run(
            self.stores[replica].execute(request, plan_id=plan_id, command=command, expected_revision=revision or None)
        )

    @rule(
        target=requests,
        replica=st.integers(0, 1),
        workspace=st.sampled_from(WORKSPACES),
        plan=st.integers(0, 1),
        command=st.sampled_from(COMMANDS),
        late=st.integers(0, 2).map(lambda n: max(0, n - 1)),
    )
    def command(self, replica: int, workspace: str, plan: int, command: Command, late: int):
        """A command is accepted, refused or stale, exactly as the decider says."""
        plan_id = self.plan_ids[plan]
        past = self.model.plans.get((workspace, plan_id), [])
        request = request_by(command.actor, workspace=workspace)
        revision = max(0, len(past) - late)
        decided = outcome(command, past, revision)
        if isinstance(decided, type):
            with pytest.raises(decided):
                self._execute(replica, request, plan_id, command, revision)
            return multiple()
        self._remember(request, plan_id, self._execute(replica, request, plan_id, command, revision), decided)
        return request, plan_id, command, revision

    def _remember(self, request: Request, plan_id: UUID, written: Written, decided: tuple[Event, ...]) -> None:
        past = self.model.plans.setdefault((request.workspace, plan_id), [])
        for event in decided:
            past.append(
                replace(
                    event,
                    effective_at=event.effective_at or written.recorded_at,
                    recorded_at=written.recorded_at,
                )
            )
        self.model.length += len(decided)
        self.model.answers[request] = written
        assert written.revision == len(past)
        assert written.changed == bool(decided)

    @rule(replica=st.integers(0, 1), asked=requests)
    def repeat(self, replica: int, asked: tuple[Request, UUID, Command, int]) -> None:
        """A request that comes again is answered the same."""
        request, plan_id, command, revision = asked
        assert self._execute(replica, request, plan_id, command, revision) == self.model.answers[request]

    @rule(replica=st.integers(0, 1), asked=requests)
    def reuse(self, replica: int, asked: tuple[Request, UUID, Command, int]) -> None:
        """A request id that comes with something else is refused."""
        request, plan_id, command, revision = asked
        with pytest.raises(RequestIdReused):
            self._execute(replica, replace(request, digest=bytes([9] * 32)), plan_id, command, revision)

    @rule(replica=st.integers(0, 1), asked=consumes(requests), revision=st.integers(1, 12))
    def look_back(self, replica: int, asked: tuple[Request, UUID, Command, int], revision: int) -> None:
        """A plan at a revision is the fold of as many events."""
        request, plan_id, _, _ = asked
        past = self.model.plans[request.workspace, plan_id]
        read = self.stores[replica].plan(workspace=request.workspace, plan_id=plan_id, revision=revision)
        if revision > len(past):
            with pytest.raises(RevisionNotFound):
                self.runner.run(read)
        else:
            assert self.runner.run(read).state == fold(past[:revision])

    @rule(replica=st.integers(0, 1))
    def restart(self, replica: int) -> None:
        """A replica starts again and knows nothing."""
        self.runner.run(self.stores[replica].close())
        self.stores[replica] = self.runner.run(Store.open(self.url))

    @invariant()
    def lists_agree_with_the_model(self) -> None:
        """Every plan and event of this run is listed as the model has it."""
        if not hasattr(self, "stores"):
            return
        for workspace in WORKSPACES:
            for plan_id in self.plan_ids:
                past = self.model.plans.get((workspace, plan_id), [])
                listed = self.runner.run(
                    self.stores[0].events(workspace=workspace, chosen=EventFilter(plan_id=plan_id), page_size=50)
                )
                assert [stored.event for stored in reversed(listed.items)] == past
            page = self.runner.run(self.stores[1].plans(workspace=workspace, chosen=PlanFilter(), page_size=1_000))
            shown = {plan.plan_id: (plan.revision, plan.status) for plan in page.items}
            for (space, plan_id), past in self.model.plans.items():
                if space == workspace:
                    state = fold(past)
                    status = "retired" if type(state).__name__ == "RetiredPlan" else "active"
                    assert shown[plan_id] == (len(past), status)


def test_the_store_agrees_with_a_dictionary_of_lists(database):
    machine = type("Machine", (StoreMachine,), {"url": database.service_url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    async def verified() -> tuple[Fault, ...]:
        async with await Store.open(database.service_url) as store:
            return await store.verify()

    assert asyncio.run(verified()) == ()
