"""Kill -9, at any instant: what was acknowledged is there once, and nothing is there by half."""

import random

import pytest

from service.store import Store
from tests.planning.example import ADA
from tests.postgres import Cluster, embedded
from tests.store.crash import Ordeal, StoreService, require_whole
from tests.store.writing import request_by


async def survive(*, kill_count: int, command_count: int) -> None:
    """Always on a server of its own: whoever gives us a server would not like it killed."""
    with embedded() as server:
        database = Cluster(server.admin_url).create("ordeal")
        ordeal = Ordeal(service=StoreService(database.service_url), server=server, chance=random.Random(7))
        await ordeal.run(kill_count=kill_count, command_count=command_count)
        assert len(ordeal.acknowledged) >= command_count
        async with await Store.open(database.service_url) as store:
            await require_whole(store, ordeal, "acme")
            for acknowledged in ordeal.acknowledged[::50]:
                request = request_by(ADA, request_id=acknowledged.request_id)
                remembered = await store.remembered(request)
                assert remembered is not None
                assert remembered.position == acknowledged.position


async def test_a_thousand_writes_survive_the_killing_of_service_and_postgres():
    await survive(kill_count=4, command_count=1_000)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
async def test_ten_thousand_writes_survive_forty_kills():
    await survive(kill_count=40, command_count=10_000)
