"""Releases of the catalog by the digest of their content, so that replay reads nothing but the database.

Safe beside the previous release: it adds a table and a function that nothing used before.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE releases (
    digest text NOT NULL,
    name text NOT NULL,
    parent_digest text,
    content bytea NOT NULL,
    CONSTRAINT releases_pk PRIMARY KEY (digest),
    CONSTRAINT releases_digest_of_content_check CHECK (digest = encode(sha256(content), 'hex')),
    CONSTRAINT releases_parent_digest_fk FOREIGN KEY (parent_digest) REFERENCES releases (digest)
);
SELECT refuse_changes_of('releases');
ALTER TABLE releases ENABLE ROW LEVEL SECURITY;
ALTER TABLE releases FORCE ROW LEVEL SECURITY;
-- Everybody reads what exists; only the system's workspace states it.
CREATE POLICY read_by_all ON releases FOR SELECT USING (true);
CREATE POLICY kept_by_system ON releases FOR INSERT
    WITH CHECK (current_setting('tonnage.workspace', true) = 'system');
"""

FUNCTIONS = """
-- A release is kept where its publication is: by the transaction that appends the event, as the event names it.
CREATE FUNCTION keep_release(digest text, name text, parent_digest text, content bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM events e
        WHERE e.workspace = 'system' AND e.stream_kind = 'catalog' AND e.type = 'release_published'
            AND e.xmin = pg_current_xact_id()::xid
            AND e.data->>'digest' = keep_release.digest AND e.data->>'release' = keep_release.name
            AND e.data->>'parent_digest' IS NOT DISTINCT FROM keep_release.parent_digest)
    THEN
        RAISE EXCEPTION 'the publication of release % is not part of this transaction', keep_release.name
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO releases
    VALUES (keep_release.digest, keep_release.name, keep_release.parent_digest, keep_release.content);
END
$$;
REVOKE ALL ON FUNCTION keep_release FROM PUBLIC;
"""


def upgrade() -> None:
    """Add the releases and the one way to enter one."""
    service = op.get_context().dialect.identifier_preparer.quote(op.get_context().opts["service_role"])
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(f"GRANT SELECT ON releases TO {service}")
    op.execute(f"GRANT EXECUTE ON FUNCTION keep_release TO {service}")


def downgrade() -> None:
    """Drop the releases."""
    op.execute("DROP FUNCTION keep_release")
    op.execute("DROP TABLE releases")
