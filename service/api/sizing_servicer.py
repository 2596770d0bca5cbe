"""SizingService: questions to the engine that leave no trace."""

from dataclasses import dataclass
from typing import Any

import grpc
from tonnage.v1 import deployment_pb2 as part
from tonnage.v1 import sizing_pb2 as pb
from tonnage.v1 import sizing_pb2_grpc as rpc

from domain.catalog.release import Catalog
from domain.engine.answer import CheckRequest, Policy, PrecisionAnswer, SizeRequest, check, resolve_precision, size
from service.api.conversion import message_of, value_of
from service.api.engine_room import EngineRoom
from service.api.plan_message import basis

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionQuestion:
    """What `resolve_precision` is asked."""

    model: str
    accelerator: str
    policy: Policy = "allow_8bit"
    config_json: str | None = None


class SizingServicer(rpc.SizingServiceServicer):
    """SizingService over one release of the catalog."""

    def __init__(self, catalog: Catalog, engine: EngineRoom) -> None:
        self._catalog = catalog
        self._engine = engine

    async def ResolvePrecision(
        self, request: pb.ResolvePrecisionRequest, context: Context
    ) -> pb.ResolvePrecisionResponse:
        question = value_of(request, PrecisionQuestion)
        answer = await self._engine.ask(_resolve, self._catalog, question)
        return pb.ResolvePrecisionResponse(answer=message_of(answer, part.PrecisionAnswer), basis=basis(self._catalog))

    async def CheckDeployment(self, request: pb.CheckDeploymentRequest, context: Context) -> pb.CheckDeploymentResponse:
        question = value_of(request, CheckRequest)
        answer = await self._engine.ask(check, self._catalog, question)
        return pb.CheckDeploymentResponse(answer=message_of(answer, part.CheckAnswer), basis=basis(self._catalog))

    async def SizeDeployment(self, request: pb.SizeDeploymentRequest, context: Context) -> pb.SizeDeploymentResponse:
        question = value_of(request, SizeRequest)
        answer = await self._engine.ask(size, self._catalog, question)
        return pb.SizeDeploymentResponse(answer=message_of(answer, part.SizeAnswer), basis=basis(self._catalog))


def _resolve(catalog: Catalog, question: PrecisionQuestion) -> PrecisionAnswer:
    return resolve_precision(catalog, question.model, question.accelerator, question.policy, question.config_json)
