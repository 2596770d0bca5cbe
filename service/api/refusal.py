"""What a refused call hears: one table from refusals to status codes, and how a status is put together.

The message is the refusal's own, its name in UPPER_SNAKE the reason, its fields the metadata (AIP-193). An
exception that the table does not have is a bug: logged in full, answered without its text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from domain.catalog.refusal import UnknownAccelerator, UnknownModel
from domain.engine.answer import QuestionRefused
from domain.planning import plan
from service.api import page
from service.api.caller import CallerInvalid, NotAuthenticated
from service.api.validation import RequestInvalid
from service.store import refusal as store

DOMAIN = "tonnage"
RETRY_AFTER = timedelta(seconds=1)
LONGEST_TEXT_BYTES = 400
LARGEST_VIOLATIONS_BYTES = 3_000
"""Clients take about 8 KB of trailing metadata, in which details stand in Base64."""

log = structlog.get_logger()


class RequestUnreadable(Exception):
    """The bytes are not a message of the method's request type."""


class DeadlineExpired(Exception):
    """The deadline passed before the answer was there."""


STATUS: dict[type[Exception], StatusCode] = {
    RequestUnreadable: StatusCode.INVALID_ARGUMENT,
    RequestInvalid: StatusCode.INVALID_ARGUMENT,
    QuestionRefused: StatusCode.INVALID_ARGUMENT,
    page.PageTokenInvalid: StatusCode.INVALID_ARGUMENT,
    store.PageTokenInvalid: StatusCode.INVALID_ARGUMENT,
    UnknownAccelerator: StatusCode.NOT_FOUND,
    UnknownModel: StatusCode.NOT_FOUND,
    plan.PlanNotFound: StatusCode.NOT_FOUND,
    store.RevisionNotFound: StatusCode.NOT_FOUND,
    plan.PlanAlreadyExists: StatusCode.ALREADY_EXISTS,
    store.RequestIdReused: StatusCode.ALREADY_EXISTS,
    store.StaleRevision: StatusCode.ABORTED,
    plan.PlanNotActive: StatusCode.FAILED_PRECONDITION,
    plan.NothingToApprove: StatusCode.FAILED_PRECONDITION,
    plan.ApprovalOutdated: StatusCode.FAILED_PRECONDITION,
    plan.EffectiveTimeInPast: StatusCode.FAILED_PRECONDITION,
    plan.ApproverIsPlanner: StatusCode.PERMISSION_DENIED,
    NotAuthenticated: StatusCode.UNAUTHENTICATED,
    CallerInvalid: StatusCode.INVALID_ARGUMENT,
    store.PositionNotReached: StatusCode.UNAVAILABLE,
    store.StoreUnavailable: StatusCode.UNAVAILABLE,
    store.SchemaOutdated: StatusCode.UNAVAILABLE,
    DeadlineExpired: StatusCode.DEADLINE_EXCEEDED,
}


def reason(refused: type[Exception]) -> str:
    """Return the name of a refusal in UPPER_SNAKE."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", refused.__name__).upper()


def status_of(raised: Exception) -> Status:
    """Return the status that a call ends with when ``raised`` came out of it."""
    code = STATUS.get(type(raised))
    if code is None:
        return _bug(raised)
    details = [ErrorInfo(reason=reason(type(raised)), domain=DOMAIN, metadata=dict(_metadata(raised)))]
    message = str(raised) or type(raised).__doc__ or ""
    return _status(code, message, [*details, *_advice(raised, code)])


def _bug(raised: Exception) -> Status:
    incident = str(uuid4())
    log.error("call.failed", incident=incident, exc_info=raised)
    info = ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"incident": incident})
    return _status(StatusCode.INTERNAL, f"Something failed inside the service; its log has it as {incident}.", [info])


def _status(code: StatusCode, message: str, details: Iterable[Message]) -> Status:
    status = Status(code=code.value[0], message=_short(message))
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _advice(raised: Exception, code: StatusCode) -> Iterator[Message]:
    if violations := tuple(_violations(raised)):
        yield _bad_request(violations)
    if code is StatusCode.UNAVAILABLE:
        delay = Duration()
        delay.FromTimedelta(getattr(raised, "retry_after", RETRY_AFTER))
        yield RetryInfo(retry_delay=delay)


def _bad_request(violations: Sequence[tuple[str, str]]) -> BadRequest:
    """Return every violation, or as many as a client takes and how many more there are."""
    bad = BadRequest()
    for count, (field, description) in enumerate(violations):
        if bad.ByteSize() > LARGEST_VIOLATIONS_BYTES:
            bad.field_violations.add(description=f"and {len(violations) - count} more")
            break
        bad.field_violations.add(field=_short(field), description=_short(description))
    return bad


def _violations(raised: Exception) -> Iterator[tuple[str, str]]:
    match raised:
        case RequestInvalid():
            yield from raised.violations
        case QuestionRefused():
            for refused in raised.fields:
                yield refused.field, f"{refused.given} was given; {refused.allowed}"
        case _:
            pass


def _metadata(raised: Exception) -> Iterator[tuple[str, str]]:
    for name, value in vars(raised).items():
        match value:
            case str() | int():
                yield name, _short(str(value))
            case datetime():
                yield name, value.isoformat()
            case tuple() if all(isinstance(part, str) for part in value):
                yield name, _short(", ".join(value))


def _short(text: str) -> str:
    content = text.encode(errors="replace")
    if len(content) <= LONGEST_TEXT_BYTES:
        return text
    return f"{content[:LONGEST_TEXT_BYTES].decode(errors='ignore')}…"
