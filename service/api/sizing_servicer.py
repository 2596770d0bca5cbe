"""SizingService: questions to the engine that leave no trace."""

from typing import Any

import grpc
from tonnage.v1 import sizing_pb2 as pb
from tonnage.v1 import sizing_pb2_grpc as rpc

from domain.catalog.release import Catalog
from service.api import sizing_answer as answer
from service.api.engine_room import EngineRoom

Context = grpc.aio.ServicerContext[Any, Any]


class SizingServicer(rpc.SizingServiceServicer):
    """SizingService over one release of the catalog."""

    def __init__(self, catalog: Catalog, engine: EngineRoom) -> None:
        self._catalog = catalog
        self._engine = engine

    async def ResolvePrecision(
        self, request: pb.ResolvePrecisionRequest, context: Context
    ) -> pb.ResolvePrecisionResponse:
        return await self._engine.ask(answer.precision, self._catalog, request)

    async def CheckDeployment(self, request: pb.CheckDeploymentRequest, context: Context) -> pb.CheckDeploymentResponse:
        return await self._engine.ask(answer.checked, self._catalog, request)

    async def SizeDeployment(self, request: pb.SizeDeploymentRequest, context: Context) -> pb.SizeDeploymentResponse:
        return await self._engine.ask(answer.sized, self._catalog, request)
