"""The commands `models` and `accelerators`."""

from typing import Annotated

import typer
from tonnage.v1 import catalog_pb2 as pb

from service.cli import option
from service.cli.door import Door, accelerators, models
from service.cli.names import model_named
from service.cli.output import print_json
from service.cli.request import named_accelerator
from service.cli.sizing_command import door_to

ModelName = Annotated[
    str | None,
    typer.Argument(help="Show one: id, part of one, or path to a config.json.", autocompletion=option.completed_model),
]
AcceleratorName = Annotated[
    str | None,
    typer.Argument(help="Show one, with every source.", autocompletion=option.completed_accelerator),
]


def list_models(model: ModelName = None, server: option.Server = None, *, json: option.Json = False) -> None:
    """List the models of the catalog, or show one with its layers, parameters and sources."""
    from service.cli.catalog_report import show_model, show_models  # noqa: PLC0415 - --json needs no tables

    door = door_to(server)
    if model is None:
        every = list(models(door))
        print_json(pb.ListModelsResponse(models=every)) if json else show_models(every)
        return
    shown = _model(door, model)
    print_json(shown) if json else show_model(shown)


def list_accelerators(
    accelerator: AcceleratorName = None, server: option.Server = None, *, json: option.Json = False
) -> None:
    """List the accelerators of the catalog, or show one with its nodes and the source of each number."""
    from service.cli.catalog_report import show_accelerator, show_accelerators  # noqa: PLC0415 - as above

    door = door_to(server)
    if accelerator is None:
        every = list(accelerators(door))
        print_json(pb.ListAcceleratorsResponse(accelerators=every)) if json else show_accelerators(every)
        return
    request = pb.GetAcceleratorRequest(accelerator=named_accelerator(door, accelerator))
    shown = door.ask(request, pb.GetAcceleratorResponse)
    print_json(shown) if json else show_accelerator(shown)


def _model(door: Door, given: str) -> pb.GetModelResponse:
    named = model_named(given, lambda: (model.id for model in models(door)))
    if named.config_json is None:
        return door.ask(pb.GetModelRequest(model=named.model), pb.GetModelResponse)
    request = pb.ImportModelRequest(model=named.model, config_json=named.config_json)
    return pb.GetModelResponse(model=door.ask(request, pb.ImportModelResponse).model)
