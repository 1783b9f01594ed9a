SET LOCAL search_path = pg_catalog, pg_temp;
-- Roles that requests act as. The functions that get the role of their caller as an argument are called from Rust, which
-- knows that role, and are granted to nobody.

CREATE FUNCTION hydra._role_refusal(role oid) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = role) THEN 'It does not exist.'
                ELSE (SELECT CASE WHEN p.role_id = role THEN 'It is ' ELSE 'It is a member of ' || p.name || ', which is ' END
                             || p.why || '.'
                      FROM hydra.powerful_role AS p
                      WHERE pg_has_role(role, p.role_id, 'MEMBER')
                      -- The role itself first: a superuser counts as a member of every role.
                      ORDER BY p.role_id <> role, p.role_id LIMIT 1) END
$$;
COMMENT ON FUNCTION hydra._role_refusal(oid) IS
    'Why no request may act as this role: it has, or could get, privileges that no request may have; null: requests may';

CREATE FUNCTION hydra._role_for_requests(caller oid, role text) RETURNS oid
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found oid := (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = role);
    refusal text := hydra._role_refusal(found);
BEGIN
    IF found IS NULL THEN
        RAISE EXCEPTION 'role "%" does not exist', left(coalesce(role, ''), 120)
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'Requests act as a role of this cluster.',
                  HINT = 'Omit it for hydra_api, or create the role first.';
    ELSIF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'no request may act as role "%"', role
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = refusal,
                  HINT = 'Use a role that has only the privileges that requests need.';
    -- These have no privilege that who manages webhooks does not have, except what the DBA granted to keys.
    ELSIF role NOT IN ('hydra_api', 'hydra_member', 'hydra_analyst')
          AND NOT pg_has_role(caller, found, CASE WHEN current_setting('server_version_num')::integer < 160000
                                                  THEN 'MEMBER' ELSE 'SET' END) THEN
        RAISE EXCEPTION 'you are not a member of role "%"', role
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('Role %I may let requests act only as roles that it is a member of, and as hydra_api, hydra_member and hydra_analyst.',
                                  (SELECT r.rolname FROM pg_roles AS r WHERE r.oid = caller)),
                  HINT = format('A superuser can GRANT %I TO %I.', role, (SELECT r.rolname FROM pg_roles AS r WHERE r.oid = caller));
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._role_for_requests(oid, text) IS
    'Finds a role that the caller may let requests act as; fails if there is none of this name or the caller may not';

CREATE FUNCTION hydra._check_tenant(tenant_id text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF octet_length(tenant_id) NOT BETWEEN 1 AND 1024 THEN
        RAISE EXCEPTION 'invalid tenant_id'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A tenant has 1 to 1024 bytes; this one has %s.', octet_length(tenant_id)),
                  HINT = 'Use the same short key of the tenant that its events have, or omit it.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_tenant(text) IS 'Fails if a tenant cannot have this name; null: no tenant';

CREATE FUNCTION hydra._insert_api_key(
    caller oid, name text, scopes text[], tenant_id text, role text, expires_at timestamptz, approval text,
    requests_per_minute integer, hash bytea, prefix text)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    unknown text;
    acts_as oid;
    id bigint;
BEGIN
    IF name IS NULL OR length(name) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'invalid name of an API key'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A name has 1 to 200 characters; this one has %s.', coalesce(length(name), 0)),
                  HINT = 'Name the program that will use the key.';
    ELSIF scopes IS NULL OR cardinality(scopes) NOT BETWEEN 1 AND 100 OR array_ndims(scopes) > 1
          OR array_position(scopes, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'invalid scopes'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A key has 1 to 100 scopes, in a one-dimensional array without nulls.',
                  HINT = 'Use an array such as ''{tickets:read,webhooks:read}''.';
    END IF;
    SELECT scope INTO unknown
    FROM unnest(scopes) AS scope
    WHERE scope !~ '^([a-z_][a-z0-9_]{0,62}:(read|write)|webhooks:manage|mcp)$'
          OR scope IN ('webhooks:write', 'inbound:write', 'flows:write')
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'invalid scope: "%"', left(unknown, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Scopes are <resource>:read, <resource>:write, webhooks:read, webhooks:manage, inbound:read, flows:read and mcp.',
                  HINT = 'Use a scope such as tickets:read.';
    END IF;
    PERFORM hydra._check_tenant(tenant_id);
    IF expires_at <= now() THEN
        RAISE EXCEPTION 'expires_at is in the past'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It is %s, and now it is %s.', expires_at, now()),
                  HINT = 'Omit it for a key that does not expire.';
    ELSIF approval NOT IN ('console', 'elicit', 'client') THEN
        RAISE EXCEPTION 'invalid approval: "%"', left(approval, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Approval is console, elicit or client.',
                  HINT = 'Omit it for console: a person confirms in the settings.';
    ELSIF requests_per_minute NOT BETWEEN 1 AND 1000000 THEN
        RAISE EXCEPTION 'invalid requests_per_minute: %', requests_per_minute
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The number of requests in a minute is between 1 and 1000000.',
                  HINT = 'Omit it for 600.';
    END IF;
    acts_as := hydra._role_for_requests(caller, coalesce(role, 'hydra_api'));

    INSERT INTO hydra.api_key AS k (name, scopes, tenant_id, role, expires_at, approval, requests_per_minute, created_by)
    VALUES (name, scopes, tenant_id, acts_as, expires_at, coalesce(approval, 'console'), coalesce(requests_per_minute, 600),
            pg_get_userbyid(caller))
    RETURNING k.id INTO id;
    INSERT INTO hydra.api_key_hash (hash, key_id, prefix) VALUES (hash, id, prefix);
    RETURN id;
END
$$;
COMMENT ON FUNCTION hydra._insert_api_key(oid, text, text[], text, text, timestamptz, text, integer, bytea, text) IS
    'Checks and stores an API key of which only the hash is passed; returns its id';

CREATE FUNCTION hydra._locked_api_key(id bigint)
    RETURNS hydra.api_key LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.api_key;
BEGIN
    SELECT known.* INTO found FROM hydra.api_key AS known WHERE known.id = id FOR NO KEY UPDATE;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'API key % does not exist', coalesce(id::text, 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'No API key has this id.',
                  HINT = 'SELECT id, name, prefix FROM hydra.api_keys lists them.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._locked_api_key(bigint) IS 'Locks an API key for a change and returns it; fails if it does not exist';

CREATE FUNCTION hydra.api_key_revoke(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.api_key := hydra._locked_api_key(id);
BEGIN
    UPDATE hydra.api_key AS revoked SET revoked_at = now() WHERE revoked.id = was.id AND was.revoked_at IS NULL;
END
$$;
COMMENT ON FUNCTION hydra.api_key_revoke(bigint) IS
    'Ends an API key: no request that starts after the commit is accepted with it, at any gateway';

CREATE FUNCTION hydra._replace_api_key(caller oid, id bigint, overlap interval, hash bytea, prefix text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.api_key := hydra._locked_api_key(id);
    seconds numeric := extract(epoch FROM overlap);
BEGIN
    IF overlap IS NULL OR seconds NOT BETWEEN 0 AND 30 * 86400 THEN
        RAISE EXCEPTION 'invalid overlap: %', coalesce(overlap::text, 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The overlap, in which both keys are accepted, is between 0 and 30 days.',
                  HINT = 'Omit it to replace the key at once.';
    ELSIF was.revoked_at IS NOT NULL OR was.expires_at <= now() THEN
        RAISE EXCEPTION 'API key % is not in use any more', was.id
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = CASE WHEN was.revoked_at IS NOT NULL THEN format('It was revoked at %s.', was.revoked_at)
                                ELSE format('It expired at %s.', was.expires_at) END,
                  HINT = 'Create another key.';
    END IF;
    -- The caller gets the new key, so it must be one that the caller could create.
    PERFORM hydra._role_for_requests(caller, pg_get_userbyid(was.role));
    -- Without an overlap, earlier overlaps end too, so that a leaked key is no longer accepted.
    UPDATE hydra.api_key_hash AS old
    SET valid_until = now() + make_interval(secs => seconds::double precision)
    WHERE old.key_id = was.id AND (old.valid_until IS NULL OR seconds = 0 AND old.valid_until > now());
    -- Gateways are told for ten minutes what is no longer accepted.
    DELETE FROM hydra.api_key_hash AS old WHERE old.key_id = was.id AND old.valid_until < now() - interval '1 hour';
    INSERT INTO hydra.api_key_hash (hash, key_id, prefix) VALUES (hash, was.id, prefix);
END
$$;
COMMENT ON FUNCTION hydra._replace_api_key(oid, bigint, interval, bytea, text) IS
    'Gives an API key a new text, of which only the hash is passed; the old one is accepted for the overlap';

CREATE FUNCTION hydra._insert_console_link(caller oid, role text, tenant_id text, valid_for interval, hash bytea)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    seconds numeric := extract(epoch FROM valid_for);
BEGIN
    IF valid_for IS NULL OR seconds NOT BETWEEN 1 AND 86400 THEN
        RAISE EXCEPTION 'invalid valid_for: %', coalesce(valid_for::text, 'null')
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A link is valid for 1 second to 1 day.',
                  HINT = 'Omit it for 10 minutes.';
    END IF;
    PERFORM hydra._check_tenant(tenant_id);
    DELETE FROM hydra.login_link AS old WHERE old.valid_until < now();
    INSERT INTO hydra.login_link (hash, role, tenant_id, created_by, valid_until)
    VALUES (hash, hydra._role_for_requests(caller, role), tenant_id, pg_get_userbyid(caller),
            now() + make_interval(secs => seconds::double precision));
END
$$;
COMMENT ON FUNCTION hydra._insert_console_link(oid, text, text, interval, bytea) IS
    'Checks and stores a link to the settings pages of which only the hash is passed';
SET LOCAL search_path = hydra, pg_temp;
