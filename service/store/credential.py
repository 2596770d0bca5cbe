"""The roles of an embedded Postgres and their passwords, which nobody chose and nobody has to know."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

ADMIN, OWNER, SERVICE, DATABASE = "tonnage_admin", "tonnage_owner", "tonnage_service", "tonnage"
PORT = 5432
"""Only a part of the socket's name: nothing listens on the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One random password for each role."""

    admin: str
    owner: str
    service: str

    @classmethod
    def kept_in(cls, path: Path) -> "Credentials":
        """Read the passwords from ``path``; draw and keep them there at first."""
        if not path.exists():
            drawn = cls(**{role: secrets.token_urlsafe(24) for role in ("admin", "owner", "service")})
            growing = path.with_suffix(".new")
            descriptor = os.open(growing, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(drawn), file)
                file.flush()
                os.fsync(file.fileno())
            growing.rename(path)
        return cls(**json.loads(path.read_text()))


def socket_url(role: str, password: str, socket_folder: Path, database: str = DATABASE) -> str:
    """Return the URL under which ``role`` reaches ``database`` through the socket in ``socket_folder``."""
    return f"postgresql://{role}:{password}@/{database}?host={quote(str(socket_folder), safe='/')}&port={PORT}"
