SET LOCAL search_path = pg_catalog, pg_temp;
-- Which installation this is. The row travels with a dump and with a copy of the database; the dispatcher compares it
-- with where it finds itself, and sends nothing from a copy that nobody has adopted.
CREATE TABLE hydra.identity (
    namespace uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE hydra.identity IS 'The installation that deliveries belong to; a row of another one parks the dispatcher';
COMMENT ON COLUMN hydra.identity.namespace IS 'Random; delivery ids are derived from it';
COMMENT ON COLUMN hydra.identity.system_identifier IS 'The cluster, as pg_control_system() has it';
COMMENT ON COLUMN hydra.identity.database_oid IS 'The database';
COMMENT ON COLUMN hydra.identity.adopted_at IS 'When deliveries began to belong to it';

INSERT INTO hydra.identity (system_identifier, database_oid)
SELECT control.system_identifier, here.oid
FROM pg_catalog.pg_control_system() AS control, pg_catalog.pg_database AS here
WHERE here.datname = pg_catalog.current_database();

SELECT pg_catalog.pg_extension_config_dump('hydra.identity', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.event_type', $$WHERE origin = 'application'$$);
SELECT pg_catalog.pg_extension_config_dump('hydra.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.signing_secret', '');
SELECT pg_catalog.pg_extension_config_dump('hydra.signing_secret_id_seq', '');
SET LOCAL search_path = hydra, pg_temp;
