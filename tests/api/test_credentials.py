"""Who is let in where callers need certificates, and by which name history knows them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import pytest_asyncio
from grpc import StatusCode

from service.api.server import Server
from service.settings import Tls
from tests.api.calling import Caller, drafting

FOLDER = Path(__file__).parents[1] / "data" / "tls"


def credentials(client: str | None) -> grpc.ChannelCredentials:
    authority = (FOLDER / "ca.pem").read_bytes()
    if client is None:
        return grpc.ssl_channel_credentials(authority)
    key, certificate = ((FOLDER / f"{client}.{kind}").read_bytes() for kind in ("key", "pem"))
    return grpc.ssl_channel_credentials(authority, key, certificate)


@pytest_asyncio.fixture
async def port(settings, catalog, store) -> AsyncIterator[int]:
    tls = Tls(certificate=FOLDER / "server.pem", key=FOLDER / "server.key", client_authority=FOLDER / "ca.pem")
    secured = replace(settings, development=False, tls=tls)
    server = await Server.start(secured, catalog=catalog, store=store, now=lambda: datetime.now(UTC), new_id=uuid4)
    yield server.port
    await server.stop()


async def test_the_planner_is_whom_the_certificate_names_whatever_the_caller_says(port):
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials("pia")) as channel:
        drafted = await Caller(channel, subject="somebody-else", workspace="elsewhere").draft()
    assert drafted.plan.planner_subject == "pia"


@pytest.mark.parametrize("client", [None, "stranger"])
async def test_without_a_certificate_of_the_authority_nobody_is_let_in(port, client):
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials(client)) as channel:
        caller = Caller(channel)
        refused = await caller.refused(caller.plans.DraftPlan, drafting())
    assert refused.code is StatusCode.UNAVAILABLE


async def test_without_encryption_nobody_is_let_in(port):
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        caller = Caller(channel)
        refused = await caller.refused(caller.plans.DraftPlan, drafting())
    assert refused.code is StatusCode.UNAVAILABLE
