-- This script runs with our own schema first in the search_path, because the generated definitions of functions in Rust
-- do not name it. Our own files search only pg_catalog: each sets search_path in its first line and resets it in its
-- last. Even so, nobody else may have created anything in the schema. An empty schema is accepted: DROP EXTENSION
-- leaves one behind, and a dump creates one before the extension.
DO $$
DECLARE
    trusted boolean;
BEGIN
    SELECT (owner.rolsuper OR owner.rolname OPERATOR(pg_catalog.=) current_user)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) schema.oid)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.=) schema.oid)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace OPERATOR(pg_catalog.=) schema.oid)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprnamespace OPERATOR(pg_catalog.=) schema.oid)
    INTO trusted
    FROM pg_catalog.pg_namespace AS schema
    JOIN pg_catalog.pg_roles AS owner ON owner.oid OPERATOR(pg_catalog.=) schema.nspowner
    WHERE schema.nspname OPERATOR(pg_catalog.=) 'hydra';
    IF NOT trusted THEN
        RAISE EXCEPTION 'schema "hydra" already exists'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'Its owner is another user who is not a superuser, or it contains objects.',
                  HINT = 'Look at its contents, then rename or drop it.';
    END IF;
END
$$;

-- Roles. They belong to the cluster and not to the extension: CREATE EXTENSION in another database may have created
-- them, and DROP EXTENSION leaves them. An existing role is used only if it has no privilege beyond those that we
-- grant.
DO $$
DECLARE
    wanted record;
    existing record;
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'hydra_webhooks needs a database with encoding UTF8'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = pg_catalog.format('The encoding of this database is %s. Bodies of webhooks are UTF-8.',
                                             pg_catalog.getdatabaseencoding()),
                  HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;

    FOR wanted IN
        SELECT *
        FROM (VALUES ('hydra_admin', false, 'hydra_webhooks: manages subscriptions and deliveries; sees everything except secrets and values of headers'),
                     ('hydra_member', false, 'hydra_webhooks: sees subscriptions, event types and watches'),
                     ('hydra_analyst', false, 'hydra_webhooks: sees what a member sees, and history, statistics, pending and failed deliveries'),
                     ('hydra_emitter', false, 'hydra_webhooks: emits events and watches tables'),
                     ('hydra_worker', true, 'hydra_webhooks: role of the background workers; do not grant it')
             ) AS role (name, login, comment)
    LOOP
        SELECT * INTO existing FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) wanted.name;
        IF NOT FOUND THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I %s', wanted.name,
                                          CASE WHEN wanted.login THEN 'LOGIN' ELSE 'NOLOGIN' END);
                EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', wanted.name, wanted.comment);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- CREATE EXTENSION in another database created it at the same time.
            END;
        ELSIF existing.rolsuper OR existing.rolcreaterole OR existing.rolcreatedb OR existing.rolreplication
              OR existing.rolbypassrls OR existing.rolcanlogin <> wanted.login
              OR wanted.login AND existing.rolpassword IS NOT NULL
              OR EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
                         WHERE m.member OPERATOR(pg_catalog.=) existing.oid
                            OR wanted.login AND m.roleid OPERATOR(pg_catalog.=) existing.oid) THEN
            RAISE EXCEPTION 'role "%" exists with attributes that hydra_webhooks does not accept', wanted.name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'It must have no special attributes and must not be a member of another role. Only hydra_worker has LOGIN; it must have no password and no members.',
                      HINT = pg_catalog.format('Change it with ALTER ROLE %I, or rename it, and try again.', wanted.name);
        END IF;
    END LOOP;

    EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO hydra_worker', pg_catalog.current_database());
END
$$;
