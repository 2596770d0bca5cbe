"""Hostile requests: none ends in INTERNAL or a crash, and none that is refused writes a row."""

import asyncio
from collections import Counter

import grpc
import psycopg
import pytest
from grpc import StatusCode
from tonnage.v1 import plan_pb2 as pb

from tests.api.calling import drafting
from tests.api.hostility import Hostile, Hostility

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


class Attack:
    """Hostile calls against one server, and what came of them."""

    def __init__(self, channel, hostility: Hostility) -> None:
        self.channel = channel
        self.hostility = hostility
        self.codes: Counter[StatusCode] = Counter()
        self.accepted: set[tuple[str, int]] = set()
        self.unexpected: list[tuple[StatusCode, Hostile, str]] = []

    async def run(self, count: int) -> None:
        for _ in range(count // AT_ONCE):
            await asyncio.gather(*(self.send(self.hostility.call()) for _ in range(AT_ONCE)))

    async def send(self, hostile: Hostile) -> None:
        try:
            content = await self.channel.unary_unary(hostile.method)(hostile.content, timeout=60)
        except grpc.aio.AioRpcError as error:
            self.codes[error.code()] += 1
            if error.code() not in EXPECTED:
                self.unexpected.append((error.code(), hostile, error.details() or ""))
            return
        self.codes[StatusCode.OK] += 1
        if answer := WRITES.get(hostile.method.rpartition("/")[2]):
            self.remember(answer.FromString(content))

    def remember(self, answer) -> None:
        self.accepted.add((answer.outcome.plan_id, answer.outcome.revision))
        if answer.plan.status == pb.PLAN_STATUS_ACTIVE:
            self.hostility.plans.append(answer.plan)
        del self.hostility.plans[:-20]


async def attack(channel, database, planner, count: int) -> Attack:
    hostility = Hostility(seed=count)
    first = drafting()
    answer = await planner.call(planner.plans.DraftPlan, first)
    hostility.request_ids.append(first.request_id)
    attacked = Attack(channel, hostility)
    attacked.remember(answer)
    await attacked.run(count)
    assert attacked.unexpected == []
    await planner.draft(name="still there")
    refuse_stray_rows(database, attacked)
    return attacked


def refuse_stray_rows(database, attacked: Attack) -> None:
    """Every event belongs to a write that was acknowledged, and so does every request that is remembered."""
    with psycopg.connect(database.admin_url) as connection:
        streams = connection.execute(
            "SELECT stream_id::text, max(revision), count(*) FROM events WHERE stream_kind = 'plan' GROUP BY 1"
        ).fetchall()
        plans = connection.execute("SELECT count(*) FROM plans").fetchone()
    acknowledged = {plan_id: 0 for plan_id, _ in attacked.accepted}
    for plan_id, revision in attacked.accepted:
        acknowledged[plan_id] = max(acknowledged[plan_id], revision)
    written = {stream_id: head for stream_id, head, count in streams if head == count}
    # One plan more: the last one, drafted after the attack.
    assert len(written) == len(streams) == len(acknowledged) + 1
    assert plans == (len(streams),)
    assert acknowledged.items() <= written.items()


async def test_hostile_requests_are_refused_and_leave_nothing(channel, database, planner):
    attacked = await attack(channel, database, planner, FEW)
    assert attacked.codes[StatusCode.OK]
    assert attacked.codes[StatusCode.INVALID_ARGUMENT]


@pytest.mark.fuzz
async def test_ten_thousand_hostile_requests_are_refused_and_leave_nothing(channel, database, planner, capsys):
    attacked = await attack(channel, database, planner, MANY)
    with capsys.disabled():
        print("\nanswered:", ", ".join(f"{code.name} {times}" for code, times in attacked.codes.most_common()))  # noqa: T201
    assert len(attacked.codes) > 5
