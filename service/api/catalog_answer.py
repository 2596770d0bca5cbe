"""What CatalogService answers: requests in, responses out, over one release."""

from tonnage.v1 import catalog_pb2 as pb

from domain.catalog.release import Catalog
from domain.engine.question import known_model
from service.api import catalog_message as message
from service.api.page import filters_of, page


def list_accelerators(catalog: Catalog, request: pb.ListAcceleratorsRequest) -> pb.ListAcceleratorsResponse:
    """Return a page of accelerators."""
    shown = page(
        message.matching_accelerators(catalog, request),
        page_size=request.page_size,
        page_token=request.page_token,
        filters=filters_of(request),
    )
    return pb.ListAcceleratorsResponse(
        accelerators=[message.accelerator(card) for card in shown.items],
        next_page_token=shown.next_page_token,
        release=message.release(catalog),
    )


def get_accelerator(catalog: Catalog, request: pb.GetAcceleratorRequest) -> pb.GetAcceleratorResponse:
    """Return one accelerator, the nodes that carry it, and the facts behind both."""
    card = catalog.accelerator(request.accelerator)
    nodes = message.nodes_of(catalog, card.id)
    paths = (f"accelerators/{card.id}", *(f"nodes/{node.id}" for node in nodes))
    return pb.GetAcceleratorResponse(
        accelerator=message.accelerator(card),
        nodes=[message.node(node) for node in nodes],
        facts=message.facts(catalog, *paths),
        release=message.release(catalog),
    )


def list_models(catalog: Catalog, request: pb.ListModelsRequest) -> pb.ListModelsResponse:
    """Return a page of models."""
    shown = page(
        message.matching_models(catalog, request),
        page_size=request.page_size,
        page_token=request.page_token,
        filters=filters_of(request),
    )
    return pb.ListModelsResponse(
        models=[message.model_summary(model) for model in shown.items],
        next_page_token=shown.next_page_token,
        release=message.release(catalog),
    )


def get_model(catalog: Catalog, request: pb.GetModelRequest) -> pb.GetModelResponse:
    """Return one model and the facts behind it."""
    model = catalog.model(request.model)
    return pb.GetModelResponse(
        model=message.model(model),
        facts=message.facts(catalog, *message.model_paths(catalog, model.id)),
        release=message.release(catalog),
    )


def import_model(catalog: Catalog, request: pb.ImportModelRequest) -> pb.ImportModelResponse:
    """Return the model that a config.json describes."""
    return pb.ImportModelResponse(model=message.model(known_model(catalog, request.model, request.config_json)))
