"""The gRPC server: every service behind one door, with health, reflection and a clean end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio
from grpc_reflection.v1alpha import reflection
from tonnage.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    plan_pb2,
    plan_pb2_grpc,
    sizing_pb2,
    sizing_pb2_grpc,
)

from domain.catalog.release import Catalog
from service.api.admission import Admission
from service.api.audit_servicer import AuditServicer
from service.api.caller import certified_caller, declared_caller
from service.api.catalog_servicer import CatalogServicer
from service.api.engine_room import EngineRoom
from service.api.plan_desk import PlanDesk
from service.api.plan_servicer import PlanServicer
from service.api.readiness import Readiness
from service.api.sizing_servicer import SizingServicer
from service.api.stream_admission import StreamAdmission
from service.settings import AddressTaken, CredentialsMissing, Settings, Tls
from service.store import Store

CATALOG = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"].full_name
SIZING = sizing_pb2.DESCRIPTOR.services_by_name["SizingService"].full_name
PLAN = plan_pb2.DESCRIPTOR.services_by_name["PlanService"].full_name
AUDIT = audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

LINGER_S = 0.2
LONGEST_ANSWER_BYTES = 64 * 1024 * 1024

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Server:
    """A server that listens."""

    grpc_server: grpc.aio.Server
    health: aio.HealthServicer
    readiness: "asyncio.Task[None]"
    engine: EngineRoom
    port: int
    drain_s: float
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def start(
        cls,
        settings: Settings,
        *,
        catalog: Catalog,
        store: Store,
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> Self:
        """Listen where the settings say; every service answers when this returns."""
        engine, health = EngineRoom(settings.worker_count), aio.HealthServicer()
        grpc_server = grpc.aio.server(
            interceptors=(
                Admission(declared_caller if settings.development else certified_caller),
                StreamAdmission(),
            ),
            maximum_concurrent_rpcs=settings.concurrent_call_limit,
            options=_options(settings),
        )
        _add_services(grpc_server, settings, catalog=catalog, store=store, engine=engine, now=now, new_id=new_id)
        health_pb2_grpc.add_HealthServicer_to_server(health, grpc_server)
        reflection.enable_server_reflection(
            (CATALOG, SIZING, PLAN, AUDIT, HEALTH, reflection.SERVICE_NAME), grpc_server
        )
        readiness = Readiness(store=store, health=health, stateless=(CATALOG, SIZING), stored=(PLAN, AUDIT))
        await readiness.check()
        port = _open(grpc_server, settings)
        await grpc_server.start()
        log.info("server.started", listen=settings.listen, port=port, development=settings.development)
        return cls(
            grpc_server=grpc_server,
            health=health,
            readiness=asyncio.create_task(readiness.watch()),
            engine=engine,
            port=port,
            drain_s=settings.drain_s,
        )

    async def stop(self) -> None:
        """Say that it ends, finish what is in progress, close the door."""
        if self.stopped.is_set():
            return
        self.stopped.set()
        log.info("drain.started", grace_s=self.drain_s)
        self.readiness.cancel()
        await self.health.enter_graceful_shutdown()
        # Calls that are on their way would be cancelled, which no client tries again.
        await asyncio.sleep(min(LINGER_S, self.drain_s))
        await self.grpc_server.stop(self.drain_s)
        await asyncio.to_thread(self.engine.close)
        log.info("server.stopped")


def _add_services(
    server: grpc.aio.Server,
    settings: Settings,
    *,
    catalog: Catalog,
    store: Store,
    engine: EngineRoom,
    now: Callable[[], datetime],
    new_id: Callable[[], UUID],
) -> None:
    desk = PlanDesk(catalog=catalog, store=store, engine=engine, now=now)
    planner = PlanServicer(desk=desk, store=store, new_id=new_id, four_eyes=settings.four_eyes)
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(catalog), server)
    sizing_pb2_grpc.add_SizingServiceServicer_to_server(SizingServicer(catalog, engine), server)
    plan_pb2_grpc.add_PlanServiceServicer_to_server(planner, server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(store), server)


def _open(server: grpc.aio.Server, settings: Settings) -> int:
    try:
        if settings.development:
            return server.add_insecure_port(settings.listen)
        if settings.tls is None:
            raise CredentialsMissing(CredentialsMissing.__doc__)
        return server.add_secure_port(settings.listen, _credentials(settings.tls))
    except RuntimeError as failure:
        raise AddressTaken(
            f"{settings.listen} cannot be listened on; set TONNAGE_LISTEN to another address."
        ) from failure


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=tls.client_authority.read_bytes(),
        require_client_auth=True,
    )


def _options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", settings.message_limit_bytes),
        ("grpc.max_send_message_length", LONGEST_ANSWER_BYTES),
        # Several processes on one database may listen on one port; the system deals connections out.
        ("grpc.so_reuseport", int(settings.database_url is not None)),
        # Proxies forget connections that idle; connections that live long miss new replicas.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
        ("grpc.max_connection_age_ms", 30 * 60_000),
        ("grpc.max_connection_age_grace_ms", 5 * 60_000),
    ]
