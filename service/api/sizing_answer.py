"""What SizingService answers: requests in, responses out, over one release."""

from dataclasses import dataclass

from tonnage.v1 import deployment_pb2 as part
from tonnage.v1 import sizing_pb2 as pb

from domain.catalog.release import Catalog
from domain.engine.answer import (
    ENGINE_VERSION,
    CheckRequest,
    Policy,
    SizeRequest,
    check,
    resolve_precision,
    size,
)
from service.api.conversion import message_of, value_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionQuestion:
    """What `resolve_precision` is asked."""

    model: str
    accelerator: str
    policy: Policy = "allow_8bit"
    config_json: str | None = None


def precision(catalog: Catalog, request: pb.ResolvePrecisionRequest) -> pb.ResolvePrecisionResponse:
    """Return every way to run the model on the accelerator."""
    asked = value_of(request, PrecisionQuestion)
    answer = resolve_precision(catalog, asked.model, asked.accelerator, asked.policy, asked.config_json)
    return pb.ResolvePrecisionResponse(answer=message_of(answer, part.PrecisionAnswer), basis=basis(catalog))


def checked(catalog: Catalog, request: pb.CheckDeploymentRequest) -> pb.CheckDeploymentResponse:
    """Return whether fixed hardware holds the model."""
    answer = check(catalog, value_of(request, CheckRequest))
    return pb.CheckDeploymentResponse(answer=message_of(answer, part.CheckAnswer), basis=basis(catalog))


def sized(catalog: Catalog, request: pb.SizeDeploymentRequest) -> pb.SizeDeploymentResponse:
    """Return the smallest deployments that hold the model."""
    answer = size(catalog, value_of(request, SizeRequest))
    return pb.SizeDeploymentResponse(answer=message_of(answer, part.SizeAnswer), basis=basis(catalog))


def basis(catalog: Catalog) -> part.Basis:
    """Return what an answer given now rests on."""
    return part.Basis(catalog_release=catalog.release, catalog_digest=catalog.digest, engine_version=ENGINE_VERSION)
