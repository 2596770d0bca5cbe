"""Hostile requests: none ends in INTERNAL or a crash, and none that is refused writes a row."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest
from grpc import StatusCode
from tonnage.v1 import plan_pb2 as pb

from tests.api.calling import Caller, drafting
from tests.api.hostility import METHODS, Hostile, Hostility
from tests.postgres import Database

FEW, MANY = 500, 10_000
AT_ONCE = 8

EXPECTED = {
    StatusCode.OK,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.ALREADY_EXISTS,
    StatusCode.FAILED_PRECONDITION,
    StatusCode.PERMISSION_DENIED,
    StatusCode.ABORTED,
    StatusCode.RESOURCE_EXHAUSTED,  # larger than a message may be
    StatusCode.UNAVAILABLE,  # at_least_position that nobody has reached
}

WRITES = {
    "DraftPlan": pb.DraftPlanResponse,
    "RevisePlan": pb.RevisePlanResponse,
    "ApprovePlan": pb.ApprovePlanResponse,
    "RetirePlan": pb.RetirePlanResponse,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A write that was acknowledged, as its answer and its caller tell it apart from others."""

    workspace: str
    subject: str
    method: str
    request_id: UUID
    plan_id: str
    revision: int


class Attack:
    """Hostile calls against one server, and what came of them."""

    def __init__(self, channel, hostility: Hostility) -> None:
        self.channel = channel
        self.hostility = hostility
        self.codes: Counter[StatusCode] = Counter()
        self.accepted: set[Accepted] = set()
        self.unexpected: list[tuple[StatusCode, Hostile, str]] = []

    async def run(self, count: int, database: Database) -> None:
        """Send calls by the handful, and see after each that only accepted writes left rows."""
        with psycopg.connect(database.admin_url, autocommit=True) as connection:
            before = row_counts(connection)
            for _ in range(count // AT_ONCE):
                accepted = set(self.accepted)
                await asyncio.gather(*(self.send(self.hostility.call()) for _ in range(AT_ONCE)))
                after = row_counts(connection)
                refuse_stray_rows(before, after, accepted, self.accepted)
                before = after

    async def send(self, hostile: Hostile) -> None:
        try:
            call = self.channel.unary_unary(hostile.method)(hostile.content, metadata=hostile.metadata, timeout=60)
            content = await call
        except grpc.aio.AioRpcError as error:
            self.codes[error.code()] += 1
            if error.code() not in EXPECTED:
                self.unexpected.append((error.code(), hostile, error.details() or ""))
            return
        self.codes[StatusCode.OK] += 1
        if answer := WRITES.get(hostile.method.rpartition("/")[2]):
            self.remember(hostile, answer.FromString(content))

    def remember(self, hostile: Hostile, answer) -> None:
        request: Any = METHODS[hostile.method].FromString(hostile.content)
        headers = {key: value.strip() for key, value in hostile.metadata if isinstance(value, str)}
        self.accepted.add(
            Accepted(
                workspace=headers.get("x-tonnage-workspace") or "default",
                subject=headers.get("x-tonnage-subject") or "developer",
                method=hostile.method,
                request_id=UUID(request.request_id),
                plan_id=answer.outcome.plan_id,
                revision=answer.outcome.revision,
            )
        )
        if answer.plan.status == pb.PLAN_STATUS_ACTIVE:
            self.hostility.plans.append(answer.plan)
        del self.hostility.plans[:-20]


async def attack(channel, database, count: int) -> Attack:
    attacked = Attack(channel, Hostility(seed=count))
    first = drafting()
    await attacked.send(Hostile("/tonnage.v1.PlanService/DraftPlan", first.SerializeToString()))
    attacked.hostility.request_ids.append(first.request_id)
    await attacked.run(count, database)
    assert attacked.unexpected == []
    await Caller(channel).draft(name="still there")
    return attacked


def row_counts(connection) -> dict[str, int]:
    """Rows of every table there is, whatever the workspace."""
    tables = [row[0] for row in connection.execute(TABLES)]
    counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)
    return dict(connection.execute(counts).fetchall())


TABLES = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"


def refuse_stray_rows(before, after, accepted_before: set[Accepted], accepted: set[Accepted]) -> None:
    """Every row that came belongs to a write that was acknowledged for the first time."""
    assert before.keys() == after.keys()
    came = {table: after[table] - before[table] for table in after if after[table] != before[table]}
    if accepted == accepted_before:
        assert came == {}
        return
    for table, kept in ROWS.items():
        assert came.pop(table, 0) == len(kept(accepted)) - len(kept(accepted_before)), table
    events = came.pop("events", 0)
    assert (events, events) == (came.pop("events_from_1", 0), came.pop("event_summaries", 0))
    assert events == heads(accepted) - heads(accepted_before)
    assert came.keys() <= FOLLOWING


ROWS: dict[str, Callable[[set[Accepted]], set[tuple[object, ...]]]] = {
    "requests": lambda accepted: {(one.workspace, one.subject, one.method, one.request_id) for one in accepted},
    "actors": lambda accepted: {(one.workspace, one.subject) for one in accepted},
    "plans": lambda accepted: {(one.workspace, one.plan_id) for one in accepted},
    "streams": lambda accepted: {(one.workspace, one.plan_id) for one in accepted},
}
"""Tables of which it is known what their rows stand for."""

FOLLOWING = {"event_accelerators", "plan_accelerators"}
"""Tables of which it is known that their rows come with events."""


def heads(accepted: set[Accepted]) -> int:
    """Events of all plans, by what was acknowledged."""
    revisions: dict[tuple[str, str], int] = {}
    for one in accepted:
        plan = (one.workspace, one.plan_id)
        revisions[plan] = max(revisions.get(plan, 0), one.revision)
    return sum(revisions.values())


async def test_hostile_requests_are_refused_and_leave_nothing(channel, database):
    attacked = await attack(channel, database, FEW)
    assert attacked.codes[StatusCode.OK]
    assert attacked.codes[StatusCode.INVALID_ARGUMENT]


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
async def test_ten_thousand_hostile_requests_are_refused_and_leave_nothing(channel, database, capsys):
    attacked = await attack(channel, database, MANY)
    with capsys.disabled():
        print("\nanswered:", ", ".join(f"{code.name} {times}" for code, times in attacked.codes.most_common()))  # noqa: T201
    assert len(attacked.codes) > 5
