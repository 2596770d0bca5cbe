"""The event log: what has happened, in one order, appended through one function and changed by nobody.

Safe beside the previous release: it adds tables and functions that nothing used before.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
-- One row: the end of the log. Positions are taken here, under the lock, so that they have no holes.
CREATE TABLE log_heads (
    id smallint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    partition_size bigint NOT NULL,
    partitioned_to bigint NOT NULL,
    CONSTRAINT log_heads_pk PRIMARY KEY (id),
    CONSTRAINT log_heads_one_row_check CHECK (id = 1),
    CONSTRAINT log_heads_position_from_zero_check CHECK (position >= 0),
    CONSTRAINT log_heads_partition_size_positive_check CHECK (partition_size > 0)
);
INSERT INTO log_heads VALUES (1, 0, '-infinity', 5000000, 1);

-- The end of every stream. It is not partitioned, so that one row decides between two writers.
CREATE TABLE streams (
    workspace text NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    revision bigint NOT NULL,
    hash bytea NOT NULL,
    effective_at timestamptz NOT NULL,
    first_position bigint NOT NULL,
    position bigint NOT NULL,
    CONSTRAINT streams_pk PRIMARY KEY (workspace, kind, id),
    CONSTRAINT streams_kind_known_check CHECK (kind IN ('plan', 'fleet', 'catalog', 'reevaluation')),
    CONSTRAINT streams_revision_from_one_check CHECK (revision >= 1),
    CONSTRAINT streams_hash_sha256_check CHECK (octet_length(hash) = 32)
) WITH (fillfactor = 80);

CREATE TABLE events (
    position bigint NOT NULL,
    workspace text NOT NULL,
    stream_kind text NOT NULL,
    stream_id uuid NOT NULL,
    revision bigint NOT NULL,
    type text NOT NULL,
    schema_version integer NOT NULL,
    data json NOT NULL,
    actor_id uuid NOT NULL,
    request_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT events_pk PRIMARY KEY (position),
    CONSTRAINT events_position_from_one_check CHECK (position >= 1),
    CONSTRAINT events_workspace_named_check CHECK (workspace NOT IN ('', '*')),
    CONSTRAINT events_stream_kind_known_check
        CHECK (stream_kind IN ('plan', 'fleet', 'catalog', 'reevaluation')),
    CONSTRAINT events_revision_from_one_check CHECK (revision >= 1),
    CONSTRAINT events_type_named_check CHECK (type <> ''),
    CONSTRAINT events_schema_version_from_one_check CHECK (schema_version >= 1),
    CONSTRAINT events_hash_sha256_check CHECK (octet_length(hash) = 32 AND octet_length(previous_hash) = 32)
) PARTITION BY RANGE (position);
CREATE UNIQUE INDEX events_stream_idx ON events (workspace, stream_kind, stream_id, revision, position);
CREATE INDEX events_recorded_at_idx ON events USING brin (recorded_at);

-- What became of every accepted request, for ever.
CREATE TABLE requests (
    workspace text NOT NULL,
    actor_id uuid NOT NULL,
    method text NOT NULL,
    request_id uuid NOT NULL,
    digest bytea NOT NULL,
    stream_kind text NOT NULL,
    stream_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    changed boolean NOT NULL,
    CONSTRAINT requests_pk PRIMARY KEY (workspace, actor_id, method, request_id)
);
"""

REFUSAL = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION refuse_changes_of(guarded regclass) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', guarded);
    -- ALWAYS: also where session_replication_role would leave ordinary triggers out.
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', guarded);
END
$$;

SELECT refuse_changes_of('events');
SELECT refuse_changes_of('requests');

CREATE TRIGGER never_shortened BEFORE DELETE OR TRUNCATE ON streams
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE streams ENABLE ALWAYS TRIGGER never_shortened;
CREATE TRIGGER never_shortened BEFORE DELETE OR TRUNCATE ON log_heads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE log_heads ENABLE ALWAYS TRIGGER never_shortened;
"""

# A partition is made beside the log and then attached: that waits for no reader and stops none.
# It has row-level security and no policy: it is read through the log, or not at all.
PARTITIONS = """
CREATE FUNCTION add_event_partition() RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
    lower bigint;
    upper bigint;
    part text;
BEGIN
    SELECT h.partitioned_to, h.partitioned_to + h.partition_size INTO lower, upper FROM log_heads h;
    part := format('events_from_%s', lower);
    EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING ALL)', part);
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT in_range CHECK (position >= %s AND position < %s)',
                   part, lower, upper);
    EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', part, lower, upper);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT in_range', part);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', part);
    PERFORM refuse_changes_of(part::regclass);
    UPDATE log_heads SET partitioned_to = upper;
END
$$;
SELECT add_event_partition();
"""

# The encoding that `service.store.chain` repeats: every field as its length in four bytes and its bytes, in this
# order. Position and transaction are left out: they would not survive an export.
HASH = """
CREATE FUNCTION hash_field(field bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN int4send(octet_length(field)) || field;

CREATE FUNCTION hash_moment(moment timestamptz) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN hash_field(int8send((extract(epoch FROM moment) * 1000000)::bigint));

CREATE FUNCTION hash_event(
    previous_hash bytea, workspace text, stream_kind text, stream_id uuid, revision bigint, type text,
    schema_version integer, actor_id uuid, request_id uuid, recorded_at timestamptz, effective_at timestamptz,
    data text
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(
    hash_field(convert_to('tonnage.event.1', 'UTF8')) || hash_field(previous_hash)
    || hash_field(convert_to(workspace, 'UTF8')) || hash_field(convert_to(stream_kind, 'UTF8'))
    || hash_field(uuid_send(stream_id)) || hash_field(int8send(revision))
    || hash_field(convert_to(type, 'UTF8')) || hash_field(int4send(schema_version))
    || hash_field(uuid_send(actor_id)) || hash_field(uuid_send(request_id))
    || hash_moment(recorded_at) || hash_moment(effective_at) || hash_field(convert_to(data, 'UTF8'))
);
"""

# Plans of functions are kept, and the first is made while the tables are empty: without a word it would scan them for
# ever. One call appends a group of commands, each with its own outcome: a conflict of one does not touch the others.
# Element n of the first nine arrays is command n; `event_counts[n]` of the last three belong to it, in order.
APPEND = """
CREATE TYPE append_outcome AS (
    outcome text, stream_id uuid, revision bigint, log_position bigint, recorded_at timestamptz, changed boolean
);

CREATE FUNCTION refuse_ragged_group(command_counts integer[], event_counts integer[], counts_of_events integer[])
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
    event_count bigint;
BEGIN
    SELECT coalesce(sum(given), 0) INTO event_count FROM unnest(event_counts) AS given;
    -- IS DISTINCT FROM and the COALESCE: an array, or an element, that is NULL is none.
    IF EXISTS (SELECT FROM unnest(command_counts) AS given WHERE given IS DISTINCT FROM command_counts[1])
        OR command_counts[1] IS NULL
        OR EXISTS (SELECT FROM unnest(event_counts) AS given WHERE coalesce(given, -1) < 0)
        OR EXISTS (SELECT FROM unnest(counts_of_events) AS given WHERE given IS DISTINCT FROM event_count)
    THEN
        RAISE EXCEPTION 'the arrays of a group do not fit together' USING ERRCODE = 'array_subscript_error';
    END IF;
END
$$;

CREATE FUNCTION append_events(
    ours text, actor_ids uuid[], methods text[], request_ids uuid[], digests bytea[],
    stream_kinds text[], stream_ids uuid[], expected_revisions bigint[], effective_ats timestamptz[],
    event_counts integer[],
    types text[], schema_versions integer[], datas text[]
) RETURNS SETOF append_outcome LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
SET enable_seqscan = off AS $$
DECLARE
    answer append_outcome;
    head log_heads;
    stream streams;
    known requests;
    effective timestamptz;
    previous bytea;
    event integer := 0;
BEGIN
    IF coalesce(ours, '') IN ('', '*') THEN
        RAISE EXCEPTION 'no workspace is named' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM refuse_ragged_group(
        ARRAY[cardinality(actor_ids), cardinality(methods), cardinality(request_ids), cardinality(digests),
            cardinality(stream_kinds), cardinality(stream_ids), cardinality(expected_revisions),
            cardinality(effective_ats), cardinality(event_counts)],
        event_counts, ARRAY[cardinality(types), cardinality(schema_versions), cardinality(datas)]);
    -- For the rest of the transaction: what follows sees and writes no other workspace.
    PERFORM set_config('tonnage.workspace', ours, true);
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'append_events must see what was committed before its lock'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    PERFORM pg_advisory_xact_lock(7310041);
    SELECT * INTO STRICT head FROM log_heads;
    WHILE head.position + cardinality(types) >= head.partitioned_to LOOP
        PERFORM add_event_partition();
        SELECT * INTO STRICT head FROM log_heads;
    END LOOP;
    FOR command IN 1 .. cardinality(stream_ids) LOOP
        SELECT * INTO known FROM requests r
        WHERE r.workspace = ours AND r.actor_id = actor_ids[command] AND r.method = methods[command]
          AND r.request_id = request_ids[command];
        IF FOUND THEN
            answer := (
                CASE WHEN known.digest = digests[command] THEN 'repeated' ELSE 'request_id_reused' END,
                known.stream_id, known.revision, known.position, known.recorded_at, known.changed);
            event := event + event_counts[command];
            RETURN NEXT answer;
            CONTINUE;
        END IF;
        SELECT * INTO stream FROM streams s
        WHERE s.workspace = ours AND s.kind = stream_kinds[command] AND s.id = stream_ids[command];
        head.recorded_at := greatest(clock_timestamp(), head.recorded_at);
        effective := coalesce(effective_ats[command], head.recorded_at);
        answer := (
            'appended', stream_ids[command], coalesce(stream.revision, 0), stream.position, head.recorded_at,
            event_counts[command] > 0);
        IF answer.revision IS DISTINCT FROM expected_revisions[command] THEN
            answer.outcome := 'conflict';
        ELSIF answer.changed AND effective < stream.effective_at THEN
            answer.outcome := 'effective_in_past';
        END IF;
        IF answer.outcome <> 'appended' THEN
            event := event + event_counts[command];
            RETURN NEXT answer;
            CONTINUE;
        END IF;
        FOR nth IN 1 .. event_counts[command] LOOP
            event := event + 1;
            head.position := head.position + 1;
            answer.revision := answer.revision + 1;
            previous := coalesce(stream.hash, decode(repeat('00', 32), 'hex'));
            stream.hash := hash_event(
                previous, ours, stream_kinds[command], answer.stream_id, answer.revision, types[event],
                schema_versions[event], actor_ids[command], request_ids[command], answer.recorded_at, effective,
                datas[event]);
            INSERT INTO events VALUES (
                head.position, ours, stream_kinds[command], answer.stream_id, answer.revision, types[event],
                schema_versions[event], datas[event]::json, actor_ids[command], request_ids[command],
                answer.recorded_at, effective, previous, stream.hash);
        END LOOP;
        IF answer.changed THEN
            answer.log_position := head.position;
            INSERT INTO streams AS s VALUES (
                ours, stream_kinds[command], answer.stream_id, answer.revision, stream.hash, effective,
                head.position - event_counts[command] + 1, head.position)
            ON CONFLICT ON CONSTRAINT streams_pk DO UPDATE SET
                revision = excluded.revision, hash = excluded.hash,
                effective_at = excluded.effective_at, position = excluded.position;
        END IF;
        INSERT INTO requests VALUES (
            ours, actor_ids[command], methods[command], request_ids[command], digests[command],
            stream_kinds[command], answer.stream_id, answer.revision, answer.log_position, answer.recorded_at,
            answer.changed);
        RETURN NEXT answer;
    END LOOP;
    UPDATE log_heads SET position = head.position, recorded_at = head.recorded_at;
END
$$;
"""

# Two doors to the log as a whole, for projections, exports and verification; and, in one round trip, everything
# that a command needs to know: what its request was answered before, and what has happened in its stream.
READ = """
CREATE FUNCTION read_for_command(
    ours text, by_actor uuid, by_method text, by_request uuid, of_kind text, of_stream uuid,
    after_revision bigint
) RETURNS TABLE (
    digest bytea, request_stream uuid, request_revision bigint, request_position bigint,
    request_recorded_at timestamptz, request_changed boolean,
    first_position bigint, stream_revision bigint, type text, schema_version integer, data text, actor_id uuid,
    recorded_at timestamptz, effective_at timestamptz
) LANGUAGE plpgsql SECURITY INVOKER SET search_path = public, pg_temp SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    PERFORM set_config('tonnage.workspace', ours, true);
    RETURN QUERY
        SELECT r.digest, r.stream_id, r.revision, r.position, r.recorded_at, r.changed,
            s.first_position, s.revision, e.type, e.schema_version, e.data::text, e.actor_id,
            e.recorded_at, e.effective_at
        FROM (SELECT) AS once
        LEFT JOIN requests r ON r.workspace = ours AND r.actor_id = by_actor AND r.method = by_method
            AND r.request_id = by_request
        LEFT JOIN streams s ON s.workspace = ours AND s.kind = of_kind AND s.id = of_stream
        LEFT JOIN events e ON e.workspace = ours AND e.stream_kind = of_kind AND e.stream_id = of_stream
            AND e.position BETWEEN s.first_position AND s.position AND e.revision > after_revision
        ORDER BY e.revision;
END
$$;

-- It shows what the workspace of the transaction may see; '*', which no caller's workspace is, sees the whole log.
CREATE FUNCTION read_log(after_position bigint, most integer) RETURNS SETOF events
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF coalesce(current_setting('tonnage.workspace', true), '') = '' THEN
        RAISE EXCEPTION 'no workspace is named' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN QUERY SELECT * FROM events e WHERE e.position > after_position ORDER BY e.position LIMIT most;
END
$$;

-- Positions have no holes and recorded time never runs backwards: a search by halves needs no index.
CREATE FUNCTION first_position_at(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    ours text := current_setting('tonnage.workspace', true);
    low bigint;
    high bigint;
    middle bigint;
BEGIN
    PERFORM set_config('tonnage.workspace', '*', true);
    SELECT coalesce(min(e.position), 1), coalesce(max(e.position), 0) + 1 INTO low, high FROM events e;
    WHILE low < high LOOP
        middle := (low + high) / 2;
        IF (SELECT e.recorded_at < moment FROM events e WHERE e.position = middle) THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    PERFORM set_config('tonnage.workspace', coalesce(ours, ''), true);
    RETURN low;
END
$$;
"""

SECURITY = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
CREATE POLICY own_workspace ON {table}
    USING (workspace = current_setting('tonnage.workspace', true))
    WITH CHECK (workspace = current_setting('tonnage.workspace', true));
CREATE POLICY whole_log ON {table} FOR SELECT TO CURRENT_USER
    USING (current_setting('tonnage.workspace', true) = '*');
GRANT SELECT ON {table} TO {service};
"""

# Functions run with the owner's rights find their tables by name: nobody else may put anything in their way.
GRANTS = """
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT SELECT ON log_heads, alembic_version TO {service};
REVOKE ALL ON FUNCTION
    append_events, read_for_command, read_log, first_position_at, add_event_partition, refuse_changes_of,
    refuse_ragged_group FROM PUBLIC;
GRANT EXECUTE ON FUNCTION append_events, read_for_command, read_log, first_position_at TO {service};
"""


def upgrade() -> None:
    """Add the log, its guards, and the functions through which it is written and read."""
    service = op.get_context().dialect.identifier_preparer.quote(op.get_context().opts["service_role"])
    for statements in (TABLES, REFUSAL, PARTITIONS, HASH, APPEND, READ):
        op.execute(statements)
    for table in ("events", "streams", "requests"):
        op.execute(SECURITY.format(table=table, service=service))
    op.execute(GRANTS.format(service=service))


def downgrade() -> None:
    """Drop the log and all that was in it."""
    op.execute("DROP FUNCTION append_events, read_for_command, read_log, first_position_at")
    op.execute("DROP FUNCTION refuse_ragged_group")
    op.execute("DROP TYPE append_outcome")
    op.execute("DROP FUNCTION hash_event, hash_moment, hash_field")
    op.execute("DROP TABLE events, streams, requests, log_heads")
    op.execute("DROP FUNCTION add_event_partition, refuse_changes_of, refuse_change")
