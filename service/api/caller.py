"""Who calls: the authenticated subject, and the workspace that the call is about."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc

SUBJECT_HEADER = "x-tonnage-subject"
WORKSPACE_HEADER = "x-tonnage-workspace"
DEFAULT_WORKSPACE = "default"
DEVELOPER = "developer"
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a call comes from."""

    subject: str
    workspace: str


class NotAuthenticated(Exception):
    """The call carries no accepted credential."""


CURRENT: ContextVar[Caller] = ContextVar("caller")
"""The caller of the call in progress; set before any servicer runs."""


def certified_caller(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """Return the subject of the client certificate that the connection was opened with."""
    for name in context.auth_context().get("x509_common_name", ()):
        if subject := name.decode(errors="replace").strip():
            return Caller(subject=subject, workspace=DEFAULT_WORKSPACE)
    raise NotAuthenticated


def declared_caller(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """Return who the caller says to be; for development on one machine only."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Caller(
        subject=_name(metadata, SUBJECT_HEADER) or DEVELOPER,
        workspace=_name(metadata, WORKSPACE_HEADER) or DEFAULT_WORKSPACE,
    )


def _name(metadata: dict[str, str], header: str) -> str:
    name = metadata.get(header, "").strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise NotAuthenticated
    return name
