-- This script runs with our own schema first in the search_path, because the generated definitions of functions in Rust
-- do not name it. Our own files search only pg_catalog: each sets search_path in its first line and resets it in its
-- last. Even so, nobody else may have created anything in the schema. An empty schema is taken over, whoever owns it:
-- DROP EXTENSION leaves one behind, and a dump creates one before the extension, for the role that owned it then.
DO $$
DECLARE
    empty boolean;
BEGIN
    SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) schema.oid)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.=) schema.oid)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_type WHERE typnamespace OPERATOR(pg_catalog.=) schema.oid)
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprnamespace OPERATOR(pg_catalog.=) schema.oid)
    INTO empty
    FROM pg_catalog.pg_namespace AS schema
    WHERE schema.nspname OPERATOR(pg_catalog.=) 'hydra';
    IF NOT empty THEN
        RAISE EXCEPTION 'schema "hydra" already exists'
            USING ERRCODE = 'duplicate_schema',
                  DETAIL = 'It contains objects that are not those of hydra_webhooks.',
                  HINT = 'Look at its contents, then rename or drop it.';
    END IF;
    ALTER SCHEMA hydra OWNER TO CURRENT_USER;
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
        FROM (VALUES ('hydra_admin', false, false, 'hydra_webhooks: manages subscriptions, deliveries, inbound adapters and flows; sees everything except secrets and values of headers'),
                     ('hydra_member', false, false, 'hydra_webhooks: sees subscriptions, event types, watches, inbound adapters, flows and mail channels'),
                     ('hydra_analyst', false, false, 'hydra_webhooks: sees what a member sees, and history, statistics, pending, failed and kept events, and messages of mail'),
                     ('hydra_emitter', false, false, 'hydra_webhooks: emits events and watches tables'),
                     ('hydra_worker', true, false, 'hydra_webhooks: role of the background workers; do not grant it'),
                     ('hydra_api', false, false, 'hydra_webhooks: role that requests with an API key act as by default; grant it what they may do'),
                     ('hydra_gateway', false, false, 'hydra_webhooks: executes hydra.serve; grant it to the roles that gateways on other machines log in as'),
                     -- Its password is replaced at each start of the gateway.
                     ('hydra_gateway_embedded', true, true, 'hydra_webhooks: role of the gateway that the server runs; do not grant it')
             ) AS role (name, login, has_password, comment)
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
              OR wanted.login AND NOT wanted.has_password AND existing.rolpassword IS NOT NULL
              OR EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
                         JOIN pg_catalog.pg_authid AS granted ON granted.oid OPERATOR(pg_catalog.=) m.roleid
                         WHERE m.member OPERATOR(pg_catalog.=) existing.oid
                               AND (wanted.login OR granted.rolname OPERATOR(pg_catalog.<>) ALL ('{hydra_admin,hydra_member,hydra_analyst,hydra_emitter}'))
                            OR wanted.login AND m.roleid OPERATOR(pg_catalog.=) existing.oid) THEN
            RAISE EXCEPTION 'role "%" exists with attributes that hydra_webhooks does not accept', wanted.name
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      DETAIL = 'It must have no special attributes, and may be a member only of hydra_admin, hydra_member, hydra_analyst and hydra_emitter. Only hydra_worker and hydra_gateway_embedded have LOGIN; they must have no members, and hydra_worker no password.',
                      HINT = pg_catalog.format('Change it with ALTER ROLE %I, or rename it, and try again.', wanted.name);
        END IF;
    END LOOP;

    EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO hydra_worker, hydra_gateway_embedded',
                              pg_catalog.current_database());
    -- The bodies of requests are parameters of hydra.serve. They never get into the log, whatever else is logged.
    FOR attempt IN 1 .. 2 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_catalog.pg_db_role_setting AS s
                          WHERE s.setdatabase OPERATOR(pg_catalog.=) 0
                                AND s.setrole OPERATOR(pg_catalog.=) 'hydra_gateway_embedded'::pg_catalog.regrole
                                AND s.setconfig OPERATOR(pg_catalog.@>)
                                    '{log_parameter_max_length=0,log_parameter_max_length_on_error=0}'::pg_catalog.text[]);
        BEGIN
            ALTER ROLE hydra_gateway_embedded SET log_parameter_max_length = 0;
            ALTER ROLE hydra_gateway_embedded SET log_parameter_max_length_on_error = 0;
        EXCEPTION WHEN unique_violation OR internal_error THEN
            -- CREATE EXTENSION in another database has done it at the same time.
            IF attempt OPERATOR(pg_catalog.=) 2 THEN
                RAISE;
            END IF;
        END;
    END LOOP;
END
$$;
