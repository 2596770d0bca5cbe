"""Load that goes on while service and Postgres are killed, and what must be true afterwards.

What is killed is behind `Service`: here a process over the store, elsewhere one over gRPC.
"""

import asyncio
import itertools
import os
import random
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID, uuid4

from service.store import PlanFilter, Store
from service.store.chain import LoggedEvent
from service.store.embedded import EmbeddedPostgres

WRITERS = 24
REVISIONS = 4
EVENTS_OF_A_COMMAND = 2
GIVEN_UP_FRACTION = 0.1


class Unavailable(Exception):
    """The service, or what it stands on, was away; the outcome is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A write that the service said had happened."""

    plan_id: UUID
    request_id: UUID
    revision: int
    position: int


class Service(Protocol):
    """A service that can be killed at any instant."""

    async def start(self) -> None:
        """Start it; it may still be waiting for its database."""

    async def kill(self) -> None:
        """Kill it, SIGKILL, without a word."""

    async def draft(self, plan_id: UUID, request_id: UUID) -> Acknowledged:
        """Draft a plan; raise `Unavailable` when the outcome is unknown."""

    async def revise(self, plan_id: UUID, request_id: UUID, revision: int) -> Acknowledged:
        """Revise the plan at ``revision``; raise `Unavailable` when the outcome is unknown."""


class StoreService:
    """The store in a process of its own (see `tests.store.replica`)."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._number = itertools.count()
        self._asked: dict[str, asyncio.Future[list[str]]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process; its answers are listened to until it dies."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.store.replica", self._url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._listening = asyncio.create_task(self._listen(self._process))

    async def kill(self) -> None:
        """Kill the process; from this moment on nobody is asked any more."""
        process, listening = self._process, self._listening
        assert process is not None
        assert listening is not None
        self._process = None
        process.kill()
        await process.wait()
        await listening

    async def draft(self, plan_id: UUID, request_id: UUID) -> Acknowledged:
        """Draft a plan."""
        return await self._ask("draft", plan_id, request_id, 0)

    async def revise(self, plan_id: UUID, request_id: UUID, revision: int) -> Acknowledged:
        """Revise a plan."""
        return await self._ask("revise", plan_id, request_id, revision)

    async def _ask(self, verb: str, plan_id: UUID, request_id: UUID, revision: int) -> Acknowledged:
        if self._process is None:
            raise Unavailable
        stdin, listening = self._process.stdin, self._listening
        assert stdin is not None
        assert listening is not None
        if listening.done():
            raise RuntimeError("The service died, and nobody had killed it.")
        number = str(next(self._number))
        self._asked[number] = asyncio.get_running_loop().create_future()
        stdin.write(f"{number} {verb} {plan_id} {request_id} {revision}\n".encode())
        said = await self._asked[number]
        if said == ["unavailable"]:
            raise Unavailable
        return Acknowledged(plan_id=plan_id, request_id=request_id, revision=int(said[0]), position=int(said[1]))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):
                number, *said = line.decode().split()
                self._asked.pop(number).set_result(said)
        for waiting in self._asked.values():
            waiting.set_result(["unavailable"])
        self._asked.clear()


@dataclass(slots=True, kw_only=True)
class Ordeal:
    """Writers that never stop while what they write to is killed again and again."""

    service: Service
    server: EmbeddedPostgres
    chance: random.Random
    acknowledged: list[Acknowledged] = field(default_factory=list)
    given_up: list[UUID] = field(default_factory=list)
    """Request ids whose outcome nobody asked for again."""
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, *, kill_count: int, command_count: int) -> None:
        """Write until everything was killed often enough and enough was acknowledged."""
        await self.service.start()
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._write(done))
            for nth in range(kill_count):
                await self._acknowledged_more(command_count // (kill_count + 1))
                await asyncio.sleep(self.chance.uniform(0, 0.05))
                await (self._kill_service() if nth % 2 else self._kill_server())
            await self._acknowledged_more(command_count - len(self.acknowledged))
            done.set()
        await self.service.kill()

    async def _acknowledged_more(self, count: int) -> None:
        enough = len(self.acknowledged) + count
        while len(self.acknowledged) < enough:
            self.progress.clear()
            await self.progress.wait()

    async def _kill_service(self) -> None:
        await self.service.kill()
        await self.service.start()

    async def _kill_server(self) -> None:
        pid = self.server.postmaster_pid
        assert pid is not None
        await asyncio.to_thread(kill_and_restart, self.server, pid)

    async def _write(self, done: asyncio.Event) -> None:
        while not done.is_set():
            plan_id = uuid4()
            revision = await self._insist(plan_id, None)
            for _ in range(REVISIONS):
                if revision is not None:
                    revision = await self._insist(plan_id, revision)

    async def _insist(self, plan_id: UUID, revision: int | None) -> int | None:
        """Ask until there is an answer, always with the same request id; now and then give up."""
        request_id = uuid4()
        while True:
            try:
                acknowledged = await self._ask(plan_id, request_id, revision)
            except Unavailable:
                if self.chance.random() < GIVEN_UP_FRACTION:
                    self.given_up.append(request_id)
                    return None
                await asyncio.sleep(0.02)
            else:
                self.acknowledged.append(acknowledged)
                self.progress.set()
                return acknowledged.revision

    async def _ask(self, plan_id: UUID, request_id: UUID, revision: int | None) -> Acknowledged:
        if revision is None:
            return await self.service.draft(plan_id, request_id)
        return await self.service.revise(plan_id, request_id, revision)


def kill_and_restart(server: EmbeddedPostgres, pid: int) -> None:
    """Kill the postmaster without a word, and start it on what it left."""
    os.kill(pid, signal.SIGKILL)
    EmbeddedPostgres.start(server.state).in_use.close()


async def whole_log(store: Store) -> list[LoggedEvent]:
    """Return every event there is."""
    found: list[LoggedEvent] = []
    while page := await store.log(after=len(found), most=5_000):
        found += page
    return found


async def require_whole(store: Store, ordeal: Ordeal, workspace: str) -> None:
    """Check that every acknowledged write is there once, none is there by half, and all agree."""
    assert await store.verify() == ()
    log = await whole_log(store)
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    log = [event for event in log if event.workspace == workspace]
    by_request: dict[UUID, list[LoggedEvent]] = defaultdict(list)
    for event in log:
        by_request[event.request_id].append(event)
    for acknowledged in ordeal.acknowledged:
        *_, newest = by_request[acknowledged.request_id]
        assert (newest.stream_id, newest.revision, newest.position) == (
            acknowledged.plan_id,
            acknowledged.revision,
            acknowledged.position,
        )
    for written in by_request.values():
        assert len(written) == EVENTS_OF_A_COMMAND
        first, second = written
        assert second.type == "plan_evaluated"
        assert second.revision == first.revision + 1
    told = {acknowledged.request_id for acknowledged in ordeal.acknowledged}
    assert len(told) == len(ordeal.acknowledged)
    assert by_request.keys() <= told | set(ordeal.given_up)
    await require_views(store, log, workspace)


async def require_views(store: Store, log: list[LoggedEvent], workspace: str) -> None:
    """Check that the read models say what the log says."""
    revisions = {event.stream_id: event.revision for event in log}
    listed: dict[UUID, int] = {}
    token = ""
    while token or not listed:
        page = await store.plans(workspace=workspace, chosen=PlanFilter(), page_size=1_000, page_token=token)
        listed |= {plan.plan_id: plan.revision for plan in page.items}
        token = page.next_page_token
        if not token:
            break
    assert listed == revisions
