"""How Alembic runs here: as the owner, one deployer at a time, and never waiting long for a lock."""

import os

import sqlalchemy as sa
from alembic import context

from service.store.tables import is_declared, metadata

ONE_DEPLOYER = 7_310_042
"""Key of the advisory lock: two services that start together migrate one after the other."""


def _url() -> sa.URL:
    given = context.config.attributes.get("url") or os.environ.get("TONNAGE_MIGRATION_URL")
    if not given:
        raise SystemExit("Set TONNAGE_MIGRATION_URL to the database, as the role that owns it.")
    return sa.make_url(given).set(drivername="postgresql+psycopg")


def _service_role() -> str:
    """Return the role that is granted what the service needs, and nothing else."""
    given = context.config.attributes.get("service_role")
    if given is None and "TONNAGE_DATABASE_URL" in os.environ:
        given = sa.make_url(os.environ["TONNAGE_DATABASE_URL"]).username
    if not given:
        raise SystemExit("Set TONNAGE_DATABASE_URL to the database, as the role that the service runs under.")
    if given == _url().username:
        raise SystemExit("TONNAGE_DATABASE_URL and TONNAGE_MIGRATION_URL must name different roles.")
    return str(given)


def _run() -> None:
    engine = sa.create_engine(_url(), poolclass=sa.NullPool, hide_parameters=True)
    with engine.connect() as connection:
        connection.execute(sa.text("SET lock_timeout = '5s'"))
        connection.execute(sa.text("SET statement_timeout = '10min'"))
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": ONE_DEPLOYER})
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transaction_per_migration=True,
            compare_server_default=True,
            include_name=is_declared,
            service_role=_service_role(),
        )
        with context.begin_transaction():
            context.run_migrations()


_run()
