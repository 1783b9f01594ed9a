SET LOCAL search_path = pg_catalog, pg_temp;
-- Functions that expose tables and views of the application in the REST API. hydra.api_expose and hydra.api_hide are written
-- in Rust, which knows the role of their caller. Exposing grants nothing: a request acts as the role of its key, and that
-- role needs the privileges of the request.

CREATE FUNCTION hydra._check_exposed(caller oid, relation regclass)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    exposed record;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION 'relation must not be null'
            USING ERRCODE = 'null_value_not_allowed',
                  DETAIL = 'A resource shows a table or a view.',
                  HINT = 'SELECT hydra.api_expose(''public.tickets'');';
    END IF;
    SELECT c.relkind, c.relowner, c.relpersistence, n.nspname INTO exposed
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = relation;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'relation % does not exist', relation::oid
            USING ERRCODE = 'undefined_table',
                  DETAIL = 'No relation has this OID.',
                  HINT = 'Use the name of a table or view, such as ''public.tickets''.';
    ELSIF exposed.relkind NOT IN ('r', 'p', 'v', 'm', 'f') THEN
        RAISE EXCEPTION '% cannot be exposed', relation
            USING ERRCODE = 'wrong_object_type',
                  DETAIL = 'It is neither a table nor a view.',
                  HINT = 'Expose a table or a view.';
    ELSIF exposed.relpersistence = 't' OR exposed.nspname ~ '^pg_' OR exposed.nspname IN ('hydra', 'information_schema') THEN
        RAISE EXCEPTION '% cannot be exposed', relation
            USING ERRCODE = 'wrong_object_type',
                  DETAIL = CASE WHEN exposed.relpersistence = 't' THEN 'It is temporary.'
                                ELSE format('It is in schema %I, and does not belong to the application.', exposed.nspname) END,
                  HINT = 'Expose a table of the application, or a view on it.';
    ELSIF NOT pg_has_role(caller, exposed.relowner, 'MEMBER') THEN
        RAISE EXCEPTION 'must be owner of %', relation
            USING ERRCODE = 'insufficient_privilege',
                  DETAIL = format('Its owner is %I.', pg_get_userbyid(exposed.relowner)),
                  HINT = 'Let its owner expose it, or a member of that role.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_exposed(oid, regclass) IS 'Fails if the caller cannot expose this relation';

CREATE FUNCTION hydra._tools_of_resource(name text)
    RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY(SELECT verb || '_' || name FROM unnest('{list,get,create,update,delete}'::text[]) AS verb)
$$;
COMMENT ON FUNCTION hydra._tools_of_resource(text) IS 'Names of the tools that a resource of this name has, or may have';

CREATE FUNCTION hydra._check_toolset(toolset text)
    RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF toolset !~ '^[a-z][a-z0-9_]{0,62}$' THEN
        RAISE EXCEPTION 'invalid name of a toolset: "%"', left(toolset, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A name has 1 to 63 letters from a to z, digits and underscores, and begins with a letter.',
                  HINT = 'Pass a name such as ''support''.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_toolset(text) IS 'Fails if a toolset cannot have this name; null: no toolset';

CREATE FUNCTION hydra._check_resource_name(caller oid, relation regclass, name text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    former record;
    tool text;
BEGIN
    IF name !~ '^[a-z][a-z0-9_]{0,62}$' THEN
        RAISE EXCEPTION 'invalid name of a resource: "%"', left(name, 120)
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A name has 1 to 63 letters from a to z, digits and underscores, and begins with a letter.',
                  HINT = 'Pass a name such as ''tickets'', which is then in the path /api/v1/tickets.';
    ELSIF name = ANY ('{me,webhooks,webhook_deliveries,event_types,inbound,inbound_events,flows}') THEN
        RAISE EXCEPTION 'a resource cannot be named "%"', name
            USING ERRCODE = 'reserved_name',
                  DETAIL = 'The API has a path or a scope of this name already.',
                  HINT = 'Pass another name.';
    END IF;
    SELECT c.oid::regclass AS relation, c.relowner INTO former
    FROM hydra.api_resource AS r JOIN pg_class AS c ON c.oid = r.relation
    WHERE r.name = name AND NOT pg_has_role(caller, c.relowner, 'MEMBER');
    IF FOUND THEN
        RAISE EXCEPTION 'resource "%" exists', name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format('It shows %s, whose owner is %I.', former.relation, pg_get_userbyid(former.relowner)),
                  HINT = 'Pass another name, or let that role hide the resource with hydra.api_hide().';
    END IF;
    SELECT t.name INTO tool FROM hydra.tool AS t WHERE t.name = ANY (hydra._tools_of_resource(name)) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a resource cannot be named "%"', name
            USING ERRCODE = 'duplicate_object',
                  DETAIL = format('It would have a tool named %s, and hydra.tool_register() has given this name to a function.', tool),
                  HINT = 'Pass another name, or remove that tool with hydra.tool_unregister().';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_resource_name(oid, regclass, text) IS
    'Fails if the caller cannot give this name to a resource';

CREATE FUNCTION hydra._check_resource_columns(relation regclass, argument text, columns text[])
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    IF array_ndims(columns) > 1 OR array_position(columns, NULL) IS NOT NULL
       OR cardinality(columns) > (SELECT count(DISTINCT name) FROM unnest(columns) AS name) THEN
        RAISE EXCEPTION 'invalid %', argument
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'Columns are a one-dimensional array of names, without nulls and without repetitions.',
                  HINT = 'Use an array such as ''{id,subject}''.';
    END IF;
    SELECT name INTO missing
    FROM unnest(columns) AS name
    WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                      WHERE a.attrelid = relation AND a.attname = name AND a.attnum > 0 AND NOT a.attisdropped)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column % of % does not exist', quote_ident(missing), relation
            USING ERRCODE = 'undefined_column',
                  DETAIL = format('It is named in %s. Names are case-sensitive here.', argument),
                  HINT = 'Use the names in the definition of the relation.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_resource_columns(regclass, text, text[]) IS 'Fails if an argument names columns that the relation does not have';

CREATE FUNCTION hydra._resource_id_column(relation regclass, id_column text)
    RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    kind "char" := (SELECT c.relkind FROM pg_class AS c WHERE c.oid = relation);
    key text := (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.n)
                 FROM pg_index AS i
                 CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
                 JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                 WHERE i.indrelid = relation AND i.indisprimary AND k.n <= i.indnkeyatts);
BEGIN
    IF id_column IS NULL THEN
        id_column := (SELECT a.attname
                      FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                      WHERE i.indrelid = relation AND i.indisprimary AND i.indnkeyatts = 1);
        IF id_column IS NULL THEN
            RAISE EXCEPTION '% has no column that identifies a row', relation
                USING ERRCODE = 'invalid_table_definition',
                      DETAIL = CASE WHEN kind IN ('v', 'm', 'f') THEN 'It is not a table with a primary key.'
                                    WHEN key IS NULL THEN 'It has no primary key.'
                                    ELSE format('Its primary key has several columns: %s.', key) END,
                      HINT = CASE WHEN kind IN ('v', 'm', 'f') THEN 'Pass id_column => the name of a column that is different in each row.'
                                  ELSE 'Add a primary key with one column, or pass id_column => the name of a column that is NOT NULL and UNIQUE.' END;
        END IF;
        RETURN id_column;
    END IF;
    PERFORM hydra._check_resource_columns(relation, 'id_column', ARRAY[id_column]);
    -- Whether the rows of a view have different ids, only its author can know.
    IF kind IN ('r', 'p', 'm')
       AND NOT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                       WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
                             AND i.indpred IS NULL AND a.attname = id_column AND (a.attnotnull OR kind = 'm')) THEN
        RAISE EXCEPTION 'column % of % does not identify a row', quote_ident(id_column), relation
            USING ERRCODE = 'invalid_table_definition',
                  DETAIL = 'A row is found by its id, and pages of a list are divided by it. So it must be NOT NULL, and unique by itself.',
                  HINT = format('ALTER TABLE %s ALTER %I SET NOT NULL, ADD UNIQUE (%I);', relation, id_column, id_column);
    END IF;
    RETURN id_column;
END
$$;
COMMENT ON FUNCTION hydra._resource_id_column(regclass, text) IS
    'The column that identifies a row: the given one, or the primary key; fails if there is none or it does not';

CREATE FUNCTION hydra._searched_columns(relation regclass, tenant_column text)
    RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT a.attname::text
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_am AS am ON am.oid = c.relam AND am.amname = 'btree'
    CROSS JOIN (VALUES (0), (1)) AS place (n)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[place.n]
    JOIN pg_opclass AS o ON o.oid = i.indclass[place.n] AND o.opcdefault
    WHERE i.indrelid = relation AND i.indisvalid AND i.indpred IS NULL AND place.n < i.indnkeyatts
          AND i.indcollation[place.n] = a.attcollation
          AND (place.n = 0
               OR EXISTS (SELECT FROM pg_attribute AS t
                          WHERE t.attrelid = relation AND t.attname = tenant_column AND t.attnum = i.indkey[0]))
$$;
COMMENT ON FUNCTION hydra._searched_columns(regclass, text) IS
    'Columns that lead an index of the relation, or follow the tenant column in one that begins with it';

-- An index that does not cover all rows, or has another operator class or collation, is not used for every filter and order.
CREATE FUNCTION hydra._check_searched(relation regclass, argument text, columns text[], tenant_column text, id_column text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    is_table boolean := (SELECT c.relkind IN ('r', 'p', 'm') FROM pg_class AS c WHERE c.oid = relation);
    missing text;
BEGIN
    SELECT name INTO missing
    FROM unnest(columns) AS name
    JOIN pg_attribute AS a ON a.attrelid = relation AND a.attname = name
    JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE NOT is_table
          AND NOT EXISTS (SELECT FROM pg_opclass AS o JOIN pg_am AS am ON am.oid = o.opcmethod AND am.amname = 'btree'
                      WHERE o.opcdefault
                                AND (o.opcintype = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
                                     OR o.opcintype = CASE WHEN t.typtype = 'e' THEN 'anyenum' WHEN t.typtype = 'r' THEN 'anyrange'
                                                           WHEN t.typtype = 'm' THEN 'anymultirange' WHEN t.typtype = 'c' THEN 'record'
                                                           WHEN t.typcategory = 'A' THEN 'anyarray' END::regtype
                                     OR EXISTS (SELECT FROM pg_cast AS k
                                                WHERE k.castsource = t.oid AND k.casttarget = o.opcintype
                                                      AND k.castmethod = 'b' AND k.castcontext = 'i')))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column % of % cannot be compared', quote_ident(missing), relation
            USING ERRCODE = 'invalid_object_definition',
                  DETAIL = format('It is named in %s, and its type has no order.', argument),
                  HINT = format('Remove it from %s.', argument);
    END IF;
    SELECT name INTO missing
    FROM unnest(columns) AS name
    WHERE is_table AND name <> ALL (ARRAY(SELECT hydra._searched_columns(relation, tenant_column)))
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column % of % has no index', quote_ident(missing), relation
            USING ERRCODE = 'invalid_object_definition',
                  DETAIL = format('It is named in %s. Without an index that begins with %s, a request could read the whole table.',
                                  argument, CASE WHEN tenant_column IS NULL OR tenant_column = missing THEN 'it'
                                                 ELSE format('it, or with %I and it', tenant_column) END),
                  HINT = format('CREATE INDEX ON %s (%s);', relation,
                                (SELECT string_agg(quote_ident(part), ', ' ORDER BY n)
                                 FROM unnest(ARRAY[nullif(tenant_column, missing), missing, nullif(id_column, missing)]) WITH ORDINALITY AS p (part, n)
                                 WHERE part IS NOT NULL));
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_searched(regclass, text, text[], text, text) IS
    'Fails if lists cannot be filtered or sorted by these columns with an index';

CREATE FUNCTION hydra._check_written(
    relation regclass, creatable text[], updatable text[], deletable boolean, tenant_column text, id_column text)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    wrong text;
    -- Bits by the numbers of the commands: 2 UPDATE, 3 INSERT, 4 DELETE.
    possible integer := pg_relation_is_updatable(relation, true);
    refused text := CASE WHEN cardinality(creatable) > 0 AND possible & 8 = 0 THEN 'INSERT'
                         WHEN cardinality(updatable) > 0 AND possible & 4 = 0 THEN 'UPDATE'
                         WHEN deletable AND possible & 16 = 0 THEN 'DELETE' END;
BEGIN
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION '% does not accept %', relation, refused
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  DETAIL = 'It is a view whose rows cannot be changed in this way.',
                  HINT = 'Expose it for reading only, or give it an INSTEAD OF trigger.';
    END IF;
    SELECT name INTO wrong
    FROM (SELECT hydra._refused_columns(relation, 'INSERT', creatable) AS name
          UNION ALL
          SELECT hydra._refused_columns(relation, 'UPDATE', updatable)) AS refused
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column % of % cannot be given', quote_ident(wrong), relation
            USING ERRCODE = 'generated_always',
                  DETAIL = 'Its value is always generated, or computed by the view.',
                  HINT = 'Remove it from creatable and updatable.';
    ELSIF cardinality(creatable) > 0 AND EXISTS (SELECT hydra._refused_columns(relation, 'INSERT', ARRAY[tenant_column])) THEN
        RAISE EXCEPTION 'the tenant column % of % cannot be given', quote_ident(tenant_column), relation
            USING ERRCODE = 'generated_always',
                  DETAIL = 'A row that a key with a tenant creates gets its tenant, and the value of this column is always generated, or computed by the view.',
                  HINT = 'Omit creatable, pass another tenant_column, or let the table store the tenant.';
    ELSIF tenant_column = ANY (updatable) OR id_column = ANY (updatable) THEN
        RAISE EXCEPTION 'column % of % cannot be updatable',
                        quote_ident(CASE WHEN id_column = ANY (updatable) THEN id_column ELSE tenant_column END), relation
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = CASE WHEN id_column = ANY (updatable) THEN 'A row keeps its id.'
                                ELSE 'A row does not move to another tenant.' END,
                  HINT = 'Remove it from updatable.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._check_written(regclass, text[], text[], boolean, text, text) IS
    'Fails if the rows of a relation cannot be written in this way';

CREATE FUNCTION hydra._tell_of_privileges(resource hydra.api_resource)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    exposed record;
    missing text[];
BEGIN
    SELECT n.nspname, c.oid::regclass AS relation INTO exposed
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = resource.relation;
    missing := array_remove(ARRAY[
        CASE WHEN NOT has_table_privilege('hydra_api', resource.relation, 'SELECT') THEN 'SELECT' END,
        CASE WHEN EXISTS (SELECT FROM unnest(resource.creatable) AS name
                          WHERE NOT has_column_privilege('hydra_api', resource.relation, name::text, 'INSERT'))
             THEN format('INSERT (%s)', (SELECT string_agg(quote_ident(name), ', ') FROM unnest(resource.creatable) AS name)) END,
        CASE WHEN EXISTS (SELECT FROM unnest(resource.updatable) AS name
                          WHERE NOT has_column_privilege('hydra_api', resource.relation, name::text, 'UPDATE'))
             THEN format('UPDATE (%s)', (SELECT string_agg(quote_ident(name), ', ') FROM unnest(resource.updatable) AS name)) END,
        CASE WHEN resource.deletable AND NOT has_table_privilege('hydra_api', resource.relation, 'DELETE') THEN 'DELETE' END],
        NULL);
    IF missing = '{}' AND has_schema_privilege('hydra_api', exposed.nspname, 'USAGE') THEN
        RETURN;
    END IF;
    RAISE NOTICE 'role hydra_api lacks privileges for resource "%"', resource.name
        USING DETAIL = 'API keys act as this role unless another one was given to them.',
              HINT = concat_ws(' ',
                  CASE WHEN NOT has_schema_privilege('hydra_api', exposed.nspname, 'USAGE')
                       THEN format('GRANT USAGE ON SCHEMA %I TO hydra_api;', exposed.nspname) END,
                  CASE WHEN missing <> '{}'
                       THEN format('GRANT %s ON %s TO hydra_api;', array_to_string(missing, ', '), exposed.relation) END);
END
$$;
COMMENT ON FUNCTION hydra._tell_of_privileges(hydra.api_resource) IS
    'Says which privileges the default role of API keys lacks for a resource';

CREATE FUNCTION hydra._tell_of_columns(resource hydra.api_resource)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    secret text := (SELECT string_agg(quote_ident(name), ', ' ORDER BY n)
                    FROM unnest(resource.readable) WITH ORDINALITY AS r (name, n) WHERE hydra._looks_secret(name));
    watch record;
BEGIN
    IF secret IS NOT NULL THEN
        RAISE NOTICE 'resource "%" shows columns whose names look secret: %', resource.name, secret
            USING DETAIL = 'Each key with the scope to read the resource gets their values.',
                  HINT = 'If they are, pass readable without them.';
    END IF;
    FOR watch IN
        SELECT w.event, lacking.names AS lacking, additional.names AS additional
        FROM hydra.webhook_watches AS w
        CROSS JOIN LATERAL (
            SELECT coalesce(w."only", ARRAY(SELECT a.attname::text FROM pg_attribute AS a
                                            WHERE a.attrelid = w.source AND a.attnum > 0 AND NOT a.attisdropped
                                                  AND a.attname <> ALL (coalesce(w."except", '{}')))) AS columns) AS sent
        CROSS JOIN LATERAL (SELECT string_agg(quote_ident(name), ', ') AS names
                            FROM unnest(sent.columns) AS name WHERE name <> ALL (resource.readable)) AS lacking
        CROSS JOIN LATERAL (SELECT string_agg(quote_ident(name), ', ') AS names
                            FROM unnest(resource.readable) AS name WHERE name <> ALL (sent.columns)) AS additional
        WHERE w.source = resource.relation AND w.entity IS NULL AND coalesce(lacking.names, additional.names) IS NOT NULL
        ORDER BY w.event
    LOOP
        RAISE NOTICE 'resource "%" does not show what % sends', resource.name, watch.event
            USING DETAIL = concat_ws(' ', 'Only the webhook has: ' || watch.lacking || '.',
                                     'Only the resource has: ' || watch.additional || '.'),
                  HINT = 'Pass the same columns as readable and as only to hydra.webhook_watch() if receivers are to get what the API shows.';
    END LOOP;
END
$$;
COMMENT ON FUNCTION hydra._tell_of_columns(hydra.api_resource) IS
    'Says which columns of a resource look secret, and what webhooks about the same rows send instead';

CREATE FUNCTION hydra._tell_of_order(resource hydra.api_resource)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    kind "char" := (SELECT c.relkind FROM pg_class AS c WHERE c.oid = resource.relation);
    indexes text;
BEGIN
    IF resource.tenant_column IS NULL THEN
        RAISE NOTICE 'resource "%" has no tenant column', resource.name
            USING DETAIL = 'Keys with a tenant do not see it. Keys without one see all rows that their role may read.',
                  HINT = 'Pass tenant_column => the column with the tenant if its rows belong to tenants.';
    END IF;
    IF kind = 'v' AND NOT EXISTS (SELECT FROM pg_class AS c, pg_options_to_table(c.reloptions) AS o
                                  WHERE c.oid = resource.relation AND o.option_name = 'security_invoker'
                                        AND o.option_value IN ('true', 'on', 'yes', '1')) THEN
        RAISE NOTICE 'view % reads its tables as its owner', resource.relation
            USING DETAIL = 'Row security of these tables does not see the role of the key.',
                  HINT = format('ALTER VIEW %s SET (security_invoker = true); if it is to.', resource.relation);
    END IF;
    -- Each order, with the id that decides between equal values, needs an index to begin a page in.
    SELECT string_agg(format('CREATE INDEX ON %s (%s);', resource.relation,
                             (SELECT string_agg(quote_ident(name), ', ' ORDER BY n) FROM unnest(wanted.columns) WITH ORDINALITY AS c (name, n))),
                      ' ' ORDER BY wanted.n)
    INTO indexes
    FROM (SELECT o.n, array_remove(ARRAY[nullif(resource.tenant_column, o.name), o.name, nullif(resource.id_column, o.name)]::text[],
                                   NULL) AS columns
          FROM unnest(resource.id_column || resource.sortable) WITH ORDINALITY AS o (name, n)
          WHERE o.n = 1 OR o.name <> resource.id_column) AS wanted
    WHERE kind IN ('r', 'p', 'm')
          AND NOT EXISTS (
              SELECT FROM pg_index AS i
              CROSS JOIN LATERAL (SELECT array_agg(coalesce(a.attname, '')::text ORDER BY k.n) AS columns
                                  FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
                                  LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                                  WHERE k.n <= i.indnkeyatts) AS key
              WHERE i.indrelid = resource.relation AND i.indisvalid AND i.indpred IS NULL
                    AND (key.columns[:cardinality(wanted.columns)] = wanted.columns
                         OR i.indisunique AND key.columns = wanted.columns[:cardinality(wanted.columns) - 1]));
    IF indexes IS NOT NULL THEN
        RAISE NOTICE 'some lists of resource "%" will be slow if the table is large', resource.name
            USING DETAIL = 'No index has their whole order: the tenant column, the column of the order, and the id, which decides between equal values.',
                  HINT = indexes;
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._tell_of_order(hydra.api_resource) IS
    'Says what keeps tenants from a resource, or makes its lists slow';

-- Behind a view, keys are not looked for.
CREATE FUNCTION hydra._tell_of_other_tenants(resource hydra.api_resource)
    RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    written text[] := resource.creatable::text[] || resource.updatable::text[];
    told text;
BEGIN
    IF resource.tenant_column IS NULL THEN
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(c.relname), ', ' ORDER BY c.relname) INTO told
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    -- An index on an expression depends on the columns in it.
    CROSS JOIN LATERAL (SELECT array_agg(a.attname::text) AS columns
                        FROM pg_attribute AS a
                        WHERE a.attrelid = i.indrelid
                              AND (a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                                   OR EXISTS (SELECT FROM pg_depend AS d
                                              WHERE 0 = ANY (i.indkey::int2[]) AND d.classid = 'pg_class'::regclass
                                                    AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                                                    AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))) AS key
    WHERE i.indrelid = resource.relation AND (i.indisunique OR i.indisexclusion) AND key.columns && written
          AND resource.tenant_column <> ALL (key.columns);
    IF told IS NOT NULL THEN
        RAISE NOTICE 'writes of resource "%" tell which values other tenants have', resource.name
            USING DETAIL = format('These keys are unique among all tenants: %s. A request with a value that is taken gets 409, whoever has it.', told),
                  HINT = format('Make them unique within a tenant, by keys that begin with %I, if the values are to stay unknown.',
                                resource.tenant_column);
    END IF;
    SELECT string_agg(DISTINCT k.confrelid::regclass::text, ', ') INTO told
    FROM pg_constraint AS k
    WHERE k.conrelid = resource.relation AND k.contype = 'f'
          AND EXISTS (SELECT FROM pg_attribute AS a
                      WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND a.attname = ANY (written))
          AND NOT EXISTS (SELECT FROM pg_attribute AS a
                          WHERE a.attrelid = k.confrelid AND a.attnum > 0 AND NOT a.attisdropped
                                AND a.attname = coalesce((SELECT min(r.tenant_column::text) FROM hydra.api_resource AS r
                                                          WHERE r.relation = k.confrelid),
                                                         resource.tenant_column::text));
    IF told IS NOT NULL THEN
        RAISE NOTICE 'rows of resource "%" can refer to all rows of %', resource.name, told
            USING DETAIL = 'No column there is known to have the tenant. Which ids there are can be tried.',
                  HINT = 'If these rows belong to tenants, expose them with tenant_column.';
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._tell_of_other_tenants(hydra.api_resource) IS
    'Says what the answers to writes of a resource tell of the rows of other tenants';

CREATE FUNCTION hydra._expose(
    caller oid, relation regclass, name text, readable text[], creatable text[], updatable text[], filterable text[],
    sortable text[], deletable boolean, id_column text, tenant_column text, description text, toolset text)
    RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    given record;
    all_columns text[];
    searched text[];
    resource hydra.api_resource;
    wrong text;
BEGIN
    PERFORM hydra._check_exposed(caller, relation);
    name := coalesce(name, (SELECT c.relname FROM pg_class AS c WHERE c.oid = relation));
    PERFORM hydra._check_resource_name(caller, relation, name);
    PERFORM hydra._check_toolset(toolset);
    FOR given IN SELECT * FROM (VALUES ('readable', readable), ('creatable', creatable), ('updatable', updatable),
                                       ('filterable', filterable), ('sortable', sortable)) AS g (argument, columns) LOOP
        PERFORM hydra._check_resource_columns(relation, given.argument, given.columns);
    END LOOP;
    id_column := hydra._resource_id_column(relation, id_column);
    all_columns := ARRAY(SELECT a.attname FROM pg_attribute AS a
                         WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum);
    IF tenant_column IS NULL AND 'tenant_id' = ANY (all_columns) THEN
        tenant_column := 'tenant_id';
    ELSIF tenant_column IS NOT NULL THEN
        PERFORM hydra._check_resource_columns(relation, 'tenant_column', ARRAY[tenant_column]);
    END IF;
    readable := coalesce(readable,
                         (SELECT coalesce(w."only", ARRAY(SELECT column_name FROM unnest(all_columns) AS column_name
                                                          WHERE column_name <> ALL (w."except")))
                          FROM hydra.webhook_watches AS w
                          WHERE w.source = relation AND coalesce(w."only", w."except") IS NOT NULL
                          ORDER BY w.event, w.trigger_name LIMIT 1),
                         all_columns);
    IF id_column <> ALL (readable) THEN
        RAISE EXCEPTION 'column % of % must be readable', quote_ident(id_column), relation
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'It identifies a row: without it, nobody could ask for a row of a list.',
                  HINT = 'Add it to readable, or pass another id_column.';
    END IF;
    searched := ARRAY(SELECT s FROM hydra._searched_columns(relation, tenant_column) AS s
                      WHERE s = ANY (readable) ORDER BY array_position(all_columns, s));
    SELECT column_name INTO wrong
    FROM unnest(filterable || sortable) AS column_name WHERE column_name <> ALL (readable) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column % of % is not readable', quote_ident(wrong), relation
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = 'A filter or an order would tell its values.',
                  HINT = 'Add it to readable, or remove it from filterable and sortable.';
    END IF;
    PERFORM hydra._check_searched(relation, 'filterable', filterable, tenant_column, id_column);
    PERFORM hydra._check_searched(relation, 'sortable', sortable, tenant_column, id_column);
    PERFORM hydra._check_written(relation, coalesce(creatable, '{}'), coalesce(updatable, '{}'), coalesce(deletable, false),
                                 tenant_column, id_column);
    IF length(description) NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'invalid description'
            USING ERRCODE = 'invalid_parameter_value',
                  DETAIL = format('A description has 1 to 1000 characters; this one has %s.', length(description)),
                  HINT = 'Omit it for the comment of the relation.';
    END IF;

    INSERT INTO hydra.api_resource AS r (
        name, relation, id_column, tenant_column, readable, creatable, updatable, filterable, sortable, deletable, description,
        toolset, created_by)
    VALUES (name, relation, id_column, tenant_column, readable, coalesce(creatable, '{}'), coalesce(updatable, '{}'),
            coalesce(filterable, searched), coalesce(sortable, searched), coalesce(deletable, false), description,
            coalesce(toolset, 'data'), pg_get_userbyid(caller))
    ON CONFLICT ON CONSTRAINT api_resource_name_key DO UPDATE
    SET relation = excluded.relation, id_column = excluded.id_column, tenant_column = excluded.tenant_column,
        readable = excluded.readable, creatable = excluded.creatable, updatable = excluded.updatable,
        filterable = excluded.filterable, sortable = excluded.sortable, deletable = excluded.deletable,
        description = excluded.description, toolset = excluded.toolset, created_at = now(), created_by = excluded.created_by
    RETURNING r.* INTO resource;
    PERFORM hydra._tell_of_order(resource);
    PERFORM hydra._tell_of_columns(resource);
    PERFORM hydra._tell_of_other_tenants(resource);
    PERFORM hydra._tell_of_privileges(resource);
    RETURN name;
END
$$;
COMMENT ON FUNCTION hydra._expose(oid, regclass, text, text[], text[], text[], text[], text[], boolean, text, text, text, text) IS
    'Checks and stores a resource, or replaces the one of this name; returns its name';

CREATE FUNCTION hydra._hide(caller oid, name text)
    RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM hydra._check_exposed(caller, r.relation)
    FROM hydra.api_resource AS r JOIN pg_class AS c ON c.oid = r.relation
    WHERE r.name = name;
    DELETE FROM hydra.api_resource AS r WHERE r.name = name;
    RETURN FOUND;
END
$$;
COMMENT ON FUNCTION hydra._hide(oid, text) IS 'Removes a resource; returns whether there was one';
SET LOCAL search_path = hydra, pg_temp;
