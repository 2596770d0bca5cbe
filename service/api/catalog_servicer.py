"""CatalogService: what exists, read from the release that the service runs on."""

from typing import Any

import grpc
from tonnage.v1 import catalog_pb2 as pb
from tonnage.v1 import catalog_pb2_grpc as rpc

from domain.catalog.release import Catalog
from domain.engine.question import known_model
from service.api import catalog_message as message
from service.api.page import filters_of, page

Context = grpc.aio.ServicerContext[Any, Any]


class CatalogServicer(rpc.CatalogServiceServicer):
    """CatalogService over one release."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def ListAccelerators(
        self, request: pb.ListAcceleratorsRequest, context: Context
    ) -> pb.ListAcceleratorsResponse:
        shown = page(
            message.matching_accelerators(self._catalog, request),
            page_size=request.page_size,
            page_token=request.page_token,
            filters=filters_of(request),
        )
        return pb.ListAcceleratorsResponse(
            accelerators=[message.accelerator(card) for card in shown.items],
            next_page_token=shown.next_page_token,
            release=message.release(self._catalog),
        )

    async def GetAccelerator(self, request: pb.GetAcceleratorRequest, context: Context) -> pb.GetAcceleratorResponse:
        card = self._catalog.accelerator(request.accelerator)
        nodes = message.nodes_of(self._catalog, card.id)
        paths = (f"accelerators/{card.id}", *(f"nodes/{node.id}" for node in nodes))
        return pb.GetAcceleratorResponse(
            accelerator=message.accelerator(card),
            nodes=[message.node(node) for node in nodes],
            facts=message.facts(self._catalog, *paths),
            release=message.release(self._catalog),
        )

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        shown = page(
            message.matching_models(self._catalog, request),
            page_size=request.page_size,
            page_token=request.page_token,
            filters=filters_of(request),
        )
        return pb.ListModelsResponse(
            models=[message.model_summary(model) for model in shown.items],
            next_page_token=shown.next_page_token,
            release=message.release(self._catalog),
        )

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        model = self._catalog.model(request.model)
        return pb.GetModelResponse(
            model=message.model(model),
            facts=message.facts(self._catalog, *message.model_paths(self._catalog, model.id)),
            release=message.release(self._catalog),
        )

    async def ImportModel(self, request: pb.ImportModelRequest, context: Context) -> pb.ImportModelResponse:
        model = known_model(self._catalog, request.model, request.config_json)
        return pb.ImportModelResponse(model=message.model(model))
