"""Where questions go: to the engine in this process, or to a server."""

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from google.protobuf.message import Message
from tonnage.v1 import catalog_pb2 as catalog
from tonnage.v1 import sizing_pb2 as sizing

if TYPE_CHECKING:
    from domain.catalog.release import Catalog

Response = TypeVar("Response", bound=Message)

PAGE_SIZE = 1000
LONGEST_CALL_S = 30.0
CERTIFICATE: ContextVar[tuple[Path, Path, Path] | None] = ContextVar("certificate", default=None)
"""Files of the server's authority, the caller's certificate and its key; None where the server asks for none."""

CHANNEL = (("grpc.max_receive_message_length", 64 * 1024 * 1024),)


class NeedsServer(Exception):
    """Plans are kept by a server: start one with `make run` or `tonnage serve`, and name it with --server."""


class ServerRefused(Exception):
    """The server did not do what was asked."""

    def __init__(self, message: str, *, is_bad_input: bool) -> None:
        self.is_bad_input = is_bad_input
        super().__init__(message)


class Door(Protocol):
    """Takes a request of the contract and returns its response."""

    def ask(self, request: Message, kind: type[Response]) -> Response:
        """Return what is answered."""


class InProcess:
    """The engine, run here on the built-in release; the contract's rules hold all the same."""

    @cached_property
    def _catalog(self) -> "Catalog":
        from service.release_files import built_in  # noqa: PLC0415 - takes a moment that --help does not have

        return built_in()

    def ask(self, request: Message, kind: type[Response]) -> Response:
        """Return what the engine or the catalog answers; raise `NeedsServer` for what has to be kept."""
        from service.api.validation import refuse_invalid  # noqa: PLC0415 - as above

        answer = _answers().get(type(request))
        if answer is None:
            raise NeedsServer(NeedsServer.__doc__)
        refuse_invalid(request)
        response = answer(self._catalog, request)
        if not isinstance(response, kind):
            raise TypeError(kind)
        return response


def _answers() -> dict[type[Message], Callable[[Any, Any], Message]]:
    from service.api import catalog_answer, sizing_answer  # noqa: PLC0415 - as above

    return {
        catalog.ListAcceleratorsRequest: catalog_answer.list_accelerators,
        catalog.GetAcceleratorRequest: catalog_answer.get_accelerator,
        catalog.ListModelsRequest: catalog_answer.list_models,
        catalog.GetModelRequest: catalog_answer.get_model,
        catalog.ImportModelRequest: catalog_answer.import_model,
        sizing.ResolvePrecisionRequest: sizing_answer.precision,
        sizing.CheckDeploymentRequest: sizing_answer.checked,
        sizing.SizeDeploymentRequest: sizing_answer.sized,
    }


class Remote:
    """A server, reached over gRPC."""

    def __init__(self, address: str, *, metadata: Sequence[tuple[str, str]] = ()) -> None:
        """Connect to ``address``, with the caller's certificate where one was given."""
        import grpc  # noqa: PLC0415 - only commands that talk to a server load it

        self._metadata = tuple(metadata)
        self.address = address
        if files := CERTIFICATE.get():
            authority, certificate, key = (path.read_bytes() for path in files)
            credentials = grpc.ssl_channel_credentials(authority, key, certificate)
            self._channel = grpc.secure_channel(address, credentials, options=CHANNEL)
        else:
            self._channel = grpc.insecure_channel(address, options=CHANNEL)

    def ask(self, request: Message, kind: type[Response]) -> Response:
        """Return what the server answers."""
        call = self._channel.unary_unary(
            _path(request), request_serializer=type(request).SerializeToString, response_deserializer=kind.FromString
        )
        import grpc  # noqa: PLC0415 - as above

        try:
            response: Response = call(request, timeout=LONGEST_CALL_S, metadata=self._metadata)
        except grpc.RpcError as failure:
            raise _refusal(failure, self.address) from failure
        return response


def _refusal(failure: Any, address: str) -> ServerRefused:  # noqa: ANN401 - a grpc.Call that was raised
    """Return what the server said, with every field that it names."""
    from google.rpc.error_details_pb2 import BadRequest  # noqa: PLC0415 - only where something went wrong
    from grpc import StatusCode  # noqa: PLC0415 - as above
    from grpc_status import rpc_status  # noqa: PLC0415 - as above

    lines = [failure.details() or failure.code().name]
    if failure.code() is StatusCode.UNAVAILABLE and (status := rpc_status.from_call(failure)) is None:
        lines = [f"No server answers at {address}.", "Start one with `make run` or `tonnage serve`."]
    else:
        status = rpc_status.from_call(failure)
    named = BadRequest()
    for detail in status.details if status else ():
        if detail.Unpack(named):
            lines = [f"{found.field}: {found.description}" for found in named.field_violations]
    is_bad_input = failure.code() in (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.ALREADY_EXISTS)
    return ServerRefused("\n".join(lines), is_bad_input=is_bad_input)


def _path(request: Message) -> str:
    """Return the path of the rpc that takes the request."""
    for service in request.DESCRIPTOR.file.services_by_name.values():
        for method in service.methods:
            if method.input_type.full_name == request.DESCRIPTOR.full_name:
                return f"/{service.full_name}/{method.name}"
    raise TypeError(type(request))


def accelerators(door: Door) -> Iterator[catalog.Accelerator]:
    """Return every accelerator that the door knows."""
    request = catalog.ListAcceleratorsRequest(page_size=PAGE_SIZE)
    while True:
        page = door.ask(request, catalog.ListAcceleratorsResponse)
        yield from page.accelerators
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def models(door: Door) -> Iterator[catalog.ModelSummary]:
    """Return every model that the door knows."""
    request = catalog.ListModelsRequest(page_size=PAGE_SIZE)
    while True:
        page = door.ask(request, catalog.ListModelsResponse)
        yield from page.models
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
