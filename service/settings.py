"""What can be set from outside: one frozen `Settings`, built once from the environment."""

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

Value = TypeVar("Value")

DEFAULT_LISTEN = "127.0.0.1:7433"
LONGEST_PORT = 65535


class SettingsRefused(Exception):
    """The environment holds values that cannot be; every one is named."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class AddressTaken(Exception):
    """The address cannot be listened on."""


class CredentialsMissing(Exception):
    """Set TONNAGE_TLS_CERTIFICATE, _KEY and _CLIENT_CA; or, on a loopback address, TONNAGE_DEVELOPMENT=1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of the server's certificate, its key, and the authority that client certificates come from."""

    certificate: Path
    key: Path
    client_authority: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that differs between one installation and another."""

    listen: str
    """``host:port`` of the gRPC door; port 0 takes a free one."""
    database_url: str | None
    """Postgres as the service's role; None starts the embedded one."""
    migration_url: str | None
    """Postgres as the owner's role, which migrations run under; None where somebody else runs them."""
    state_folder: Path
    """Where the embedded Postgres keeps its data."""
    development: bool
    """Callers on this machine need no credentials and name themselves in metadata."""
    tls: Tls | None
    four_eyes: bool
    """Whether the approver of a plan and its planner must differ."""
    concurrent_call_limit: int
    worker_count: int
    """Threads that the engine works in."""
    connection_count: int
    """Connections to the database."""
    message_limit_bytes: int
    drain_s: float
    """How long calls in progress may take to finish after the door has closed."""
    log_format: str
    """``json``, ``console`` or ``auto`` (console on a terminal)."""

    @property
    def host(self) -> str:
        """The host part of ``listen``."""
        return host_and_port(self.listen)[0]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the variables ``TONNAGE_...``; raise `SettingsRefused` naming every bad one."""
        reader = _Reader(environment)
        settings = cls(
            listen=reader.read("LISTEN", _address, DEFAULT_LISTEN),
            database_url=reader.read("DATABASE_URL", _postgres_url, None),
            migration_url=reader.read("MIGRATION_URL", _postgres_url, None),
            state_folder=reader.read("STATE_DIR", Path, Path(".state")),
            development=reader.read("DEVELOPMENT", _switch, default=False),
            tls=reader.tls(),
            four_eyes=reader.read("FOUR_EYES", _switch, default=True),
            concurrent_call_limit=reader.read("CONCURRENT_CALL_LIMIT", _count, 256),
            worker_count=reader.read("WORKER_COUNT", _count, max(2, os.cpu_count() or 2)),
            connection_count=reader.read("CONNECTION_COUNT", _count, 10),
            message_limit_bytes=reader.read("MESSAGE_LIMIT_BYTES", _count, 4 * 1024 * 1024),
            drain_s=reader.read("DRAIN_S", _duration, 20.0),
            log_format=reader.read("LOG_FORMAT", _log_format, "auto"),
        )
        reader.problems.extend(_contradictions(settings))
        if reader.problems:
            raise SettingsRefused(tuple(reader.problems))
        return settings


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.problems: list[str] = []

    def read(self, name: str, parse: Callable[[str], Value], default: Value | None) -> Value:
        text = self.environment.get(f"TONNAGE_{name}", "").strip()
        if text:
            try:
                return parse(text)
            except ValueError as problem:
                shown = "" if name.endswith("_URL") else f"={text!r}"  # A URL may hold a password.
                self.problems.append(f"TONNAGE_{name}{shown}: {problem}")
        return default  # type: ignore[return-value] # None only where Value is optional

    def tls(self) -> Tls | None:
        names = ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA")
        certificate, key, client_authority = (self.read(name, _file, None) for name in names)
        if certificate and key and client_authority:
            return Tls(certificate=certificate, key=key, client_authority=client_authority)
        given = any(self.environment.get(f"TONNAGE_{name}") for name in names)
        if given and not self.problems:
            self.problems.append(f"{', '.join(f'TONNAGE_{name}' for name in names)} belong together: set all three.")
        return None


def host_and_port(address: str) -> tuple[str, int]:
    """Divide ``host:port``; an IPv6 host stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _contradictions(settings: Settings) -> tuple[str, ...]:
    problems = []
    if settings.development and not is_loopback(settings.host):
        problems.append("TONNAGE_DEVELOPMENT opens the door without credentials: only on a loopback TONNAGE_LISTEN.")
    if settings.migration_url and not settings.database_url:
        problems.append("TONNAGE_MIGRATION_URL is set without TONNAGE_DATABASE_URL: set that too, or neither.")
    return tuple(problems)


def _address(text: str) -> str:
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > LONGEST_PORT:
        raise ValueError("write host:port, such as 127.0.0.1:7433 or [::1]:7433")
    return text


def _postgres_url(text: str) -> str | None:
    if urlsplit(text).scheme not in ("postgresql", "postgres"):
        raise ValueError("write postgresql://user:password@host/database")
    return text


def _file(text: str) -> Path | None:
    if not Path(text).is_file():
        raise ValueError("there is no such file")
    return Path(text)


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("write 1 or 0")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise ValueError("write a whole number above 0")
    return int(text)


def _duration(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - an hour
        raise ValueError("write seconds from 0 to 3600")
    return seconds


def _log_format(text: str) -> str:
    if text not in ("auto", "json", "console"):
        raise ValueError("write auto, json or console")
    return text
