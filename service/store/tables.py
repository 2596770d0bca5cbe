"""The tables, as the migrations build them; checks, triggers, policies and functions stand there alone."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

metadata = sa.MetaData(naming_convention={"pk": "%(table_name)s_pk"})

Moment = sa.DateTime(timezone=True)
PARTITION = re.compile(r"events_from_\d+")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _id(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, Moment, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


log_heads = sa.Table(
    "log_heads",
    metadata,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    _number("position"),
    _moment("recorded_at"),
    _number("partition_size"),
    _number("partitioned_to"),
)

streams = sa.Table(
    "streams",
    metadata,
    _text("workspace"),
    _text("kind"),
    _id("id"),
    _number("revision"),
    _bytes("hash"),
    _moment("effective_at"),
    _number("first_position"),
    _number("position"),
    sa.PrimaryKeyConstraint("workspace", "kind", "id"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("workspace"),
    _text("stream_kind"),
    _id("stream_id"),
    _number("revision"),
    _text("type"),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("data", pg.JSON, nullable=False),
    _id("actor_id"),
    _id("request_id"),
    _moment("recorded_at"),
    _moment("effective_at"),
    _bytes("previous_hash"),
    _bytes("hash"),
    sa.Index("events_stream_idx", "workspace", "stream_kind", "stream_id", "revision", "position", unique=True),
    sa.Index("events_recorded_at_idx", "recorded_at", postgresql_using="brin"),
    postgresql_partition_by="RANGE (position)",
)

requests = sa.Table(
    "requests",
    metadata,
    _text("workspace"),
    _id("actor_id"),
    _text("method"),
    _id("request_id"),
    _bytes("digest"),
    _text("stream_kind"),
    _id("stream_id"),
    _number("revision"),
    _number("position"),
    _moment("recorded_at"),
    sa.Column("changed", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("workspace", "actor_id", "method", "request_id"),
)

actors = sa.Table(
    "actors",
    metadata,
    _text("workspace"),
    _text("subject"),
    _id("actor_id"),
    sa.PrimaryKeyConstraint("workspace", "subject"),
    sa.UniqueConstraint("actor_id", name="actors_actor_id_key"),
)

plans = sa.Table(
    "plans",
    metadata,
    _text("workspace"),
    _id("plan_id"),
    _number("created_position"),
    _number("position"),
    _number("revision"),
    _text("name"),
    _text("status"),
    _text("model"),
    sa.Column("accelerators", pg.ARRAY(sa.Text), nullable=False),
    _text("verdict"),
    _text("sentence"),
    _text("catalog_release"),
    _text("catalog_digest"),
    sa.Column("approval_count", sa.Integer, nullable=False),
    _id("planner"),
    _moment("created_at"),
    _moment("updated_at"),
    sa.PrimaryKeyConstraint("workspace", "plan_id"),
    sa.Index("plans_created_idx", "workspace", "created_position", unique=True),
    sa.Index("plans_model_idx", "workspace", "model", "created_position"),
    sa.Index("plans_planner_idx", "workspace", "planner", "created_position"),
    sa.Index("plans_status_idx", "workspace", "status", "created_position"),
    sa.Index("plans_catalog_idx", "workspace", "catalog_digest", "created_position"),
)

plan_accelerators = sa.Table(
    "plan_accelerators",
    metadata,
    _text("workspace"),
    _text("accelerator"),
    _number("created_position"),
    _id("plan_id"),
    sa.PrimaryKeyConstraint("workspace", "accelerator", "created_position"),
    sa.Index("plan_accelerators_plan_idx", "workspace", "plan_id"),
)

event_summaries = sa.Table(
    "event_summaries",
    metadata,
    _text("workspace"),
    _number("position"),
    _text("type"),
    _id("actor_id"),
    sa.Column("model", sa.Text),
    sa.Column("catalog_digest", sa.Text),
    sa.PrimaryKeyConstraint("workspace", "position"),
    sa.Index("event_summaries_type_idx", "workspace", "type", "position"),
    sa.Index("event_summaries_actor_idx", "workspace", "actor_id", "position"),
    sa.Index(
        "event_summaries_model_idx",
        "workspace",
        "model",
        "position",
        postgresql_where=sa.text("model IS NOT NULL"),
    ),
    sa.Index(
        "event_summaries_catalog_idx",
        "workspace",
        "catalog_digest",
        "position",
        postgresql_where=sa.text("catalog_digest IS NOT NULL"),
    ),
)

event_accelerators = sa.Table(
    "event_accelerators",
    metadata,
    _text("workspace"),
    _text("accelerator"),
    _text("catalog_digest"),
    _number("position"),
    sa.PrimaryKeyConstraint("workspace", "accelerator", "catalog_digest", "position"),
    sa.Index("event_accelerators_position_idx", "workspace", "accelerator", "position"),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    _text("name"),
    sa.Column("parent_digest", sa.Text),
    _bytes("content"),
    sa.ForeignKeyConstraint(["parent_digest"], ["releases.digest"], name="releases_parent_digest_fk"),
)


def is_declared(name: str | None, kind: str, _parents: Mapping[Any, str | None]) -> bool:
    """Whether Alembic compares the object: partitions of the log come and go by themselves."""
    return not (kind == "table" and name is not None and PARTITION.fullmatch(name))
