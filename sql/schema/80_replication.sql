SET LOCAL search_path = pg_catalog, pg_temp;
-- A publication FOR ALL TABLES includes the tables of the extension. But a subscriber must not store the transaction ids
-- of another cluster, must not send what its publisher sends, and must not use its subscriptions and secrets, unless it
-- is told to. Above all, replication must not stop because both clusters have a row with the same key. So what arrives
-- for these tables is ignored. The triggers fire only under session_replication_role = replica (ENABLE REPLICA), and
-- their conditions exclude sessions that restore a dump.
CREATE FUNCTION hydra._is_ignored(table_name text) RETURNS boolean
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT hydra._is_replicating()
           -- A trigger of this cluster may do what it likes. The condition of a trigger is not yet in the trigger.
           AND pg_trigger_depth() = 0
           AND NOT (table_name IN ('subscription', 'signing_secret', 'event_type')
                    AND coalesce(current_setting('hydra_webhooks.replicated', true), 'ignore') = 'apply')
$$;
COMMENT ON FUNCTION hydra._is_ignored(text) IS
    'Whether this is a replicated change of a table of the extension that is ignored: all are, except those that hydra_webhooks.replicated = apply names';

CREATE FUNCTION hydra._keep_to_its_cluster() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
    AS 'BEGIN RETURN NULL; END';
COMMENT ON FUNCTION hydra._keep_to_its_cluster() IS 'Prevents a replicated change of a row';

-- For tables whose rows are updated and deleted often: a BEFORE trigger, even one that does not fire, would lock each row
-- first, and write that to the write-ahead log.
CREATE FUNCTION hydra._undo() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        EXECUTE format('DELETE FROM hydra.%I AS t WHERE %s', TG_TABLE_NAME, TG_ARGV[0]) USING NEW;
    END IF;
    EXECUTE format('INSERT INTO hydra.%I OVERRIDING SYSTEM VALUE SELECT ($1).*', TG_TABLE_NAME) USING OLD;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hydra._undo() IS 'Undoes a replicated update or deletion of a row. The argument is a condition that finds the row by its key';

-- No trigger can prevent TRUNCATE. So the rows are copied before, and inserted again afterwards; and a sequence that was
-- restarted continues where it was, because numbers must not be used twice. A regular table has the rows meanwhile: a
-- transaction with a temporary table could not be prepared.
CREATE FUNCTION hydra._outlive_truncate() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kept text := '_kept_' || TG_TABLE_NAME;
    sequence text := TG_TABLE_NAME || '_id_seq';
    has_sequence boolean := to_regclass('hydra.' || quote_ident(TG_TABLE_NAME || '_id_seq')) IS NOT NULL;
BEGIN
    IF TG_WHEN = 'BEFORE' THEN
        EXECUTE format('CREATE UNLOGGED TABLE hydra.%I AS TABLE hydra.%I', kept, TG_TABLE_NAME);
        IF has_sequence THEN
            EXECUTE format('CREATE UNLOGGED TABLE hydra.%I AS SELECT last_value, is_called FROM hydra.%I', kept || '_number', sequence);
        END IF;
        RETURN NULL;
    END IF;
    EXECUTE format('INSERT INTO hydra.%I OVERRIDING SYSTEM VALUE TABLE hydra.%I', TG_TABLE_NAME, kept);
    EXECUTE format('DROP TABLE hydra.%I', kept);
    IF has_sequence THEN
        EXECUTE format('SELECT setval(%L, former.last_value, former.is_called) FROM hydra.%I AS former, hydra.%I AS now
                        WHERE (former.last_value, former.is_called) > (now.last_value, now.is_called)',
                       'hydra.' || sequence, kept || '_number', sequence);
        EXECUTE format('DROP TABLE hydra.%I', kept || '_number');
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hydra._outlive_truncate() IS 'Brings back the rows of a table after a replicated TRUNCATE';

DO $$
DECLARE
    name text;
    key text;
BEGIN
    FOR name IN SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'hydra'::regnamespace AND c.relkind = 'r' LOOP
        key := CASE name WHEN 'event' THEN 't.xid = ($1).xid AND t.id = ($1).id'
                         WHEN 'delivery' THEN 't.id = ($1).id'
                         WHEN 'delivered' THEN 't.id = ($1).id'
                         WHEN 'attempt' THEN 't.id = ($1).id'
                         WHEN 'inbound_event' THEN 't.id = ($1).id'
                         WHEN 'inbound_count' THEN 't.adapter_id = ($1).adapter_id AND t.slot = ($1).slot' END;
        EXECUTE format('CREATE TRIGGER keep_to_its_cluster BEFORE INSERT %s ON hydra.%I
                        FOR EACH ROW WHEN (hydra._is_ignored(%L)) EXECUTE FUNCTION hydra._keep_to_its_cluster()',
                       CASE WHEN key IS NULL THEN 'OR UPDATE OR DELETE' ELSE '' END, name, name);
        EXECUTE format('ALTER TABLE hydra.%I ENABLE REPLICA TRIGGER keep_to_its_cluster', name);
        IF key IS NOT NULL THEN
            EXECUTE format('CREATE TRIGGER undo_replicated AFTER UPDATE OR DELETE ON hydra.%I
                            FOR EACH ROW WHEN (hydra._is_ignored(%L)) EXECUTE FUNCTION hydra._undo(%L)', name, name, key);
            EXECUTE format('ALTER TABLE hydra.%I ENABLE REPLICA TRIGGER undo_replicated', name);
        END IF;
        EXECUTE format('CREATE TRIGGER before_truncate BEFORE TRUNCATE ON hydra.%I
                        FOR EACH STATEMENT WHEN (hydra._is_ignored(%L)) EXECUTE FUNCTION hydra._outlive_truncate()', name, name);
        EXECUTE format('CREATE TRIGGER after_truncate AFTER TRUNCATE ON hydra.%I
                        FOR EACH STATEMENT WHEN (hydra._is_ignored(%L)) EXECUTE FUNCTION hydra._outlive_truncate()', name, name);
        EXECUTE format('ALTER TABLE hydra.%I ENABLE REPLICA TRIGGER before_truncate', name);
        EXECUTE format('ALTER TABLE hydra.%I ENABLE REPLICA TRIGGER after_truncate', name);
    END LOOP;
END
$$;

-- With hydra_webhooks.replicated = apply, the row of the publisher replaces a row of this cluster with the same key: the
-- catalogue of event types, which both have, or a subscription that was created here by mistake.
CREATE FUNCTION hydra._replace_own() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    CASE TG_TABLE_NAME
        WHEN 'event_type' THEN
            DELETE FROM hydra.event_type AS own WHERE own.name = NEW.name;
        WHEN 'subscription' THEN
            DELETE FROM hydra.subscription AS own
            WHERE own.id = NEW.id OR own.name = NEW.name AND own.tenant_id IS NOT DISTINCT FROM NEW.tenant_id;
        WHEN 'signing_secret' THEN
            DELETE FROM hydra.signing_secret AS own
            WHERE own.id = NEW.id
               OR own.subscription_id = NEW.subscription_id AND own.valid_until IS NULL AND NEW.valid_until IS NULL;
    END CASE;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION hydra._replace_own() IS 'Deletes the row of this cluster that a replicated row replaces';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{event_type,subscription,signing_secret}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER replace_own BEFORE INSERT ON hydra.%I
                        FOR EACH ROW WHEN (hydra._is_replicating()) EXECUTE FUNCTION hydra._replace_own()', name);
        EXECUTE format('ALTER TABLE hydra.%I ENABLE REPLICA TRIGGER replace_own', name);
    END LOOP;
END
$$;

-- The trigger announce_changes of this table fires once for each statement. Workers of logical replication fire triggers
-- for rows only.
CREATE TRIGGER announce_replicated AFTER INSERT OR UPDATE OR DELETE ON hydra.event_type
    FOR EACH ROW WHEN (hydra._is_replicating()) EXECUTE FUNCTION hydra._subscriptions_changed();
ALTER TABLE hydra.event_type ENABLE REPLICA TRIGGER announce_replicated;
SET LOCAL search_path = hydra, pg_temp;
