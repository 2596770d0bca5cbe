"""CatalogService: what exists, read from the release that the service runs on."""

from typing import Any

import grpc
from tonnage.v1 import catalog_pb2 as pb
from tonnage.v1 import catalog_pb2_grpc as rpc

from domain.catalog.release import Catalog
from service.api import catalog_answer as answer

Context = grpc.aio.ServicerContext[Any, Any]


class CatalogServicer(rpc.CatalogServiceServicer):
    """CatalogService over one release."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def ListAccelerators(
        self, request: pb.ListAcceleratorsRequest, context: Context
    ) -> pb.ListAcceleratorsResponse:
        return answer.list_accelerators(self._catalog, request)

    async def GetAccelerator(self, request: pb.GetAcceleratorRequest, context: Context) -> pb.GetAcceleratorResponse:
        return answer.get_accelerator(self._catalog, request)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        return answer.list_models(self._catalog, request)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        return answer.get_model(self._catalog, request)

    async def ImportModel(self, request: pb.ImportModelRequest, context: Context) -> pb.ImportModelResponse:
        return answer.import_model(self._catalog, request)
