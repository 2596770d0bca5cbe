"""Kill -9 of the server and of Postgres while plans are written over gRPC: what was acknowledged is there once."""

import asyncio
import os
import random
import socket
import sys
from uuid import UUID

import grpc
import pytest
from grpc import StatusCode
from tonnage.v1 import plan_pb2 as pb

from service.store import Store
from tests.api.calling import Caller, drafting, revising
from tests.postgres import Cluster, embedded
from tests.store.crash import Acknowledged, Ordeal, Unavailable, require_whole

UNKNOWN = {StatusCode.UNAVAILABLE, StatusCode.CANCELLED, StatusCode.DEADLINE_EXCEEDED, StatusCode.UNKNOWN}
"""What a caller hears whose call was cut off."""

FAST_RETRY = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
)


class ServerProcess:
    """The service in a process of its own, as an installation runs it."""

    def __init__(self, url: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        self._environment = os.environ | {
            "TONNAGE_DATABASE_URL": url,
            "TONNAGE_LISTEN": self._address,
            "TONNAGE_DEVELOPMENT": "1",
        }
        self._process: asyncio.subprocess.Process | None = None
        self._channel = grpc.aio.insecure_channel(self._address, options=FAST_RETRY)
        self._caller = Caller(self._channel)

    async def start(self) -> None:
        """Start it; callers wait until it answers."""
        command = (sys.executable, "-m", "service")
        self._process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stderr=asyncio.subprocess.DEVNULL
        )

    async def kill(self) -> None:
        """Kill it without a word."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def close(self) -> None:
        """Hang up, and leave no process behind."""
        await self._channel.close()
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    async def draft(self, plan_id: UUID, request_id: UUID) -> Acknowledged:
        """Draft a plan."""
        request = drafting(plan_id=str(plan_id), request_id=str(request_id))
        return await self._ask(self._caller.plans.DraftPlan, request)

    async def revise(self, plan_id: UUID, request_id: UUID, revision: int) -> Acknowledged:
        """Revise a plan."""
        standing = pb.Plan(plan_id=str(plan_id), revision=revision)
        request = revising(standing, count=8 + revision, request_id=str(request_id))
        return await self._ask(self._caller.plans.RevisePlan, request)

    async def _ask(self, method, request) -> Acknowledged:
        try:
            answer = await self._caller.call(method, request)
        except grpc.aio.AioRpcError as error:
            if error.code() in UNKNOWN:
                raise Unavailable from error
            raise
        return Acknowledged(
            plan_id=UUID(answer.outcome.plan_id),
            request_id=UUID(request.request_id),
            revision=answer.outcome.revision,
            position=answer.outcome.position,
        )


async def survive(*, kill_count: int, command_count: int) -> None:
    with embedded() as server:
        database = Cluster(server.admin_url).create("ordeal")
        process = ServerProcess(database.service_url)
        ordeal = Ordeal(service=process, server=server, chance=random.Random(11))
        try:
            await ordeal.run(kill_count=kill_count, command_count=command_count)
        finally:
            await process.close()
        assert len(ordeal.acknowledged) >= command_count
        async with await Store.open(database.service_url) as store:
            await require_whole(store, ordeal, "default")


async def test_a_thousand_drafts_and_revisions_survive_the_killing_of_server_and_postgres():
    await survive(kill_count=4, command_count=1_000)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
async def test_five_thousand_drafts_and_revisions_survive_twenty_kills():
    await survive(kill_count=20, command_count=5_000)
