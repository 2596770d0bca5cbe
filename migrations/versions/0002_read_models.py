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
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX plans_created_idx ON plans (workspace, created_position);
CREATE INDEX plans_model_idx ON plans (workspace, model, created_position);
CREATE INDEX plans_planner_idx ON plans (workspace, planner, created_position);
CREATE INDEX plans_status_idx ON plans (workspace, status, created_position);
CREATE INDEX plans_catalog_idx ON plans (workspace, catalog_digest, created_position);

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

# The log and the read models in one round trip and one transaction. It runs with the rights of the service: appending
# is left to the log's own function, and what it says about every command decides which rows are kept. Rows name the
# command they belong to; positions and times are known only now. Every statement sees what was committed before the
# log's lock was taken, because the first one took it.
APPEND = """
CREATE FUNCTION append_with_views(
    ours text, actor_ids uuid[], methods text[], request_ids uuid[], digests bytea[],
    stream_kinds text[], stream_ids uuid[], expected_revisions bigint[], effective_ats timestamptz[],
    event_counts integer[],
    types text[], schema_versions integer[], datas text[],
    plan_rows json, summary_rows json, accelerator_rows json, newcomers text[]
) RETURNS SETOF append_outcome LANGUAGE plpgsql SECURITY INVOKER SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    outcomes append_outcome[];
    changed record;
BEGIN
    IF EXISTS (SELECT FROM unnest(newcomers) AS n(subject) WHERE n.subject IS NOT NULL) THEN
        PERFORM set_config('tonnage.workspace', ours, true);
        PERFORM pg_advisory_xact_lock(7310041);
        -- Somebody else let the subject in meanwhile, or it was forgotten, and its id must not be given out again.
        IF EXISTS (
            SELECT FROM unnest(newcomers, actor_ids) AS n(subject, id)
            LEFT JOIN actors a ON a.workspace = ours AND a.subject = n.subject
            WHERE n.subject IS NOT NULL AND (
                a.actor_id <> n.id
                OR a.actor_id IS NULL
                    AND EXISTS (SELECT FROM requests r WHERE r.workspace = ours AND r.actor_id = n.id)))
        THEN
            RAISE EXCEPTION 'a subject stands under another id' USING ERRCODE = 'TN001';
        END IF;
    END IF;
    outcomes := ARRAY(
        SELECT a FROM append_events(
            ours, actor_ids, methods, request_ids, digests, stream_kinds, stream_ids, expected_revisions,
            effective_ats, event_counts, types, schema_versions, datas) a);

    -- Who is new is kept with the first thing that was accepted, and by nothing that was refused.
    INSERT INTO actors
    SELECT DISTINCT ours, n.subject, n.id
    FROM unnest(newcomers, actor_ids) WITH ORDINALITY AS n(subject, id, command)
    WHERE n.subject IS NOT NULL AND outcomes[n.command::integer].outcome = 'appended'
        AND NOT EXISTS (SELECT FROM actors a WHERE a.workspace = ours AND a.subject = n.subject);

    INSERT INTO event_summaries
    SELECT ours, outcomes[r.command].log_position - r.events_after, r.type, actor_ids[r.command], r.model,
        r.catalog_digest
    FROM json_to_recordset(summary_rows) AS r(
        command integer, events_after integer, type text, model text, catalog_digest text)
    WHERE outcomes[r.command].outcome = 'appended';

    INSERT INTO event_accelerators
    SELECT ours, r.accelerator, r.catalog_digest, outcomes[r.command].log_position - r.events_after
    FROM json_to_recordset(accelerator_rows) AS r(
        command integer, events_after integer, accelerator text, catalog_digest text)
    WHERE outcomes[r.command].outcome = 'appended';

    INSERT INTO plans
    SELECT ours, o.stream_id, coalesce(r.created_position, o.log_position - event_counts[r.command] + 1),
        o.log_position, o.revision, r.name, r.status, r.model, r.accelerators, r.verdict, r.sentence,
        r.catalog_release, r.catalog_digest, r.approval_count, r.planner, o.recorded_at, o.recorded_at
    FROM json_to_recordset(plan_rows) AS r(
        command integer, created_position bigint, name text, status text, model text, accelerators text[],
        verdict text, sentence text, catalog_release text, catalog_digest text, approval_count integer,
        planner uuid)
    JOIN unnest(outcomes) WITH ORDINALITY AS o(
        outcome, stream_id, revision, log_position, recorded_at, changed, nth) ON o.nth = r.command
    WHERE o.outcome = 'appended'
    ON CONFLICT ON CONSTRAINT plans_pk DO UPDATE SET
        position = excluded.position, revision = excluded.revision, name = excluded.name,
        status = excluded.status, model = excluded.model, accelerators = excluded.accelerators,
        verdict = excluded.verdict, sentence = excluded.sentence,
        catalog_release = excluded.catalog_release, catalog_digest = excluded.catalog_digest,
        approval_count = excluded.approval_count, planner = excluded.planner, updated_at = excluded.updated_at;

    -- One plan at a time: a join would be planned while the tables are empty, and read all plans for ever after.
    FOR changed IN
        SELECT outcomes[r.command] AS o, r.accelerators,
            coalesce(r.created_position, outcomes[r.command].log_position - event_counts[r.command] + 1) AS created
        FROM json_to_recordset(plan_rows) AS r(
            command integer, created_position bigint, accelerators text[], accelerators_changed boolean)
        WHERE r.accelerators_changed AND outcomes[r.command].outcome = 'appended'
    LOOP
        DELETE FROM plan_accelerators p
        WHERE p.workspace = ours AND p.plan_id = (changed.o).stream_id
            AND p.accelerator <> ALL (changed.accelerators);
        INSERT INTO plan_accelerators
        SELECT ours, chosen, changed.created, (changed.o).stream_id FROM unnest(changed.accelerators) AS chosen
        ON CONFLICT DO NOTHING;
    END LOOP;

    RETURN QUERY SELECT u.* FROM unnest(outcomes) AS u;
END
$$;
"""

GRANTS = """
REVOKE ALL ON FUNCTION append_with_views FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_with_views TO {service};
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
    op.execute(APPEND)
    op.execute(GRANTS.format(service=service))


def downgrade() -> None:
    """Drop what can be built again from the events; who the actors are is lost."""
    op.execute("DROP FUNCTION append_with_views")
    op.execute("DROP TABLE actors, plans, plan_accelerators, event_summaries, event_accelerators")
