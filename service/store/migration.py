"""Bring a database to the schema that this release needs."""

import importlib.util
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def configuration(*, owner_url: str, service_url: str) -> Config:
    """Return how Alembic reaches the database as its owner, and whom it grants the service's rights."""
    config = Config()
    found = importlib.util.find_spec("migrations")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(name="migrations")
    config.set_main_option("script_location", str(Path(found.origin).parent))
    config.attributes["url"] = owner_url
    config.attributes["service_role"] = sa.make_url(service_url).username
    return config


def migrate(*, owner_url: str, service_url: str) -> None:
    """Run the migrations that the database lacks, as its owner; safe when several do so at once."""
    command.upgrade(configuration(owner_url=owner_url, service_url=service_url), "head")


def needed_revision() -> str:
    """Return the newest migration of this release."""
    head = ScriptDirectory.from_config(configuration(owner_url="", service_url="postgresql://")).get_current_head()
    return head or ""
