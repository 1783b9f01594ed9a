SET LOCAL search_path = pg_catalog, pg_temp;
-- The identity of this installation. Dumps and copies of the database contain its row. The dispatcher compares the row
-- with the cluster and the database in which it runs. If they differ, the database is a copy, and nothing is sent until
-- hydra.webhook_adopt() is called.
CREATE TABLE hydra.identity (
    namespace uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT pg_catalog.now()
) USING heap;
COMMENT ON TABLE hydra.identity IS 'The installation that deliveries belong to; if a row names another database, this one is a copy, and nothing is sent until hydra.webhook_adopt() is called';
COMMENT ON COLUMN hydra.identity.namespace IS 'Random; delivery ids are derived from it';
COMMENT ON COLUMN hydra.identity.system_identifier IS 'The cluster, as in pg_control_system()';
COMMENT ON COLUMN hydra.identity.database_oid IS 'OID of the database';
COMMENT ON COLUMN hydra.identity.adopted_at IS 'When the extension was created or the copy was adopted';

CREATE VIEW hydra.current_identity AS
SELECT i.namespace FROM hydra.identity AS i ORDER BY i.adopted_at DESC LIMIT 1;
COMMENT ON VIEW hydra.current_identity IS 'The installation that deliveries belong to now: the latest row of hydra.identity';
COMMENT ON COLUMN hydra.current_identity.namespace IS 'Random; delivery ids are derived from it';

CREATE FUNCTION hydra._here(OUT system_identifier bigint, OUT database_oid oid)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT control.system_identifier, database.oid
    FROM pg_control_system() AS control, pg_database AS database
    WHERE database.datname = current_database()
$$;
COMMENT ON FUNCTION hydra._here() IS 'This cluster and this database, as hydra.identity records them';

CREATE FUNCTION hydra._at_home() RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(bool_and(i.system_identifier = here.system_identifier AND i.database_oid = here.database_oid), false)
    FROM hydra.identity AS i, hydra._here() AS here
$$;
COMMENT ON FUNCTION hydra._at_home() IS 'Whether this database is the one that hydra.identity names, and not a copy of it';

INSERT INTO hydra.identity (system_identifier, database_oid)
SELECT here.system_identifier, here.database_oid FROM hydra._here() AS here;

SELECT pg_catalog.pg_extension_config_dump('hydra.identity', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.event_type', $$WHERE origin = 'application'$$);
SELECT pg_catalog.pg_extension_config_dump('hydra.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.signing_secret', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.signing_secret_id_seq', '');
SET LOCAL search_path = hydra, pg_temp;
