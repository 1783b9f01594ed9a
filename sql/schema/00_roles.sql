-- Names in this script find our own schema first, because functions in Rust are written down without it; our files look in
-- pg_catalog alone, each from its first line to its last. All the same nobody else may have put anything into the schema. An
-- empty one is what DROP EXTENSION leaves behind, and what a dump makes before it makes the extension.
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
        RAISE EXCEPTION 'schema "hydra" exists and is not ours'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'It belongs to somebody who is no superuser, or holds objects already.',
                  HINT = 'See what is in it, and rename or drop it.';
    END IF;
END
$$;

-- Who may do what. Roles belong to the cluster, not to the extension: another database may have made them already, and
-- DROP EXTENSION leaves them. An existing role is taken over only if holding it gives nothing beyond what we grant.
DO $$
DECLARE
    wanted record;
    existing record;
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'hydra_webhooks needs a database in UTF8'
            USING ERRCODE = 'feature_not_supported',
                  DETAIL = pg_catalog.format('This database is in %s; webhook bodies are UTF-8, byte for byte.',
                                             pg_catalog.getdatabaseencoding()),
                  HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;

    FOR wanted IN
        SELECT *
        FROM (VALUES ('hydra_admin', false, 'hydra_webhooks: manages subscriptions, sees everything but secrets'),
                     ('hydra_member', false, 'hydra_webhooks: sees subscriptions and event types'),
                     ('hydra_analyst', false, 'hydra_webhooks: sees what a member sees, history and failed deliveries'),
                     ('hydra_emitter', false, 'hydra_webhooks: may emit events'),
                     ('hydra_worker', true, 'hydra_webhooks: the background workers connect as this role; grant it to nobody')
             ) AS role (name, login, comment)
    LOOP
        SELECT * INTO existing FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) wanted.name;
        IF NOT FOUND THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I %s', wanted.name,
                                          CASE WHEN wanted.login THEN 'LOGIN' ELSE 'NOLOGIN' END);
                EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', wanted.name, wanted.comment);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- Made by another database's CREATE EXTENSION at the same moment.
            END;
        ELSIF existing.rolsuper OR existing.rolcreaterole OR existing.rolcreatedb OR existing.rolreplication
              OR existing.rolbypassrls OR existing.rolcanlogin <> wanted.login
              OR wanted.login AND existing.rolpassword IS NOT NULL
              OR EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
                         WHERE m.member OPERATOR(pg_catalog.=) existing.oid
                            OR wanted.login AND m.roleid OPERATOR(pg_catalog.=) existing.oid) THEN
            RAISE EXCEPTION 'role "%" exists with attributes that hydra_webhooks does not accept', wanted.name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'It must have no special attribute and be a member of no role; hydra_worker alone has LOGIN, and neither password nor members.',
                      HINT = pg_catalog.format('ALTER ROLE %I, or rename it, then try again.', wanted.name);
        END IF;
    END LOOP;

    EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO hydra_worker', pg_catalog.current_database());
END
$$;
