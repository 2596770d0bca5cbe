"""Read models: plans as they stand, events by what they are about, and who the actors are.

Safe beside the previous release: it adds tables that nothing used before.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# All indexes end in a position: lists go newest first, a page begins where the last one ended, and a time is a
# position too, because recorded time never runs backwards.
TABLES = """
CREATE TABLE actors (
    workspace text NOT NULL,
    subject text NOT NULL,
    actor_id uuid NOT NULL,
    CONSTRAINT actors_pk PRIMARY KEY (workspace, subject),
    CONSTRAINT actors_actor_id_key UNIQUE (actor_id)
);

CREATE TABLE plans (
    workspace text NOT NULL,
    plan_id uuid NOT NULL,
    created_position bigint NOT NULL,
    position bigint NOT NULL,
    revision bigint NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    model text NOT NULL,
    accelerators text[] NOT NULL,
    verdict text NOT NULL,
    sentence text NOT NULL,
    catalog_release text NOT NULL,
    catalog_digest text NOT NULL,
    approval_count integer NOT NULL,
    planner uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT plans_pk PRIMARY KEY (workspace, plan_id),
    CONSTRAINT plans_status_known_check CHECK (status IN ('active', 'retired'))
);
CREATE UNIQUE INDEX plans_created_idx ON plans (workspace, created_position);
CREATE INDEX plans_model_idx ON plans (workspace, model, created_position);
CREATE INDEX plans_planner_idx ON plans (workspace, planner, created_position);

CREATE TABLE plan_accelerators (
    workspace text NOT NULL,
    accelerator text NOT NULL,
    created_position bigint NOT NULL,
    plan_id uuid NOT NULL,
    CONSTRAINT plan_accelerators_pk PRIMARY KEY (workspace, accelerator, created_position)
);
CREATE INDEX plan_accelerators_plan_idx ON plan_accelerators (workspace, plan_id);

CREATE TABLE event_summaries (
    workspace text NOT NULL,
    position bigint NOT NULL,
    type text NOT NULL,
    actor_id uuid NOT NULL,
    model text,
    catalog_digest text,
    CONSTRAINT event_summaries_pk PRIMARY KEY (workspace, position)
);
CREATE INDEX event_summaries_type_idx ON event_summaries (workspace, type, position);
CREATE INDEX event_summaries_actor_idx ON event_summaries (workspace, actor_id, position);
CREATE INDEX event_summaries_model_idx ON event_summaries (workspace, model, position)
    WHERE model IS NOT NULL;
CREATE INDEX event_summaries_catalog_idx ON event_summaries (workspace, catalog_digest, position)
    WHERE catalog_digest IS NOT NULL;

CREATE TABLE event_accelerators (
    workspace text NOT NULL,
    accelerator text NOT NULL,
    catalog_digest text NOT NULL,
    position bigint NOT NULL,
    CONSTRAINT event_accelerators_pk PRIMARY KEY (workspace, accelerator, catalog_digest, position)
);
CREATE INDEX event_accelerators_position_idx ON event_accelerators (workspace, accelerator, position);
"""

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON {table}
    USING (workspace = current_setting('tonnage.workspace', true))
    WITH CHECK (workspace = current_setting('tonnage.workspace', true));
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {service};
"""


def upgrade() -> None:
    """Add the read models, which the service itself writes, beside each append."""
    service = op.get_context().dialect.identifier_preparer.quote(op.get_context().opts["service_role"])
    op.execute(TABLES)
    for table in ("actors", "plans", "plan_accelerators", "event_summaries", "event_accelerators"):
        op.execute(SECURITY.format(table=table, service=service))


def downgrade() -> None:
    """Drop what can be built again from the events; who the actors are is lost."""
    op.execute("DROP TABLE actors, plans, plan_accelerators, event_summaries, event_accelerators")
