-- The helpdesk for models: functions that answer what people ask about tickets, customers and webhooks, and functions that do what
-- people do all day. With the tools of the tables and those of the extension, a key of one workspace with all scopes finds 57, in
-- the toolsets support, crm, analytics and automation.
--
-- It needs examples/helpdesk.sql, and a superuser, because it gives a function to another role:
--
--     psql -v ON_ERROR_STOP=1 -d <database> -f examples/helpdesk_tools.sql
--
-- Then make a key. What its scopes do not permit does not exist for it:
--
--     SELECT key FROM hydra.api_key_create('assistant', '{mcp,tickets:read,support:read,support:write,analytics:read}', tenant_id => 'lumen');
--
-- A function reads and writes as the role of the key, hydra_api, whose rows are those of the workspace of the key: helpdesk.sql has
-- the policies. So there is no tenant in the conditions here. Messages of RAISE EXCEPTION are read by the model.
--
-- To remove this: DROP SCHEMA helpdesk CASCADE; and, if no other database of the cluster has a helpdesk,
-- DROP OWNED BY helpdesk_reports; DROP ROLE helpdesk_reports;

BEGIN;

-- A model is told which values there are.
CREATE DOMAIN helpdesk.ticket_priority AS text CHECK (VALUE IN ('low', 'normal', 'high', 'urgent'));
CREATE DOMAIN helpdesk.account_stage AS text CHECK (VALUE IN ('prospect', 'onboarding', 'active', 'at_risk', 'churned'));

-- Of each ticket: when it was answered first, who spoke last, and since when it waits. Whoever reads it sees the rows of its workspace.
CREATE VIEW helpdesk.ticket_state WITH (security_invoker = true) AS
SELECT t.id, first.answered_at, coalesce(last.author, 'customer') AS last_author, coalesce(last.created_at, t.created_at) AS last_at,
       t.status NOT IN ('resolved', 'closed') AS is_unresolved
FROM helpdesk.tickets AS t
LEFT JOIN LATERAL (
    SELECT min(r.created_at) AS answered_at FROM helpdesk.replies AS r WHERE r.ticket_id = t.id AND r.author = 'agent') AS first ON true
LEFT JOIN LATERAL (
    SELECT r.author, r.created_at FROM helpdesk.replies AS r WHERE r.ticket_id = t.id ORDER BY r.created_at DESC, r.id DESC LIMIT 1
    ) AS last ON true;

CREATE FUNCTION helpdesk.ticket_with(wanted bigint) RETURNS helpdesk.tickets LANGUAGE plpgsql STABLE AS $$
DECLARE
    ticket helpdesk.tickets;
BEGIN
    SELECT t.* INTO ticket FROM helpdesk.tickets AS t WHERE t.number = wanted;
    IF ticket.id IS NULL THEN
        RAISE EXCEPTION 'There is no ticket %.', wanted;
    END IF;
    RETURN ticket;
END $$;

CREATE FUNCTION helpdesk.agent_with(address text) RETURNS helpdesk.agents LANGUAGE plpgsql STABLE AS $$
DECLARE
    agent helpdesk.agents;
BEGIN
    SELECT a.* INTO agent FROM helpdesk.agents AS a WHERE lower(a.email) = lower(address);
    IF agent.id IS NULL THEN
        RAISE EXCEPTION 'No agent has the address %. list_agents returns all.', address;
    END IF;
    RETURN agent;
END $$;

-- ---------------------------------------------------------------------------------------------------------------------
-- Support
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION helpdesk.ticket_story(number bigint) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'number', t.number, 'subject', t.subject, 'status', t.status, 'priority', t.priority,
        'opened_at', t.created_at, 'channel', v.channel, 'assignee', a.name,
        'customer', jsonb_build_object('id', c.id, 'name', c.name, 'email', c.email, 'account', x.name, 'stage', x.lifecycle_stage),
        'first_response_after', s.answered_at - t.created_at, 'resolved_at', t.resolved_at,
        'waits_for', CASE WHEN NOT s.is_unresolved THEN 'nobody' WHEN s.last_author = 'customer' THEN 'us' ELSE 'the customer' END,
        'replies', coalesce((SELECT jsonb_agg(jsonb_build_object('at', r.created_at, 'by', r.author, 'text', r.body) ORDER BY r.id)
                             FROM helpdesk.replies AS r WHERE r.ticket_id = t.id), '[]'))
    FROM helpdesk.ticket_with(number) AS t
    JOIN helpdesk.ticket_state AS s ON s.id = t.id
    JOIN helpdesk.customers AS c ON c.id = t.customer_id
    LEFT JOIN helpdesk.accounts AS x ON x.id = c.account_id
    LEFT JOIN helpdesk.conversations AS v ON v.id = t.conversation_id
    LEFT JOIN helpdesk.agents AS a ON a.id = t.assignee_id
$$;
COMMENT ON FUNCTION helpdesk.ticket_story(bigint) IS
'Answers: what happened to ticket 42? Returns who asked, all replies, who works on it, and whose turn it is.
number: Number of the ticket, as people say it; not its id';

CREATE FUNCTION helpdesk.unanswered_tickets(older_than interval DEFAULT '4 hours')
    RETURNS TABLE (number bigint, subject text, priority text, customer text, assignee text, waits_since timestamptz)
    LANGUAGE sql STABLE AS $$
    SELECT t.number, t.subject, t.priority, c.name, a.name, s.last_at
    FROM helpdesk.tickets AS t
    JOIN helpdesk.ticket_state AS s ON s.id = t.id
    JOIN helpdesk.customers AS c ON c.id = t.customer_id
    LEFT JOIN helpdesk.agents AS a ON a.id = t.assignee_id
    WHERE s.is_unresolved AND s.last_author = 'customer' AND s.last_at <= now() - older_than
    ORDER BY s.last_at, t.number
$$;
COMMENT ON FUNCTION helpdesk.unanswered_tickets(interval) IS
'Answers: which customers are waiting for us? Returns unresolved tickets in which the customer spoke last, who waits longest first.
older_than: How long they have waited at least, such as 4 hours or 2 days';

CREATE FUNCTION helpdesk.search_tickets(words text)
    RETURNS TABLE (number bigint, subject text, status text, customer text, opened_at timestamptz, found_in text)
    LANGUAGE sql STABLE AS $$
    SELECT t.number, t.subject, t.status, c.name, t.created_at,
           CASE WHEN to_tsvector('english', t.subject) @@ q.query THEN t.subject ELSE said.body END
    FROM websearch_to_tsquery('english', words) AS q (query)
    CROSS JOIN helpdesk.tickets AS t
    JOIN helpdesk.customers AS c ON c.id = t.customer_id
    LEFT JOIN LATERAL (
        SELECT left(r.body, 300) AS body FROM helpdesk.replies AS r
        WHERE r.ticket_id = t.id AND to_tsvector('english', r.body) @@ q.query ORDER BY r.id DESC LIMIT 1) AS said ON true
    WHERE to_tsvector('english', t.subject) @@ q.query OR said.body IS NOT NULL
    ORDER BY t.created_at DESC, t.number DESC
$$;
COMMENT ON FUNCTION helpdesk.search_tickets(text) IS
'Finds tickets by words in the subject or in a reply, the newest first.
words: All of these words; "quoted words" are a phrase, -word excludes, or is allowed';

CREATE FUNCTION helpdesk.similar_tickets(number bigint)
    RETURNS TABLE (ticket bigint, subject text, resolved_at timestamptz, last_answer text) LANGUAGE sql STABLE AS $$
    SELECT t.number, t.subject, t.resolved_at,
           (SELECT left(r.body, 1000) FROM helpdesk.replies AS r
            WHERE r.ticket_id = t.id AND r.author = 'agent' ORDER BY r.id DESC LIMIT 1)
    FROM helpdesk.ticket_with(number) AS this
    CROSS JOIN LATERAL (SELECT string_agg(quote_literal(word.lexeme), ' | ')::tsquery AS words
                        FROM unnest(to_tsvector('english', this.subject)) AS word) AS about
    JOIN helpdesk.tickets AS t ON t.id <> this.id AND to_tsvector('english', t.subject) @@ about.words
    WHERE t.resolved_at IS NOT NULL
    ORDER BY ts_rank(to_tsvector('english', t.subject), about.words) DESC, t.resolved_at DESC
$$;
COMMENT ON FUNCTION helpdesk.similar_tickets(bigint) IS
'Answers: have we solved this before? Returns resolved tickets with a similar subject and what we answered, the most similar first.
number: Number of the ticket that is to be solved';

CREATE FUNCTION helpdesk.reply_to_ticket(number bigint, body text, wait_for_customer boolean DEFAULT true)
    RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    ticket helpdesk.tickets := helpdesk.ticket_with(number);
BEGIN
    IF ticket.status IN ('resolved', 'closed') THEN
        RAISE EXCEPTION 'Ticket % is %. Reopen it first.', ticket.number, ticket.status;
    END IF;
    INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body) VALUES (ticket.tenant_id, ticket.id, 'agent', body);
    IF wait_for_customer THEN
        UPDATE helpdesk.tickets AS t SET status = 'waiting' WHERE t.id = ticket.id AND t.status <> 'waiting';
    END IF;
    RETURN jsonb_build_object('number', ticket.number, 'status', CASE WHEN wait_for_customer THEN 'waiting' ELSE ticket.status END);
END $$;
COMMENT ON FUNCTION helpdesk.reply_to_ticket(bigint, text, boolean) IS
'Answers a ticket in the name of the team.
number: Number of the ticket
body: What the customer reads
wait_for_customer: Whether the ticket then waits for the customer';

CREATE FUNCTION helpdesk.assign_ticket(number bigint, agent_email text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    ticket helpdesk.tickets := helpdesk.ticket_with(number);
    agent helpdesk.agents := helpdesk.agent_with(agent_email);
BEGIN
    UPDATE helpdesk.tickets AS t SET assignee_id = agent.id WHERE t.id = ticket.id;
    RETURN jsonb_build_object('number', ticket.number, 'assignee', agent.name);
END $$;
COMMENT ON FUNCTION helpdesk.assign_ticket(bigint, text) IS
'Gives a ticket to an agent.
number: Number of the ticket
agent_email: Address of the agent, which list_agents returns';

CREATE FUNCTION helpdesk.resolve_ticket(number bigint, answer text DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    ticket helpdesk.tickets := helpdesk.ticket_with(number);
BEGIN
    IF ticket.status IN ('resolved', 'closed') THEN
        RAISE EXCEPTION 'Ticket % is % already.', ticket.number, ticket.status;
    END IF;
    IF answer IS NOT NULL THEN
        INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body) VALUES (ticket.tenant_id, ticket.id, 'agent', answer);
    END IF;
    UPDATE helpdesk.tickets AS t SET status = 'resolved', resolved_at = now() WHERE t.id = ticket.id;
    RETURN jsonb_build_object('number', ticket.number, 'status', 'resolved');
END $$;
COMMENT ON FUNCTION helpdesk.resolve_ticket(bigint, text) IS
'Marks a ticket as resolved, with a last answer if there is something to say.
number: Number of the ticket
answer: What the customer reads';

CREATE FUNCTION helpdesk.reopen_ticket(number bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    ticket helpdesk.tickets := helpdesk.ticket_with(number);
BEGIN
    IF ticket.status NOT IN ('resolved', 'closed') THEN
        RAISE EXCEPTION 'Ticket % is %, and not resolved.', ticket.number, ticket.status;
    END IF;
    UPDATE helpdesk.tickets AS t SET status = 'open', resolved_at = NULL WHERE t.id = ticket.id;
    RETURN jsonb_build_object('number', ticket.number, 'status', 'open');
END $$;
COMMENT ON FUNCTION helpdesk.reopen_ticket(bigint) IS
'Opens a ticket again that was resolved or closed.
number: Number of the ticket';

CREATE FUNCTION helpdesk.set_ticket_priority(number bigint, priority helpdesk.ticket_priority) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    ticket helpdesk.tickets := helpdesk.ticket_with(number);
BEGIN
    UPDATE helpdesk.tickets AS t SET priority = set_ticket_priority.priority WHERE t.id = ticket.id;
    RETURN jsonb_build_object('number', ticket.number, 'priority', priority, 'was', ticket.priority);
END $$;
COMMENT ON FUNCTION helpdesk.set_ticket_priority(bigint, helpdesk.ticket_priority) IS
'Says how urgent a ticket is.
number: Number of the ticket';

CREATE FUNCTION helpdesk.hand_over_tickets(from_email text, to_email text) RETURNS TABLE (number bigint, subject text, status text)
    LANGUAGE plpgsql AS $$
DECLARE
    giver helpdesk.agents := helpdesk.agent_with(from_email);
    taker helpdesk.agents := helpdesk.agent_with(to_email);
BEGIN
    RETURN QUERY
    UPDATE helpdesk.tickets AS t SET assignee_id = taker.id
    WHERE t.assignee_id = giver.id AND t.status NOT IN ('resolved', 'closed')
    RETURNING t.number, t.subject, t.status;
END $$;
COMMENT ON FUNCTION helpdesk.hand_over_tickets(text, text) IS
'Gives all unresolved tickets of one agent to another one, who is ill or on holiday. Returns these tickets.
from_email: Address of the agent who has them
to_email: Address of the agent who gets them';

-- ---------------------------------------------------------------------------------------------------------------------
-- CRM
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION helpdesk.accounts_at_risk(health_below integer DEFAULT 50)
    RETURNS TABLE (account text, stage text, health_score smallint, open_tickets bigint, urgent bigint, waiting_for_us bigint,
                   oldest_open timestamptz)
    LANGUAGE sql STABLE AS $$
    SELECT x.name, x.lifecycle_stage, x.health_score, count(*), count(*) FILTER (WHERE t.priority = 'urgent'),
           count(*) FILTER (WHERE s.last_author = 'customer'), min(t.created_at)
    FROM helpdesk.accounts AS x
    JOIN helpdesk.customers AS c ON c.account_id = x.id
    JOIN helpdesk.tickets AS t ON t.customer_id = c.id
    JOIN helpdesk.ticket_state AS s ON s.id = t.id AND s.is_unresolved
    WHERE x.lifecycle_stage = 'at_risk' OR x.health_score < health_below
    GROUP BY x.id
    ORDER BY count(*) DESC, x.name
$$;
COMMENT ON FUNCTION helpdesk.accounts_at_risk(integer) IS
'Answers: which accounts may we lose, and what do they wait for? Returns accounts at risk or in bad health that have unresolved tickets.
health_below: Accounts whose health score, from 0 to 100, is below this count too';

CREATE FUNCTION helpdesk.customer_history(email text) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    customer helpdesk.customers;
BEGIN
    SELECT c.* INTO customer FROM helpdesk.customers AS c WHERE lower(c.email) = lower(customer_history.email);
    IF customer.id IS NULL THEN
        RAISE EXCEPTION 'No customer has the address %.', email;
    END IF;
    RETURN jsonb_build_object(
        'id', customer.id, 'name', customer.name, 'kind', customer.kind, 'source', customer.source, 'since', customer.created_at,
        'account', (SELECT jsonb_build_object('name', x.name, 'stage', x.lifecycle_stage, 'health_score', x.health_score)
                    FROM helpdesk.accounts AS x WHERE x.id = customer.account_id),
        'tickets', coalesce((SELECT jsonb_agg(jsonb_build_object('number', t.number, 'subject', t.subject, 'status', t.status,
                                                                 'opened_at', t.created_at, 'resolved_at', t.resolved_at)
                                              ORDER BY t.created_at DESC)
                             FROM helpdesk.tickets AS t WHERE t.customer_id = customer.id), '[]'),
        'conversations', coalesce((SELECT jsonb_agg(jsonb_build_object('id', v.id, 'channel', v.channel, 'subject', v.subject,
                                                                       'status', v.status, 'began_at', v.created_at)
                                                    ORDER BY v.created_at DESC)
                                   FROM helpdesk.conversations AS v WHERE v.customer_id = customer.id), '[]'));
END $$;
COMMENT ON FUNCTION helpdesk.customer_history(text) IS
'Answers: who is this, and what did they want from us before? Returns a customer with account, tickets and conversations.
email: Address of the customer';

CREATE FUNCTION helpdesk.duplicate_customers()
    RETURNS TABLE (name text, customer_ids bigint[], emails text[], tickets bigint) LANGUAGE sql STABLE AS $$
    SELECT min(c.name), array_agg(c.id ORDER BY c.id), array_remove(array_agg(c.email ORDER BY c.id), NULL), sum(own.tickets)::bigint
    FROM helpdesk.customers AS c
    CROSS JOIN LATERAL (SELECT count(*) AS tickets FROM helpdesk.tickets AS t WHERE t.customer_id = c.id) AS own
    GROUP BY lower(btrim(regexp_replace(c.name, '\s+', ' ', 'g')))
    -- Of two accounts, they are probably two people.
    HAVING count(*) > 1 AND count(DISTINCT c.account_id) < 2
    ORDER BY count(*) DESC, min(c.name)
$$;
COMMENT ON FUNCTION helpdesk.duplicate_customers() IS
'Answers: who do we have twice? Returns customers with the same name who are not of different accounts. merge_customers makes one of them.';

CREATE FUNCTION helpdesk.merge_customers(keep_id bigint, remove_id bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    kept helpdesk.customers;
    removed helpdesk.customers;
    tickets bigint;
    conversations bigint;
BEGIN
    SELECT c.* INTO kept FROM helpdesk.customers AS c WHERE c.id = keep_id;
    SELECT c.* INTO removed FROM helpdesk.customers AS c WHERE c.id = remove_id;
    IF kept.id IS NULL OR removed.id IS NULL OR keep_id = remove_id THEN
        RAISE EXCEPTION 'Two customers are needed. duplicate_customers returns their ids.';
    END IF;
    UPDATE helpdesk.tickets AS t SET customer_id = keep_id WHERE t.customer_id = remove_id;
    GET DIAGNOSTICS tickets = ROW_COUNT;
    UPDATE helpdesk.conversations AS v SET customer_id = keep_id WHERE v.customer_id = remove_id;
    GET DIAGNOSTICS conversations = ROW_COUNT;
    DELETE FROM helpdesk.customers AS c WHERE c.id = remove_id;
    UPDATE helpdesk.customers AS c
    SET email = coalesce(c.email, removed.email), account_id = coalesce(c.account_id, removed.account_id),
        kind = CASE WHEN removed.kind = 'contact' THEN 'contact' ELSE c.kind END
    WHERE c.id = keep_id
    RETURNING c.* INTO kept;
    RETURN jsonb_build_object('id', kept.id, 'name', kept.name, 'email', kept.email, 'kind', kept.kind,
                              'moved_tickets', tickets, 'moved_conversations', conversations);
END $$;
COMMENT ON FUNCTION helpdesk.merge_customers(bigint, bigint) IS
'Makes one customer of two: the first one gets tickets, conversations and what it lacks, and the second one is removed.
keep_id: Id of the customer that stays
remove_id: Id of the customer that is removed';

CREATE FUNCTION helpdesk.convert_lead(email text, account_name text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    lead helpdesk.customers;
    account bigint;
BEGIN
    SELECT c.* INTO lead FROM helpdesk.customers AS c WHERE lower(c.email) = lower(convert_lead.email);
    IF lead.id IS NULL OR lead.kind <> 'lead' THEN
        RAISE EXCEPTION 'No lead has the address %.', email;
    END IF;
    INSERT INTO helpdesk.accounts (tenant_id, name) VALUES (lead.tenant_id, account_name) ON CONFLICT (tenant_id, name) DO NOTHING;
    SELECT x.id INTO account FROM helpdesk.accounts AS x WHERE x.name = account_name;
    UPDATE helpdesk.customers AS c SET kind = 'contact', account_id = account WHERE c.id = lead.id;
    RETURN jsonb_build_object('id', lead.id, 'kind', 'contact', 'account', account_name);
END $$;
COMMENT ON FUNCTION helpdesk.convert_lead(text, text) IS
'Makes a contact of a lead. The account is created if there is none of this name.
email: Address of the lead
account_name: Name of the account that the contact belongs to';

CREATE FUNCTION helpdesk.move_account_stage(account_name text, stage helpdesk.account_stage) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    account helpdesk.accounts;
BEGIN
    SELECT x.* INTO account FROM helpdesk.accounts AS x WHERE x.name = account_name;
    IF account.id IS NULL THEN
        RAISE EXCEPTION 'There is no account %. list_accounts returns all.', account_name;
    END IF;
    UPDATE helpdesk.accounts AS x SET lifecycle_stage = stage WHERE x.id = account.id;
    RETURN jsonb_build_object('account', account.name, 'stage', stage, 'was', account.lifecycle_stage);
END $$;
COMMENT ON FUNCTION helpdesk.move_account_stage(text, helpdesk.account_stage) IS
'Moves an account to another stage of its life.
account_name: Name of the account
stage: The new stage';

-- ---------------------------------------------------------------------------------------------------------------------
-- Analytics
-- ---------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION helpdesk.hours(duration interval) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT round(extract(epoch FROM duration)::numeric / 3600, 2)
$$;

CREATE FUNCTION helpdesk.first_response_by_week(weeks integer DEFAULT 8)
    RETURNS TABLE (week date, tickets bigint, answered bigint, median_hours numeric, slowest_tenth_hours numeric)
    LANGUAGE sql STABLE AS $$
    SELECT date_trunc('week', t.created_at)::date, count(*), count(s.answered_at),
           helpdesk.hours(percentile_cont(0.5) WITHIN GROUP (ORDER BY s.answered_at - t.created_at)),
           helpdesk.hours(percentile_cont(0.9) WITHIN GROUP (ORDER BY s.answered_at - t.created_at))
    FROM helpdesk.tickets AS t
    JOIN helpdesk.ticket_state AS s ON s.id = t.id
    WHERE t.created_at >= date_trunc('week', now()) - (weeks - 1) * interval '1 week'
    GROUP BY 1
    ORDER BY 1 DESC
$$;
COMMENT ON FUNCTION helpdesk.first_response_by_week(integer) IS
'Answers: how fast do we answer, and is it getting better? Returns for each week, which begins on Monday, how many tickets were opened and
answered, and how many hours passed until the first answer.
weeks: How many weeks, with the present one';

CREATE FUNCTION helpdesk.resolution_time(weeks integer DEFAULT 4)
    RETURNS TABLE (priority text, resolved bigint, median_hours numeric, slowest_tenth_hours numeric) LANGUAGE sql STABLE AS $$
    SELECT t.priority, count(*), helpdesk.hours(percentile_cont(0.5) WITHIN GROUP (ORDER BY t.resolved_at - t.created_at)),
           helpdesk.hours(percentile_cont(0.9) WITHIN GROUP (ORDER BY t.resolved_at - t.created_at))
    FROM helpdesk.tickets AS t
    WHERE t.resolved_at >= now() - weeks * interval '1 week'
    GROUP BY t.priority
    ORDER BY array_position('{urgent,high,normal,low}'::text[], t.priority)
$$;
COMMENT ON FUNCTION helpdesk.resolution_time(integer) IS
'Answers: how long does it take until a ticket is resolved? Returns hours from its opening, for each priority.
weeks: Of tickets that were resolved in so many weeks';

CREATE FUNCTION helpdesk.backlog_by_age()
    RETURNS TABLE (age text, tickets bigint, unassigned bigint, urgent bigint, waiting_for_us bigint) LANGUAGE sql STABLE AS $$
    SELECT b.age, count(t.id), count(t.id) FILTER (WHERE t.assignee_id IS NULL), count(t.id) FILTER (WHERE t.priority = 'urgent'),
           count(t.id) FILTER (WHERE s.last_author = 'customer')
    FROM (VALUES (1, 'less than a day', interval '0', interval '1 day'), (2, 'a day to a week', '1 day', '7 days'),
                 (3, 'a week to a month', '7 days', '30 days'), (4, 'more than a month', '30 days', '1000 years'))
         AS b (place, age, more, less)
    LEFT JOIN (helpdesk.tickets AS t JOIN helpdesk.ticket_state AS s ON s.id = t.id AND s.is_unresolved)
        ON t.created_at <= now() - b.more AND t.created_at > now() - b.less
    GROUP BY b.place, b.age
    ORDER BY b.place
$$;
COMMENT ON FUNCTION helpdesk.backlog_by_age() IS
'Answers: how much is unresolved, and for how long? Returns unresolved tickets by their age.';

CREATE FUNCTION helpdesk.busiest_hours(weeks integer DEFAULT 4, time_zone text DEFAULT 'UTC')
    RETURNS TABLE (weekday text, hour integer, tickets bigint) LANGUAGE sql STABLE AS $$
    SELECT to_char(opened.at, 'FMDay'), extract(hour FROM opened.at)::integer, count(*)
    FROM helpdesk.tickets AS t
    CROSS JOIN LATERAL (SELECT t.created_at AT TIME ZONE time_zone AS at) AS opened
    WHERE t.created_at >= now() - weeks * interval '1 week'
    GROUP BY 1, 2, extract(isodow FROM opened.at)
    ORDER BY 3 DESC, extract(isodow FROM opened.at), 2
$$;
COMMENT ON FUNCTION helpdesk.busiest_hours(integer, text) IS
'Answers: when do we need most people? Returns hours of the week by the number of tickets that were opened in them, the busiest first.
weeks: Of tickets of so many weeks
time_zone: Where the team is, such as Europe/Vienna';

CREATE FUNCTION helpdesk.workload_by_agent()
    RETURNS TABLE (agent text, email text, unresolved bigint, urgent bigint, waiting_for_us bigint, oldest timestamptz,
                   resolved_in_a_week bigint)
    LANGUAGE sql STABLE AS $$
    SELECT a.name, a.email, count(*) FILTER (WHERE s.is_unresolved), count(*) FILTER (WHERE s.is_unresolved AND t.priority = 'urgent'),
           count(*) FILTER (WHERE s.is_unresolved AND s.last_author = 'customer'), min(t.created_at) FILTER (WHERE s.is_unresolved),
           count(*) FILTER (WHERE t.resolved_at >= now() - interval '7 days')
    FROM helpdesk.agents AS a
    LEFT JOIN (helpdesk.tickets AS t JOIN helpdesk.ticket_state AS s ON s.id = t.id) ON t.assignee_id = a.id
    GROUP BY a.id
    ORDER BY 3 DESC, a.name
$$;
COMMENT ON FUNCTION helpdesk.workload_by_agent() IS
'Answers: who has too much to do, and who could take more? Returns the tickets of each agent, who has most first.';

CREATE FUNCTION helpdesk.sla_breaches(weeks integer DEFAULT 4)
    RETURNS TABLE (number bigint, subject text, priority text, assignee text, opened_at timestamptz, hours_allowed numeric,
                   hours_taken numeric, is_answered boolean)
    LANGUAGE sql STABLE AS $$
    SELECT t.number, t.subject, t.priority, a.name, t.created_at, helpdesk.hours(promise.within),
           helpdesk.hours(coalesce(s.answered_at, now()) - t.created_at), s.answered_at IS NOT NULL
    FROM (VALUES ('urgent', interval '1 hour'), ('high', '4 hours'), ('normal', '8 hours'), ('low', '24 hours'))
         AS promise (priority, within)
    JOIN helpdesk.tickets AS t ON t.priority = promise.priority
    JOIN helpdesk.ticket_state AS s ON s.id = t.id
    LEFT JOIN helpdesk.agents AS a ON a.id = t.assignee_id
    WHERE t.created_at >= now() - weeks * interval '1 week' AND (s.is_unresolved OR s.answered_at IS NOT NULL)
          AND coalesce(s.answered_at, now()) - t.created_at > promise.within
    ORDER BY t.created_at DESC, t.number DESC
$$;
COMMENT ON FUNCTION helpdesk.sla_breaches(integer) IS
'Answers: where did we answer later than we promise? We promise a first answer within 1 hour for urgent tickets, 4 hours for high ones, 8 for
normal and 24 for low ones. Returns the tickets where it took longer, the newest first.
weeks: Of tickets that were opened in so many weeks';

-- ---------------------------------------------------------------------------------------------------------------------
-- Automation
-- ---------------------------------------------------------------------------------------------------------------------
-- The role of a key may not read the views of the extension, which have the webhooks of all workspaces. So this function acts as a
-- role that may, and returns those of the workspace of the key: hydra.current_tenant() is something that no SQL can change.

DO $$
BEGIN
    CREATE ROLE helpdesk_reports NOLOGIN IN ROLE hydra_analyst;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- Another database of the cluster has it, too.
END $$;

CREATE FUNCTION helpdesk.endpoint_success(days integer DEFAULT 7)
    RETURNS TABLE (webhook_id bigint, name text, url text, status text, delivered bigint, failed_attempts bigint, given_up bigint,
                   success_rate numeric, last_error text)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.id, w.name, w.url, w.status, coalesce(sum(h.delivered), 0)::bigint, coalesce(sum(h.failed_attempts), 0)::bigint,
           coalesce(sum(h.failed), 0)::bigint,
           round(sum(h.delivered) / nullif(sum(h.delivered + h.failed_attempts), 0), 4), w.last_error
    FROM hydra.webhook_subscriptions AS w
    LEFT JOIN hydra.webhook_stats AS h ON h.subscription_id = w.id AND h.hour >= now() - days * interval '1 day'
    WHERE w.tenant_id = hydra.current_tenant()
    GROUP BY w.id, w.name, w.url, w.status, w.last_error
    ORDER BY 8 NULLS LAST, w.id
$$;
COMMENT ON FUNCTION helpdesk.endpoint_success(integer) IS
'Answers: which of our webhooks fail? Returns how many deliveries each endpoint has accepted, and how many attempts have failed, the worst
first. webhook_failures has the deliveries that were given up.
days: Of so many days';

GRANT USAGE, CREATE ON SCHEMA helpdesk TO helpdesk_reports;
ALTER FUNCTION helpdesk.endpoint_success(integer) OWNER TO helpdesk_reports;
REVOKE USAGE, CREATE ON SCHEMA helpdesk FROM helpdesk_reports;
REVOKE ALL ON FUNCTION helpdesk.endpoint_success(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION helpdesk.endpoint_success(integer) TO hydra_api;

-- ---------------------------------------------------------------------------------------------------------------------
-- The tools
-- ---------------------------------------------------------------------------------------------------------------------

GRANT SELECT ON helpdesk.ticket_state TO hydra_api;
-- For merge_customers. The REST API does not permit it: customers are not deletable there, and a ticket keeps its customer.
GRANT UPDATE (customer_id) ON helpdesk.tickets, helpdesk.conversations TO hydra_api;
GRANT DELETE ON helpdesk.customers TO hydra_api;

-- A function that is STABLE reads, and one that is not writes. Nothing is written before somebody has seen a preview and said yes.
SELECT hydra.tool_register('helpdesk.ticket_story(bigint)', title => 'What happened to a ticket', toolset => 'support'),
       hydra.tool_register('helpdesk.unanswered_tickets(interval)', title => 'Who waits for us', toolset => 'support'),
       hydra.tool_register('helpdesk.search_tickets(text)', toolset => 'support'),
       hydra.tool_register('helpdesk.similar_tickets(bigint)', toolset => 'support'),
       hydra.tool_register('helpdesk.reply_to_ticket(bigint, text, boolean)', toolset => 'support'),
       hydra.tool_register('helpdesk.assign_ticket(bigint, text)', toolset => 'support', destructive => true, idempotent => true),
       hydra.tool_register('helpdesk.resolve_ticket(bigint, text)', toolset => 'support', destructive => true),
       hydra.tool_register('helpdesk.reopen_ticket(bigint)', toolset => 'support', destructive => true),
       hydra.tool_register('helpdesk.set_ticket_priority(bigint, helpdesk.ticket_priority)', toolset => 'support',
                           destructive => true, idempotent => true),
       hydra.tool_register('helpdesk.hand_over_tickets(text, text)', toolset => 'support', destructive => true);

SELECT hydra.tool_register('helpdesk.accounts_at_risk(integer)', toolset => 'crm'),
       hydra.tool_register('helpdesk.customer_history(text)', toolset => 'crm'),
       hydra.tool_register('helpdesk.duplicate_customers()', toolset => 'crm'),
       hydra.tool_register('helpdesk.merge_customers(bigint, bigint)', toolset => 'crm', destructive => true),
       hydra.tool_register('helpdesk.convert_lead(text, text)', toolset => 'crm', destructive => true),
       hydra.tool_register('helpdesk.move_account_stage(text, helpdesk.account_stage)', toolset => 'crm',
                           destructive => true, idempotent => true);

SELECT hydra.tool_register('helpdesk.first_response_by_week(integer)', toolset => 'analytics'),
       hydra.tool_register('helpdesk.resolution_time(integer)', toolset => 'analytics'),
       hydra.tool_register('helpdesk.backlog_by_age()', toolset => 'analytics'),
       hydra.tool_register('helpdesk.busiest_hours(integer, text)', toolset => 'analytics'),
       hydra.tool_register('helpdesk.workload_by_agent()', toolset => 'analytics'),
       hydra.tool_register('helpdesk.sla_breaches(integer)', title => 'SLA breaches', toolset => 'analytics');

SELECT hydra.tool_register('helpdesk.endpoint_success(integer)', title => 'Success of webhooks', toolset => 'automation');

COMMIT;
