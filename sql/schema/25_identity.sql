SET LOCAL search_path = pg_catalog, pg_temp;
-- The identity of this installation. Dumps and copies of the database contain its rows. The dispatcher compares them
-- with the cluster and the database in which it runs. If one differs, the database is a copy, and nothing is sent until
-- hydra.webhook_adopt() is called. A restored dump has two rows: that of CREATE EXTENSION, and that of the dump.
CREATE TABLE hydra.identity (
    namespace uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    server_version integer NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT pg_catalog.now()
) USING heap;
COMMENT ON TABLE hydra.identity IS 'The installation that this database is; if a row names another database, this one is a copy, and nothing is sent until hydra.webhook_adopt() is called';
COMMENT ON COLUMN hydra.identity.namespace IS 'The installation, as in hydra.event; random, or that of the copy before it was adopted';
COMMENT ON COLUMN hydra.identity.system_identifier IS 'The cluster, as in pg_control_system()';
COMMENT ON COLUMN hydra.identity.database_oid IS 'OID of the database';
COMMENT ON COLUMN hydra.identity.server_version IS 'Major version of the server, such as 15; pg_upgrade changes it';
COMMENT ON COLUMN hydra.identity.adopted_at IS 'When the extension was created or the copy was adopted';

-- When a dump is restored, the dispatcher must notice at once that this database is a copy.
CREATE TRIGGER announce_changes AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON hydra.identity
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._subscriptions_changed();
ALTER TABLE hydra.identity ENABLE ALWAYS TRIGGER announce_changes;

CREATE FUNCTION hydra._here(OUT system_identifier bigint, OUT database_oid oid, OUT server_version integer)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT control.system_identifier, database.oid, current_setting('server_version_num')::integer / 10000
    FROM pg_control_system() AS control, pg_database AS database
    WHERE database.datname = current_database()
$$;
COMMENT ON FUNCTION hydra._here() IS 'This cluster and this database, as hydra.identity records them';

INSERT INTO hydra.identity (system_identifier, database_oid, server_version)
SELECT here.system_identifier, here.database_oid, here.server_version FROM hydra._here() AS here;

SELECT pg_catalog.pg_extension_config_dump('hydra.identity', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.event_type', $$WHERE origin = 'application'$$);
SELECT pg_catalog.pg_extension_config_dump('hydra.removed_event_type', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.signing_secret', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.signing_secret_id_seq', '');
SET LOCAL search_path = hydra, pg_temp;
