"""The interceptor that every call passes: read, identify, validate, keep the deadline, say why not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NoReturn, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from service.api.caller import CURRENT, Caller
from service.api.refusal import DeadlineExpired, RequestUnreadable, status_of
from service.api.validation import refuse_invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.rpc.status_pb2 import Status

    Context = grpc.aio.ServicerContext[Any, Any]
    Method = Callable[[Message, Context], Awaitable[Message]]

OWN_PACKAGE = "/tonnage."
LONGEST_CALL_S = 60.0
"""For callers who set no deadline."""

log = structlog.get_logger()


class Admission(grpc.aio.ServerInterceptor):
    """Lets a call through to its servicer, or ends it with a status that says why not."""

    def __init__(self, identify: Callable[[Context], Caller]) -> None:
        self._identify = identify

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Put the checks in front of every method with one request and one response."""
        handler: grpc.RpcMethodHandler[Any, Any] | None = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        name = handler_call_details.method
        read = cast("Callable[[bytes], Message]", handler.request_deserializer)
        method = cast("Method", handler.unary_unary)

        async def admitted(content: bytes, context: Context) -> Message:
            return await self._call(name, read, method, content, context)

        return grpc.unary_unary_rpc_method_handler(
            admitted,
            request_deserializer=None,
            response_serializer=handler.response_serializer,
        )

    async def _call(
        self, name: str, read: Callable[[bytes], Message], method: Method, content: bytes, context: Context
    ) -> Message:
        began = time.monotonic()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(method=name)
        try:
            response = await self._answer(name, read, method, content, context)
        except grpc.aio.AbortError:
            raise
        except Exception as raised:  # noqa: BLE001 - whatever it is, its text must not reach the caller by itself
            refused = raised
        else:
            log.info("call.answered", after_s=round(time.monotonic() - began, 4))
            return response
        status = status_of(refused)
        log.info("call.refused", code=status.code, reason=status.message, after_s=round(time.monotonic() - began, 4))
        return await end(status, context)

    async def _answer(
        self, name: str, read: Callable[[bytes], Message], method: Method, content: bytes, context: Context
    ) -> Message:
        request = read_message(read, content)
        if name.startswith(OWN_PACKAGE):
            caller = self._identify(context)
            CURRENT.set(caller)
            structlog.contextvars.bind_contextvars(subject=caller.subject, workspace=caller.workspace)
            refuse_invalid(request)
            if plan_id := getattr(request, "plan_id", ""):
                structlog.contextvars.bind_contextvars(plan_id=plan_id)
        return await _within_deadline(method(request, context), context)


async def end(status: Status, context: Context) -> NoReturn:
    """End the call with the status and everything that it says."""
    ended = rpc_status.to_status(status)
    await context.abort(ended.code, ended.details or "", ended.trailing_metadata or ())
    raise AssertionError(status)  # abort has raised


def read_message(read: Callable[[bytes], Message], content: bytes) -> Message:
    """Return the request that the bytes are; raise `RequestUnreadable` where they are none."""
    try:
        return read(content)
    except DecodeError:
        raise RequestUnreadable from None


async def _within_deadline(answer: Awaitable[Message], context: Context) -> Message:
    remaining_s = cast("float | None", context.time_remaining())
    deadline = asyncio.timeout(LONGEST_CALL_S if remaining_s is None else remaining_s)
    try:
        async with deadline:
            return await answer
    except TimeoutError:
        if deadline.expired():
            raise DeadlineExpired from None
        raise
