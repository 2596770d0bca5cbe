"""Who calls: the authenticated subject, and the workspace that the call is about."""

from __future__ import annotations

import re
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

WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED_WORKSPACE = "system"
"""Holds what is true for everybody; nobody calls from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a call comes from."""

    subject: str
    workspace: str


class NotAuthenticated(Exception):
    """The call carries no accepted credential."""


class CallerInvalid(Exception):
    """A header or a certificate names a caller or a workspace as none can be named."""

    def __init__(self, *, name: str, allowed: str) -> None:
        self.name = name
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.name}: {self.allowed}."


CURRENT: ContextVar[Caller] = ContextVar("caller")
"""The caller of the call in progress; set before any servicer runs."""


def certified_caller(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """Return the subject of the client certificate that the connection was opened with."""
    for name in context.auth_context().get("x509_common_name", ()):
        if subject := name.decode(errors="replace").strip():
            return Caller(subject=_subject(subject, "common name"), workspace=DEFAULT_WORKSPACE)
    raise NotAuthenticated


def declared_caller(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """Return who the caller says to be; for development on one machine only."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Caller(
        subject=_subject(metadata.get(SUBJECT_HEADER, "").strip() or DEVELOPER, SUBJECT_HEADER),
        workspace=_workspace(metadata.get(WORKSPACE_HEADER, "").strip() or DEFAULT_WORKSPACE),
    )


def _subject(subject: str, name: str) -> str:
    if len(subject) > LONGEST_NAME or not subject.isprintable():
        raise CallerInvalid(name=name, allowed=f"at most {LONGEST_NAME} characters, all of them printable")
    return subject


def _workspace(workspace: str) -> str:
    if not WORKSPACE.fullmatch(workspace) or workspace.lower() == RESERVED_WORKSPACE:
        raise CallerInvalid(
            name=WORKSPACE_HEADER,
            allowed="at most 100 letters, digits, '.', '_' and '-', a letter or digit first, and not 'system'",
        )
    return workspace
