"""The interceptor that streaming calls pass (health, reflection): bytes that are no message end them with a reason."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

import grpc

from service.api.admission import end, read_message
from service.api.refusal import status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from google.protobuf.message import Message

    Context = grpc.aio.ServicerContext[Any, Any]


class StreamAdmission(grpc.aio.ServerInterceptor):
    """Reads the requests of streaming methods; left alone, gRPC answers INTERNAL to what it cannot read."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Put the reading in front of every method that answers in a stream."""
        handler: grpc.RpcMethodHandler[Any, Any] | None = await continuation(handler_call_details)
        if handler is None or not handler.response_streaming:
            return handler
        read = cast("Callable[[bytes], Message]", handler.request_deserializer)
        method: Callable[..., Any] | None = handler.stream_stream or handler.unary_stream

        async def admitted(content: Any, context: Context) -> None:  # noqa: ANN401 - bytes, or a stream of them
            try:
                request = _messages(read, content) if handler.request_streaming else read_message(read, content)
                await _pass_on(cast("Any", method)(request, context), context)
            except grpc.aio.AbortError:
                raise
            except Exception as raised:  # noqa: BLE001 - its text must not reach the caller by itself
                refused = raised
            else:
                return
            await end(status_of(refused), context)

        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(cast("Any", admitted), request_deserializer=None, response_serializer=handler.response_serializer)


async def _messages(read: Callable[[bytes], Message], contents: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for content in contents:
        yield read_message(read, content)


async def _pass_on(responses: Any, context: Context) -> None:  # noqa: ANN401 - servicers write or yield
    if not inspect.isasyncgen(responses):
        await responses
        return
    async for response in responses:
        await context.write(response)
