-- Who may do what. Roles belong to the cluster, not to the extension: another database may have made them already, and
-- DROP EXTENSION leaves them. An existing role is taken over only if holding it gives nothing beyond what we grant.
DO $$
DECLARE
    wanted record;
    existing record;
BEGIN
    IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
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
        SELECT * INTO existing FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) wanted.name;
        IF NOT FOUND THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I %s', wanted.name,
                                      CASE WHEN wanted.login THEN 'LOGIN' ELSE 'NOLOGIN' END);
            EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', wanted.name, wanted.comment);
        ELSIF existing.rolsuper OR existing.rolcreaterole OR existing.rolcreatedb OR existing.rolreplication
              OR existing.rolbypassrls OR existing.rolcanlogin <> wanted.login THEN
            RAISE EXCEPTION 'role "%" exists with attributes that hydra_webhooks does not accept', wanted.name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'It must have no special attribute, and LOGIN only if it is hydra_worker.',
                      HINT = pg_catalog.format('ALTER ROLE %I, or rename it, then try again.', wanted.name);
        END IF;
    END LOOP;

    EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO hydra_worker', pg_catalog.current_database());
END
$$;
