SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions that manage inbound adapters. Those that get the role of their caller, a secret or a URL are called from Rust.

CREATE FUNCTION hydra._locked_inbound_adapter(id bigint)
    RETURNS hydra.inbound_adapter LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    found hydra.inbound_adapter;
BEGIN
    SELECT known.* INTO found FROM hydra.inbound_adapter AS known WHERE known.id = id FOR NO KEY UPDATE;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'inbound adapter % does not exist', coalesce(id::text, 'null')
            USING ERRCODE = 'undefined_object',
                  DETAIL = 'No inbound adapter has this id; it may have been deleted.',
                  HINT = 'SELECT id, name FROM hydra.inbound_adapters lists them.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION hydra._locked_inbound_adapter(bigint) IS 'Locks an inbound adapter for a change and returns it; fails if it does not exist';

CREATE FUNCTION hydra._check_json_path(path text, what text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    problem text;
BEGIN
    IF octet_length(path) > 8192 THEN
        problem := format('It has %s bytes; a path has at most 8192.', octet_length(path));
    -- Looks for a variable in the path without its string constants. There are no values for variables.
    ELSIF regexp_replace(path, E'(?<![$])"(\\\\.|[^"\\\\])*"', '', 'g') ~ '[$]("|[[:alpha:]_])' THEN
        problem := 'It has a variable, and there are no values for variables.';
    ELSE
        BEGIN
            PERFORM path::jsonpath;
        EXCEPTION WHEN syntax_error OR invalid_text_representation OR data_exception THEN
            problem := SQLERRM || '.';
        END;
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'invalid %: %', what, left(path, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = problem,
                  HINT = 'Use a JSON path such as $.data.id.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_json_path(text, text) IS 'Fails if a text is not a JSON path without variables; the second argument names what it is for';

CREATE FUNCTION hydra._check_inbound_settings(
    name text, tenant_id text, each text, id_path text, type_path text, response jsonb, budget interval, requests_per_second integer,
    events text[], paths text[], maps_tenant boolean)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    given text;
BEGIN
    IF length(name) NOT BETWEEN 1 AND 200 THEN
        RAISE EXCEPTION 'invalid name of an inbound adapter'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A name has 1 to 200 characters; this one has %s.', length(name)),
                  HINT = 'Name the system that will send the requests.';
    END IF;
    PERFORM hydra._check_tenant(tenant_id);
    IF maps_tenant AND tenant_id IS NOT NULL THEN
        RAISE EXCEPTION 'the mapping names a tenant, and the adapter has one'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'All events of an adapter with a tenant belong to this tenant.',
                  HINT = 'Remove tenant_id from the mapping, or make an adapter without a tenant.';
    END IF;
    PERFORM hydra._check_json_path(each, 'each'), hydra._check_json_path(id_path, 'id_path'), hydra._check_json_path(type_path, 'type_path');
    FOREACH given IN ARRAY paths LOOP
        PERFORM hydra._check_json_path(given, 'path in the mapping');
    END LOOP;
    FOREACH given IN ARRAY events LOOP
        IF NOT EXISTS (SELECT FROM hydra.event_type AS known WHERE known.name = given AND known.name !~ '^webhook[.]') THEN
            RAISE EXCEPTION 'event type "%" %', left(given, 120), CASE WHEN given ^@ 'webhook.' THEN 'is reserved' ELSE 'is not registered' END
                USING ERRCODE = 'undefined_object',
                      DETAIL = 'A mapping leads to registered event types that are not those of the extension itself.',
                      HINT = hydra._event_type_correction(
                          left(given, 120),
                          ARRAY(SELECT known.name FROM hydra.event_type AS known WHERE known.origin <> 'extension'));
        END IF;
    END LOOP;
    IF jsonb_typeof(response) <> 'null'
       AND (jsonb_typeof(response) <> 'object' OR octet_length(response::text) > 16384
            OR (SELECT bool_or(CASE part.key WHEN 'status' THEN part.value::text !~ '^2[0-9][0-9]$'
                                             WHEN 'content_type' THEN jsonb_typeof(part.value) <> 'string' OR part.value #>> '{}' !~ '^[ -~]{1,200}$'
                                             WHEN 'body' THEN jsonb_typeof(part.value) <> 'string'
                                             ELSE true END)
                FROM jsonb_each(CASE jsonb_typeof(response) WHEN 'object' THEN response ELSE '{}' END) AS part)) THEN
        RAISE EXCEPTION 'invalid response'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It is an object with the keys status (200 to 299), content_type and body, each of which may be missing; it has at most 16384 bytes.',
                  HINT = 'For example ''{"content_type": "text/xml", "body": "<Response/>"}''.';
    ELSIF extract(epoch FROM budget) NOT BETWEEN 0.1 AND 9 AND extract(epoch FROM budget) <> 0 THEN
        RAISE EXCEPTION 'invalid budget: %', budget
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The time in which the flows of a request may end is between 100 ms and 9 s.',
                  HINT = 'Omit it for that of the provider. What takes longer is done after the answer.';
    ELSIF requests_per_second NOT BETWEEN 0 AND 10000 THEN
        RAISE EXCEPTION 'invalid requests_per_second: %', requests_per_second
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The number of requests in a second is between 1 and 10000.',
                  HINT = 'Omit it for hydra_webhooks.inbound_quota.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_inbound_settings(text, text, text, text, text, jsonb, interval, integer, text[], text[], boolean) IS
    'Fails if an inbound adapter cannot have these settings; null: not given';

CREATE FUNCTION hydra._insert_inbound_adapter(
    caller oid, name text, mapping text, provider text, has_secret boolean, tenant_id text, scheme text, each text, id_path text,
    type_path text, response text, budget interval, requests_per_second integer)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    checked record;
    id bigint;
BEGIN
    IF name IS NULL OR mapping IS NULL THEN
        RAISE EXCEPTION '% must not be null', CASE WHEN name IS NULL THEN 'name' ELSE 'mapping' END
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'An inbound adapter has a name, and a mapping to event types.',
                  HINT = 'SELECT * FROM hydra.inbound_create(''GitHub'', ''{"issues.opened": "ticket.created"}'', provider => ''github'', secret => ''…'');';
    END IF;
    SELECT * INTO checked FROM hydra._check_inbound(provider, scheme, mapping);
    PERFORM hydra._check_inbound_settings(name, tenant_id, each, id_path, type_path, response::jsonb, budget, requests_per_second,
                                          checked.events, checked.paths, checked.maps_tenant);
    IF checked.needs_secret AND NOT has_secret THEN
        RAISE EXCEPTION 'an inbound adapter of this provider needs a secret'
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'Its requests are verified with the secret that the provider shows.',
                  HINT = 'Pass it as secret.';
    END IF;
    id := nextval('hydra.inbound_adapter_id_seq');
    INSERT INTO hydra.inbound_adapter (id, name, mapping, provider, tenant_id, scheme, each, id_path, type_path, response, budget,
                                       requests_per_second, created_by)
    VALUES (id, name, checked.mapping::jsonb, provider, tenant_id, scheme::jsonb, nullif(each, '')::jsonpath, nullif(id_path, '')::jsonpath,
            nullif(type_path, '')::jsonpath, nullif(response::jsonb, 'null'), nullif(budget, '0'), nullif(requests_per_second, 0),
            pg_get_userbyid(caller));
    IF has_secret THEN
        INSERT INTO hydra.inbound_secret (adapter_id, secret) SELECT id, hydra._given_inbound_secret(id);
    END IF;
    RETURN id;
EXCEPTION WHEN integrity_constraint_violation THEN
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra._insert_inbound_adapter(oid, text, text, text, boolean, text, text, text, text, text, text, interval, integer) IS
    'Checks and stores an inbound adapter, and the secret that was given; returns its id';

CREATE FUNCTION hydra.inbound_update(
    id bigint, name text DEFAULT NULL, mapping jsonb DEFAULT NULL, provider text DEFAULT NULL, tenant_id text DEFAULT NULL,
    scheme jsonb DEFAULT NULL, each text DEFAULT NULL, id_path text DEFAULT NULL, type_path text DEFAULT NULL,
    response jsonb DEFAULT NULL, budget interval DEFAULT NULL, requests_per_second integer DEFAULT NULL)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.inbound_adapter := hydra._locked_inbound_adapter(id);
    new_scheme jsonb := CASE WHEN jsonb_typeof(scheme) = 'null' THEN NULL
                             WHEN scheme IS NULL AND provider IS DISTINCT FROM was.provider AND provider IS NOT NULL THEN NULL
                             ELSE coalesce(scheme, was.scheme) END;
    checked record;
BEGIN
    SELECT * INTO checked FROM hydra._check_inbound(coalesce(provider, was.provider), new_scheme::text, coalesce(mapping, was.mapping)::text);
    PERFORM hydra._check_inbound_settings(coalesce(name, was.name), coalesce(tenant_id, was.tenant_id), nullif(each, ''), nullif(id_path, ''),
                                          nullif(type_path, ''), response, budget, requests_per_second, checked.events, checked.paths,
                                          checked.maps_tenant);
    IF checked.needs_secret
       AND NOT EXISTS (SELECT FROM hydra.inbound_secret AS s
                       WHERE s.adapter_id = was.id AND (s.valid_until IS NULL OR s.valid_until > now())) THEN
        RAISE EXCEPTION 'inbound adapter % needs a secret first', was.id
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'Its requests would be verified with the secret that the provider shows, and it has none.',
                  HINT = format('SELECT hydra.inbound_rotate_secret(%s, ''<secret>'');', was.id);
    ELSIF checked.signs_url
          AND EXISTS (SELECT FROM hydra.inbound_path AS p
                      WHERE p.adapter_id = was.id AND p.valid_until IS NULL AND p.token IS NULL)
          AND (provider IS NOT NULL OR scheme IS NOT NULL) THEN
        RAISE NOTICE 'inbound adapter % needs a new URL', was.id
            USING DETAIL = 'The provider signs the whole URL, and only the hash of the present one is stored.',
                  HINT = format('SELECT hydra.inbound_rotate_url(%s);', was.id);
    END IF;
    UPDATE hydra.inbound_adapter AS changed
    SET name = coalesce(inbound_update.name, was.name),
        mapping = checked.mapping::jsonb,
        provider = coalesce(inbound_update.provider, was.provider),
        tenant_id = coalesce(inbound_update.tenant_id, was.tenant_id),
        scheme = new_scheme,
        each = CASE WHEN inbound_update.each IS NULL THEN was.each ELSE nullif(inbound_update.each, '')::jsonpath END,
        id_path = CASE WHEN inbound_update.id_path IS NULL THEN was.id_path ELSE nullif(inbound_update.id_path, '')::jsonpath END,
        type_path = CASE WHEN inbound_update.type_path IS NULL THEN was.type_path ELSE nullif(inbound_update.type_path, '')::jsonpath END,
        response = nullif(coalesce(inbound_update.response, was.response), 'null'),
        budget = nullif(coalesce(inbound_update.budget, was.budget), '0'),
        requests_per_second = nullif(coalesce(inbound_update.requests_per_second, was.requests_per_second), 0)
    WHERE changed.id = was.id;
EXCEPTION WHEN integrity_constraint_violation THEN
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra.inbound_update(bigint, text, jsonb, text, text, jsonb, text, text, text, jsonb, interval, integer) IS
    'Changes an inbound adapter, from its next request on; null leaves a setting unchanged; an empty path, a JSON null and a zero remove one';

CREATE FUNCTION hydra.inbound_pause(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.inbound_adapter := hydra._locked_inbound_adapter(id);
BEGIN
    UPDATE hydra.inbound_adapter AS changed SET state = 'paused' WHERE changed.id = was.id AND was.state <> 'paused';
END
$$;
COMMENT ON FUNCTION hydra.inbound_pause(bigint) IS 'Stops an inbound adapter: its requests get status 503, so that the other system tries again';

CREATE FUNCTION hydra.inbound_resume(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.inbound_adapter := hydra._locked_inbound_adapter(id);
BEGIN
    UPDATE hydra.inbound_adapter AS changed SET state = 'active' WHERE changed.id = was.id AND was.state <> 'active';
END
$$;
COMMENT ON FUNCTION hydra.inbound_resume(bigint) IS 'Starts a paused inbound adapter again';

CREATE FUNCTION hydra.inbound_delete(id bigint)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    was hydra.inbound_adapter := hydra._locked_inbound_adapter(id);
BEGIN
    DELETE FROM hydra.inbound_adapter AS gone WHERE gone.id = was.id;
    -- Events first, and then what is counted: a request locks them in this order.
    UPDATE hydra.inbound_event AS e
    SET state = 'unmatched', reason = 'the adapter was deleted', error = NULL, sqlstate = NULL, due_at = NULL, finished_at = clock_timestamp()
    WHERE e.adapter_id = was.id AND e.state IN ('received', 'failed');
    DELETE FROM hydra.inbound_refused AS r WHERE r.adapter_id = was.id;
    DELETE FROM hydra.inbound_count AS c WHERE c.adapter_id = was.id;
END
$$;
COMMENT ON FUNCTION hydra.inbound_delete(bigint) IS
    'Deletes an inbound adapter, its URLs and its secrets; its events are kept for hydra_webhooks.inbound_retention, and those that were not done never will be';

CREATE FUNCTION hydra._checked_overlap(overlap interval)
    RETURNS interval LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    seconds numeric := coalesce(extract(epoch FROM overlap), 0);
BEGIN
    IF seconds NOT BETWEEN 0 AND 30 * 86400 THEN
        RAISE EXCEPTION 'invalid overlap: %', overlap
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'The overlap, in which both are accepted, is between 0 and 30 days.',
                  HINT = 'Omit it to replace the old one at once.';
    END IF;
    RETURN make_interval(secs => seconds::double precision);
END
$$;
COMMENT ON FUNCTION hydra._checked_overlap(interval) IS 'Returns an overlap; fails if it is too long or negative; null: none';

CREATE FUNCTION hydra._replace_inbound_path(id bigint, overlap interval, hash bytea, prefix text)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.inbound_adapter := hydra._locked_inbound_adapter(id);
    ends interval := hydra._checked_overlap(overlap);
BEGIN
    IF ends = '0' THEN
        DELETE FROM hydra.inbound_path AS old WHERE old.adapter_id = was.id;
    ELSE
        DELETE FROM hydra.inbound_path AS old WHERE old.adapter_id = was.id AND old.valid_until <= now();
        IF (SELECT count(*) FROM hydra.inbound_path AS known WHERE known.adapter_id = was.id) >= 8 THEN
            RAISE EXCEPTION 'inbound adapter % has too many URLs in use', was.id
                USING ERRCODE = 'program_limit_exceeded',
                      DETAIL = 'At most 8 URLs are accepted at a time.',
                      HINT = 'Wait for the end of an overlap, or rotate without one, which ends all overlaps.';
        END IF;
        UPDATE hydra.inbound_path AS old SET valid_until = now() + ends WHERE old.adapter_id = was.id AND old.valid_until IS NULL;
    END IF;
    -- The URL itself is needed only where the provider signs it.
    INSERT INTO hydra.inbound_path (hash, adapter_id, prefix, token)
    SELECT hash, was.id, prefix, CASE WHEN checked.signs_url THEN hydra._given_inbound_token(was.id) END
    FROM hydra._check_inbound(was.provider, was.scheme::text, NULL) AS checked;
END
$$;
COMMENT ON FUNCTION hydra._replace_inbound_path(bigint, interval, bytea, text) IS
    'Gives an inbound adapter a new URL, of which the hash is passed; the old one is accepted for the overlap';

CREATE FUNCTION hydra._replace_inbound_secret(id bigint, overlap interval)
    RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.inbound_adapter := hydra._locked_inbound_adapter(id);
    ends interval := hydra._checked_overlap(overlap);
BEGIN
    IF ends = '0' THEN
        DELETE FROM hydra.inbound_secret AS old WHERE old.adapter_id = was.id;
    ELSE
        DELETE FROM hydra.inbound_secret AS old WHERE old.adapter_id = was.id AND old.valid_until <= now();
        IF (SELECT count(*) FROM hydra.inbound_secret AS known WHERE known.adapter_id = was.id) >= 8 THEN
            RAISE EXCEPTION 'inbound adapter % has too many secrets in use', was.id
                USING ERRCODE = 'program_limit_exceeded',
                      DETAIL = 'At most 8 secrets are accepted at a time.',
                      HINT = 'Wait for the end of an overlap, or rotate without one, which ends all overlaps.';
        END IF;
        UPDATE hydra.inbound_secret AS old
        SET valid_until = greatest(now(), old.valid_from) + ends
        WHERE old.adapter_id = was.id AND old.valid_until IS NULL;
    END IF;
    INSERT INTO hydra.inbound_secret (adapter_id, secret) SELECT was.id, hydra._given_inbound_secret(was.id);
EXCEPTION WHEN integrity_constraint_violation THEN
    PERFORM hydra._refuse_row(SQLSTATE, SQLERRM);
END
$$;
COMMENT ON FUNCTION hydra._replace_inbound_secret(bigint, interval) IS
    'Gives an inbound adapter the secret that was given; the old one is accepted for the overlap';

CREATE FUNCTION hydra._seal_inbound_secrets()
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    secrets bigint;
    tokens bigint;
BEGIN
    -- Others who change secrets lock the adapter first, too.
    PERFORM FROM hydra.inbound_adapter AS a ORDER BY a.id FOR NO KEY UPDATE;
    UPDATE hydra.inbound_secret AS s SET secret = hydra._reseal_inbound_secret(s.secret, s.adapter_id)
    WHERE s.valid_until IS NULL OR s.valid_until > now();
    GET DIAGNOSTICS secrets = ROW_COUNT;
    UPDATE hydra.inbound_path AS p SET token = hydra._reseal_inbound_token(p.token, p.adapter_id)
    WHERE p.token IS NOT NULL AND (p.valid_until IS NULL OR p.valid_until > now());
    GET DIAGNOSTICS tokens = ROW_COUNT;
    RETURN secrets + tokens;
END
$$;
COMMENT ON FUNCTION hydra._seal_inbound_secrets() IS
    'Seals the secrets of inbound adapters, and their URLs where these are stored, with the first key; returns how many';

CREATE FUNCTION hydra._replay_inbound(id bigint, since timestamptz, until timestamptz)
    RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    was hydra.inbound_adapter := hydra._locked_inbound_adapter(id);
    replayed bigint;
    replayed_unmatched bigint;
BEGIN
    IF since >= until THEN
        RAISE EXCEPTION 'invalid period'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('It begins at %s and ends at %s.', since, until),
                  HINT = 'Omit one or both to replay all.';
    END IF;
    WITH chosen AS MATERIALIZED (
        SELECT e.id, e.state
        FROM hydra.inbound_event AS e
        WHERE e.adapter_id = was.id AND e.state IN ('unmatched', 'failed') AND e.hops < 5 AND NOT e.is_whole
              AND e.received_at >= coalesce(since, '-infinity') AND e.received_at < coalesce(until, 'infinity')
        ORDER BY e.id
        FOR NO KEY UPDATE),
    changed AS (
        UPDATE hydra.inbound_event AS e
        SET state = 'received', due_at = clock_timestamp(), attempts = 0, reason = NULL, error = NULL, sqlstate = NULL,
            finished_at = NULL
        FROM chosen
        WHERE e.id = chosen.id
        RETURNING chosen.state)
    SELECT count(*), count(*) FILTER (WHERE changed.state = 'unmatched') INTO replayed, replayed_unmatched FROM changed;
    IF replayed_unmatched > 0 THEN
        -- What becomes of them is counted again. The row of one session may not have that many, so all become one.
        WITH gone AS (DELETE FROM hydra.inbound_count AS c WHERE c.adapter_id = was.id RETURNING c.*)
        INSERT INTO hydra.inbound_count (adapter_id, slot, received, matched, unmatched, duplicates, refused, last_received_at)
        SELECT was.id, -1, sum(gone.received), sum(gone.matched), greatest(sum(gone.unmatched) - replayed_unmatched, 0),
               sum(gone.duplicates), sum(gone.refused), max(gone.last_received_at)
        FROM gone
        HAVING count(*) > 0;
    END IF;
    RETURN replayed;
END
$$;
COMMENT ON FUNCTION hydra._replay_inbound(bigint, timestamptz, timestamptz) IS
    'Makes events of an inbound adapter due that came in this time and are failed or unmatched; returns how many';
SET LOCAL search_path = hydra, pg_temp;
