"""Health by service: what needs the database is ready while the database is there and migrated."""

import asyncio
from collections.abc import Iterable

import structlog
from grpc_health.v1.health import OVERALL_HEALTH, aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from service.store import Store
from service.store.refusal import StoreRefused

CHECK_EVERY_S = 2.0
CHECK_LIMIT_S = 5.0

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING

log = structlog.get_logger()


class Readiness:
    """Keeps the health of each service true; the whole is as healthy as the database."""

    def __init__(
        self, *, store: Store, health: aio.HealthServicer, stateless: Iterable[str], stored: Iterable[str]
    ) -> None:
        self._store = store
        self._health = health
        self._stateless = tuple(stateless)
        self._stored = (OVERALL_HEALTH, *stored)
        self._was_ready: bool | None = None

    async def watch(self) -> None:
        """Check for ever; cancelled when the server drains."""
        for name in self._stateless:
            await self._health.set(name, SERVING)
        while True:
            await self.check()
            await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> None:
        """Look once, and tell whoever asks for health."""
        is_ready = await self._is_ready()
        if is_ready is not self._was_ready:
            self._was_ready = is_ready
            log.info("service.became_ready" if is_ready else "service.became_unready")
            for name in self._stored:
                await self._health.set(name, SERVING if is_ready else NOT_SERVING)

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                await self._store.ready()
        except (StoreRefused, TimeoutError):
            return False
        return True
