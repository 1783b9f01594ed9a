SET LOCAL search_path = pg_catalog, pg_temp;
-- What an administrator has to look after, checked in one call. Each function below returns the rows of one subject. Where complete
-- is false, they leave out what only administrators may see: addresses of private networks, and lines of pg_hba.conf.

CREATE FUNCTION hydra._doctor_on_workers(OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT 'worker processes', needed.workers + others.workers <= most.workers,
           format('max_worker_processes is %s; hydra_webhooks needs %s, and %s belong to others', most.workers, needed.workers, others.workers),
           CASE WHEN needed.workers + others.workers > most.workers
                THEN format('set max_worker_processes to %s or more, and more if parallel queries are to have workers, and restart the server',
                            needed.workers + others.workers) END
    FROM (SELECT current_setting('max_worker_processes')::bigint AS workers) AS most,
         -- A launcher, two dispatchers that look at databases, one in each database, a runner in one at a time or more, and the
         -- supervisor of a gateway.
         (SELECT 4 + (SELECT count(*) FROM hydra._database_status())
                 + CASE WHEN current_setting('hydra_webhooks.listen', true) <> '' THEN 1 ELSE 0 END AS workers) AS needed,
         (SELECT count(*) AS workers FROM pg_stat_activity AS a
          WHERE a.backend_type <> ALL (ARRAY[
                    'client backend', 'autovacuum launcher', 'autovacuum worker', 'background writer', 'checkpointer', 'walwriter', 'walsender',
                    'walreceiver', 'walsummarizer', 'startup', 'archiver', 'logger', 'slotsync worker', 'io worker', 'parallel worker'])
                AND NOT a.backend_type ^@ 'hydra_webhooks ') AS others
$$;
COMMENT ON FUNCTION hydra._doctor_on_workers() IS 'For hydra.webhook_doctor: whether there are enough background worker slots';

CREATE FUNCTION hydra._hba_names(entries text[], name text)
    RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM unnest(entries) AS entry
        WHERE CASE WHEN entry IN ('all', name) THEN true
                   WHEN entry ^@ '/' THEN name ~ substr(entry, 2)
                   -- A group, for names of roles; those of databases have no plus.
                   WHEN entry ^@ '+' THEN EXISTS (SELECT FROM pg_roles AS r
                                                  WHERE r.rolname = substr(entry, 2) AND pg_has_role(name, r.oid, 'MEMBER'))
                   ELSE false END)
$$;
COMMENT ON FUNCTION hydra._hba_names(text[], text) IS 'Whether names of a line of pg_hba.conf are or include this one';

-- A line whose addresses are names or those of the server may be about any address, and takes none from the lines after it.
CREATE FUNCTION hydra._hba_rules(
    OUT number integer, OUT place text, OUT type text, OUT method text, OUT address inet, OUT mask inet, OUT is_exact boolean)
    RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    -- From PostgreSQL 16 on, there can be several files, and each counts its lines from 1.
    SELECT coalesce((to_jsonb(r) ->> 'rule_number')::integer, r.line_number),
           format('line %s of %s', r.line_number, coalesce(regexp_replace(to_jsonb(r) ->> 'file_name', '^.*/', ''), 'pg_hba.conf')),
           r.type, r.auth_method, part.address, part.mask, r.netmask IS NOT NULL OR r.address = 'all' OR r.type = 'local'
    FROM pg_hba_file_rules AS r
    CROSS JOIN LATERAL (
        SELECT r.address::inet AS address, r.netmask::inet AS mask WHERE r.netmask IS NOT NULL
        UNION ALL
        SELECT zero.address::inet, zero.address::inet FROM (VALUES ('0.0.0.0'), ('::')) AS zero (address)
        WHERE r.netmask IS NULL AND r.type <> 'local'
        UNION ALL
        SELECT NULL, NULL WHERE r.type = 'local') AS part
    WHERE r.error IS NULL AND hydra._hba_names(r.user_name, 'hydra_worker') AND hydra._hba_names(r.database, current_database())
$$;
COMMENT ON FUNCTION hydra._hba_rules() IS
    'The lines of pg_hba.conf that are about hydra_worker and this database, in their order; one for IPv4 and one for IPv6 if a line is about both';

CREATE FUNCTION hydra._doctor_on_logins(complete boolean, OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    rule record;
BEGIN
    subject := 'role hydra_worker';
    IF NOT has_table_privilege('pg_authid', 'SELECT') OR NOT has_function_privilege('pg_hba_file_rules()', 'EXECUTE') THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pg_authid AS a WHERE a.rolname = 'hydra_worker' AND (a.rolpassword IS NOT NULL OR a.rolsuper)) THEN
        ok := false;
        finding := 'it has a password or is a superuser, and it can read all signing secrets';
        remedy := 'ALTER ROLE hydra_worker NOSUPERUSER PASSWORD NULL';
        RETURN NEXT;
    END IF;
    -- The first line that is about a connection decides.
    FOR rule IN
        SELECT DISTINCT ON (r.type = 'local') r.place, r.type, r.method
        FROM hydra._hba_rules() AS r
        WHERE r.method IN ('trust', 'peer', 'ident', 'cert', 'gss', 'sspi')
              AND NOT EXISTS (
                  SELECT FROM hydra._hba_rules() AS former
                  WHERE former.number < r.number AND former.is_exact
                        AND (former.type = r.type OR former.type = 'host' AND r.type <> 'local')
                        AND CASE WHEN r.type = 'local' THEN true
                                 WHEN family(former.address) <> family(r.address) THEN false
                                 ELSE (r.address & former.mask) = (former.address & former.mask) AND (r.mask & former.mask) = former.mask END)
        ORDER BY r.type = 'local', r.number
    LOOP
        ok := false;
        finding := 'clients can log in as this role, which can read all signing secrets';
        remedy := 'call hydra.webhook_doctor() as a member of hydra_admin, which sees the line of pg_hba.conf';
        IF complete THEN
            finding := format('%s, by %s (%s, %s)', finding, rule.place, rule.type, rule.method);
            remedy := format('put this line before it, and reload: %s',
                             CASE rule.type WHEN 'local' THEN 'local all hydra_worker reject' ELSE 'host all hydra_worker all reject' END);
        END IF;
        RETURN NEXT;
        EXIT WHEN NOT complete;
    END LOOP;
    IF finding IS NULL THEN
        ok := true;
        finding := 'no client can log in as this role';
        RETURN NEXT;
    END IF;
END
$$;
COMMENT ON FUNCTION hydra._doctor_on_logins(boolean) IS 'For hydra.webhook_doctor: whether clients can log in as hydra_worker';

CREATE FUNCTION hydra._doctor_on_subscriptions(complete boolean, OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('subscription %s', s.id), CASE WHEN s.status <> 'paused' THEN false END,
           CASE WHEN s.keeps_events THEN format('it is paused since %s; events of this time are kept for it, and it has missed so far: %s', s.status_since, s.missed)
                WHEN s.status = 'paused' THEN format('it is paused since %s; events of this time are not kept for it', s.status_since)
                                              || CASE WHEN s.missed > 0 THEN format('; events that it had missed before: %s', s.missed) ELSE '' END
                WHEN s.status = 'disabled' THEN format('it is disabled (%s) since %s; events that it has missed: %s', s.disabled_reason, s.status_since, s.missed)
                WHEN s.waiting_for IS NOT NULL THEN format('nothing can be sent to it: %s', CASE WHEN complete THEN s.waiting_for ELSE hydra._shown_error(s.waiting_for) END)
                ELSE format('it fails since %s (attempts in a row: %s): %s', s.failing_since, s.consecutive_failures,
                            CASE WHEN complete THEN s.last_error ELSE hydra._shown_error(s.last_error) END) END,
           CASE WHEN s.keeps_events OR s.status = 'paused' AND s.missed > 0
                THEN format('SELECT hydra.webhook_resume(%s, missed => ''send'') when it may go on', s.id)
                WHEN s.status = 'paused' THEN format('SELECT hydra.webhook_resume(%s) when it may go on', s.id)
                WHEN s.status = 'disabled' THEN format('mend its endpoint, then SELECT hydra.webhook_resume(%s, missed => ''send'')', s.id)
                WHEN s.waiting_for IS NOT NULL THEN 'mend this on this server, or in its settings or its network, and reload'
                ELSE 'ask the owner of its endpoint; hydra.webhook_history has the answers' END
    FROM hydra.webhook_subscriptions AS s
    WHERE s.status <> 'active' OR s.waiting_for IS NOT NULL OR s.consecutive_failures > 0
    ORDER BY s.id
$$;
COMMENT ON FUNCTION hydra._doctor_on_subscriptions(boolean) IS
    'For hydra.webhook_doctor: subscriptions that are paused or disabled, that fail, or to which nothing can be sent';

CREATE FUNCTION hydra._doctor_on_watches(OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    RETURNS SETOF record LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    SELECT format('watch of %s for %s', w.source, w.event), found.ok, found.finding, found.remedy
    FROM hydra.webhook_watches AS w
    LEFT JOIN hydra.event_type AS t ON t.name = w.event
    CROSS JOIN LATERAL (
        SELECT false AS ok, w.problem AS finding,
               CASE WHEN w.problem = format('event type "%s" is not registered', w.event)
                    THEN format('SELECT hydra.webhook_register_event_type(%L), or remove the watch with hydra.webhook_unwatch', w.event)
                    ELSE 'mend the watch with hydra.webhook_watch, or remove it with hydra.webhook_unwatch' END AS remedy
        WHERE w.problem IS NOT NULL
        UNION ALL
        SELECT NULL, n.note, n.hint
        FROM hydra._watch_notes(w.source, w.event, w.level, w.entity, w."only", w."except", t.id_key) AS n) AS found
    ORDER BY found.ok, w.trigger_name
$$;
COMMENT ON FUNCTION hydra._doctor_on_watches() IS
    'For hydra.webhook_doctor: watches that do not fit, and notes on watches, of which only their author can say whether they are right';

CREATE FUNCTION hydra._doctor(complete boolean, OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT 'dispatcher', w.state = 'running' AND w.detail = 'events are sent', format('%s: %s', w.state, w.detail),
               CASE WHEN w.state <> 'running' OR w.detail <> 'events are sent'
                    THEN 'see the section "State of the dispatcher" of the manual, and the server log' END
        FROM hydra.webhook_worker_status AS w;
    RETURN QUERY
        SELECT 'extension', e.extversion = a.default_version, format('version %s is created, version %s is installed', e.extversion, a.default_version),
               CASE WHEN e.extversion <> a.default_version THEN 'ALTER EXTENSION hydra_webhooks UPDATE' END
        FROM pg_extension AS e
        JOIN pg_available_extensions AS a ON a.name = e.extname
        WHERE e.extname = 'hydra_webhooks';
    RETURN QUERY SELECT w.* FROM hydra._doctor_on_workers() AS w;
    RETURN QUERY SELECT l.* FROM hydra._doctor_on_logins(complete) AS l;
    RETURN QUERY
        -- It is off if it serves another database of the server, as it should.
        SELECT 'gateway', g.state IN ('listening', 'off'), format('%s: %s', g.state, g.detail),
               CASE WHEN g.state NOT IN ('listening', 'off') THEN g.hint END
        FROM hydra.gateway_status AS g
        WHERE current_setting('hydra_webhooks.listen', true) <> '';
    RETURN QUERY SELECT s.* FROM hydra._doctor_on_subscriptions(complete) AS s;
    RETURN QUERY SELECT w.* FROM hydra._doctor_on_watches() AS w;
    RETURN QUERY
        SELECT 'kept events', false, format('events of watches that did not fit, which are not sent: %s', count(*)),
               'hydra.webhook_kept lists them; hydra.webhook_send_kept sends one'
        FROM hydra.kept_event HAVING count(*) > 0;
    RETURN QUERY
        SELECT 'failed deliveries', false, format('deliveries that were given up: %s', count(*)),
               'hydra.webhook_failed lists them; hydra.webhook_replay sends them again, hydra.webhook_cancel removes them'
        FROM hydra.delivery AS d WHERE d.state = 'failed' HAVING count(*) > 0;
END
$$;
COMMENT ON FUNCTION hydra._doctor(boolean) IS 'What hydra.webhook_doctor returns, with or without what only administrators may see';

-- Which of these two a role may execute decides what it sees.
CREATE FUNCTION hydra._doctor_for_admins(OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT d.* FROM hydra._doctor(true) AS d
$$;
COMMENT ON FUNCTION hydra._doctor_for_admins() IS 'What hydra.webhook_doctor returns to administrators';

CREATE FUNCTION hydra._doctor_for_others(OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    RETURNS SETOF record LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT d.* FROM hydra._doctor(false) AS d
$$;
COMMENT ON FUNCTION hydra._doctor_for_others() IS
    'What hydra.webhook_doctor returns to others: without addresses of private networks and lines of pg_hba.conf';

CREATE FUNCTION hydra.webhook_doctor(OUT subject text, OUT ok boolean, OUT finding text, OUT remedy text)
    RETURNS SETOF record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF has_function_privilege('hydra._doctor_for_admins()', 'EXECUTE') THEN
        RETURN QUERY SELECT d.* FROM hydra._doctor_for_admins() AS d;
    ELSE
        RETURN QUERY SELECT d.* FROM hydra._doctor_for_others() AS d;
    END IF;
END
$$;
COMMENT ON FUNCTION hydra.webhook_doctor() IS
    'Checks what an administrator has to look after, for this database: each row is a subject, whether it is as it should be (null: only a person can say), what was found, and what to do';
SET LOCAL search_path = hydra, pg_temp;
