"""Where a wish becomes a decision: remember, judge, decide and append, read back."""

from collections.abc import Callable
from datetime import datetime

from domain.catalog.release import Catalog
from domain.engine.answer import ENGINE_VERSION, CheckRequest, SizeRequest, check, size
from domain.planning.evaluation import Answer, Evaluation, Requirements
from domain.planning.plan import PlanRefused
from service.api.caller import CURRENT, Caller
from service.api.engine_room import EngineRoom
from service.api.plan_message import Subjects, Write, plan_actors
from service.store import Actor, PlanRecord, Request, Store, Written
from service.store.refusal import StoreRefused


class PlanDesk:
    """Executes writes on plans, once each, and reads what stands then."""

    def __init__(self, *, catalog: Catalog, store: Store, engine: EngineRoom, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._store = store
        self._engine = engine
        self._now = now

    async def execute(self, write: Write) -> tuple[Written, PlanRecord, Subjects]:
        """Let the write happen, or find what became of it before; return it with the plan at that revision."""
        caller = CURRENT.get()
        written = await self._written(write, caller)
        record = await self._store.plan(
            workspace=caller.workspace, plan_id=written.stream_id, revision=written.revision
        )
        return written, record, await self.subjects(record)

    async def _written(self, write: Write, caller: Caller) -> Written:
        actor = await self._store.actor(workspace=caller.workspace, subject=caller.subject)
        try:
            return await self._once(write, caller, actor)
        except (PlanRefused, StoreRefused):
            if actor.newcomer is None:
                raise
            known = await self._store.actor(workspace=caller.workspace, subject=caller.subject)
            if known.id == actor.id:
                raise
        # Another process met the caller first: what a stranger was refused may be what somebody known was granted.
        return await self._once(write, caller, known)

    async def _once(self, write: Write, caller: Caller, actor: Actor) -> Written:
        request = Request(
            workspace=caller.workspace,
            actor=actor.id,
            newcomer=actor.newcomer,
            method=write.method,
            request_id=write.request_id,
            digest=write.digest,
        )
        return await self._store.remembered(request) or await self._decide(write, request)

    async def subjects(self, record: PlanRecord) -> Subjects:
        """Return who the people are whom the plan names."""
        return await self._store.subjects(workspace=CURRENT.get().workspace, actors=plan_actors(record))

    async def _decide(self, write: Write, request: Request) -> Written:
        judged = {} if write.requirements is None else {"evaluation": await self._judge(write.requirements)}
        command = write.command(actor=request.actor, at=self._now(), **judged)
        return await self._store.execute(
            request, plan_id=write.plan_id, command=command, expected_revision=write.expected_revision
        )

    async def _judge(self, requirements: Requirements) -> Evaluation:
        return Evaluation(
            catalog_release=self._catalog.release,
            catalog_digest=self._catalog.digest,
            engine_version=ENGINE_VERSION,
            answer=await self._engine.ask(_answer, self._catalog, requirements),
        )


def _answer(catalog: Catalog, requirements: Requirements) -> Answer:
    match requirements:
        case SizeRequest():
            return size(catalog, requirements)
        case CheckRequest():
            return check(catalog, requirements)
