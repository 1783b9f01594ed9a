-- A helpdesk that sends eleven types of events as signed webhooks.
--
-- The schema `helpdesk` is an ordinary application with workspaces, agents, accounts, customers, conversations and tickets.
-- Its tables contain nothing about webhooks. The second half of this file has a watch for each event: copy from there.
--
-- It needs the extension in the database, and a role that may create schemas and roles:
--
--     psql -v ON_ERROR_STOP=1 -d <database> -f examples/helpdesk.sql
--
-- Then run examples/afternoon.sql. To remove everything: DROP SCHEMA helpdesk CASCADE; and, if no other database of the
-- cluster has a helpdesk, DROP OWNED BY helpdesk_app; DROP ROLE helpdesk_app;

BEGIN;

CREATE SCHEMA helpdesk;

-- ---------------------------------------------------------------------------------------------------------------------
-- The application
-- ---------------------------------------------------------------------------------------------------------------------
-- Every table has tenant_id, and every foreign key includes it, so a row of one workspace cannot refer to a row of another.
-- The extension reads tenant_id too, to send an event to the subscriptions of the right tenant.

CREATE TABLE helpdesk.tenants (
    tenant_id          text PRIMARY KEY CHECK (tenant_id ~ '^[a-z][a-z0-9_-]*$'),
    name               text NOT NULL CHECK (name <> ''),
    last_ticket_number bigint NOT NULL DEFAULT 0 CHECK (last_ticket_number >= 0),
    created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE helpdesk.agents (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  text NOT NULL REFERENCES helpdesk.tenants,
    name       text NOT NULL CHECK (name <> ''),
    email      text NOT NULL CHECK (email LIKE '_%@_%'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id)
);
CREATE UNIQUE INDEX agents_one_per_email ON helpdesk.agents (tenant_id, lower(email));

CREATE TABLE helpdesk.accounts (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       text NOT NULL REFERENCES helpdesk.tenants,
    name            text NOT NULL CHECK (name <> ''),
    lifecycle_stage text NOT NULL DEFAULT 'prospect'
                    CHECK (lifecycle_stage IN ('prospect', 'onboarding', 'active', 'at_risk', 'churned')),
    health_score    smallint CHECK (health_score BETWEEN 0 AND 100),
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, name)
);
CREATE INDEX accounts_by_stage ON helpdesk.accounts (tenant_id, lifecycle_stage);

CREATE TABLE helpdesk.customers (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  text NOT NULL REFERENCES helpdesk.tenants,
    account_id bigint,
    kind       text NOT NULL DEFAULT 'lead' CHECK (kind IN ('lead', 'contact')),
    name       text NOT NULL CHECK (name <> ''),
    email      text CHECK (email LIKE '_%@_%'),
    source     text NOT NULL CHECK (source IN ('widget', 'csv_import', 'mcp', 'api', 'email')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES helpdesk.accounts (tenant_id, id) ON DELETE SET NULL (account_id)
);
-- A visitor of the widget may be anonymous. No two customers may have the same e-mail address.
CREATE UNIQUE INDEX customers_one_per_email ON helpdesk.customers (tenant_id, lower(email)) WHERE email IS NOT NULL;
CREATE INDEX customers_by_account ON helpdesk.customers (account_id) WHERE account_id IS NOT NULL;

CREATE TABLE helpdesk.conversations (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   text NOT NULL REFERENCES helpdesk.tenants,
    customer_id bigint NOT NULL,
    channel     text NOT NULL CHECK (channel IN ('widget', 'email', 'phone', 'api')),
    subject     text,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'pending', 'resolved')),
    assignee_id bigint,
    resolved_at timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES helpdesk.customers (tenant_id, id),
    FOREIGN KEY (tenant_id, assignee_id) REFERENCES helpdesk.agents (tenant_id, id) ON DELETE SET NULL (assignee_id),
    CONSTRAINT conversations_resolved_at_iff_resolved CHECK ((resolved_at IS NOT NULL) = (status = 'resolved')),
    CONSTRAINT conversations_resolved_after_created CHECK (resolved_at >= created_at)
);
CREATE INDEX conversations_by_customer ON helpdesk.conversations (customer_id);
CREATE INDEX conversations_inbox ON helpdesk.conversations (tenant_id, assignee_id, created_at) WHERE status <> 'resolved';

CREATE TABLE helpdesk.tickets (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       text NOT NULL REFERENCES helpdesk.tenants,
    number          bigint NOT NULL CHECK (number > 0),
    customer_id     bigint NOT NULL,
    conversation_id bigint,
    subject         text NOT NULL CHECK (subject <> ''),
    priority        text NOT NULL DEFAULT 'normal' CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    status          text NOT NULL DEFAULT 'open'
                    CHECK (status IN ('open', 'pending', 'waiting', 'on_hold', 'resolved', 'closed')),
    assignee_id     bigint,
    resolved_at     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    UNIQUE (tenant_id, number),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES helpdesk.customers (tenant_id, id),
    FOREIGN KEY (tenant_id, conversation_id) REFERENCES helpdesk.conversations (tenant_id, id),
    FOREIGN KEY (tenant_id, assignee_id) REFERENCES helpdesk.agents (tenant_id, id) ON DELETE SET NULL (assignee_id),
    -- A resolved ticket has the time at which it was resolved; an unresolved ticket has none. A closed ticket has one if it
    -- was resolved before it was closed, and none if it was closed without an answer (spam, a duplicate).
    CONSTRAINT tickets_resolved_at_iff_resolved CHECK (
        CASE status WHEN 'resolved' THEN resolved_at IS NOT NULL WHEN 'closed' THEN true ELSE resolved_at IS NULL END),
    CONSTRAINT tickets_resolved_after_created CHECK (resolved_at >= created_at)
);
CREATE INDEX tickets_by_customer ON helpdesk.tickets (customer_id);
CREATE INDEX tickets_by_conversation ON helpdesk.tickets (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX tickets_inbox ON helpdesk.tickets (tenant_id, assignee_id, created_at)
    WHERE status NOT IN ('resolved', 'closed');

CREATE TABLE helpdesk.replies (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  text NOT NULL REFERENCES helpdesk.tenants,
    ticket_id  bigint NOT NULL,
    author     text NOT NULL CHECK (author IN ('customer', 'agent')),
    body       text NOT NULL CHECK (body <> ''),
    may_reopen boolean NOT NULL DEFAULT true, -- false: perhaps not by the customer, or by a program
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES helpdesk.tickets (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX replies_by_ticket ON helpdesk.replies (ticket_id, created_at);

-- The tickets of a workspace are numbered 1, 2, 3, … without gaps. The counter is in the row of the workspace, so that the
-- number of a rolled-back ticket is used again. A ticket that is imported with a number raises the counter to it.
CREATE FUNCTION helpdesk.number_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE helpdesk.tenants
    SET last_ticket_number = greatest(last_ticket_number, coalesce(NEW.number, last_ticket_number + 1))
    WHERE tenant_id = NEW.tenant_id
    RETURNING coalesce(NEW.number, last_ticket_number) INTO NEW.number;
    RETURN NEW;
END $$;
CREATE TRIGGER number_ticket BEFORE INSERT ON helpdesk.tickets
    FOR EACH ROW EXECUTE FUNCTION helpdesk.number_ticket();

CREATE FUNCTION helpdesk.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON helpdesk.agents        FOR EACH ROW EXECUTE FUNCTION helpdesk.touch();
CREATE TRIGGER touch BEFORE UPDATE ON helpdesk.accounts      FOR EACH ROW EXECUTE FUNCTION helpdesk.touch();
CREATE TRIGGER touch BEFORE UPDATE ON helpdesk.customers     FOR EACH ROW EXECUTE FUNCTION helpdesk.touch();
CREATE TRIGGER touch BEFORE UPDATE ON helpdesk.conversations FOR EACH ROW EXECUTE FUNCTION helpdesk.touch();
CREATE TRIGGER touch BEFORE UPDATE ON helpdesk.tickets       FOR EACH ROW EXECUTE FUNCTION helpdesk.touch();

-- A reply of the customer opens a ticket again that waits for one. The UPDATE in this function is like any other UPDATE: it
-- emits ticket.status_changed.
CREATE FUNCTION helpdesk.reopen_waiting_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE helpdesk.tickets SET status = 'open' WHERE id = NEW.ticket_id AND status = 'waiting';
    RETURN NULL;
END $$;
CREATE TRIGGER reopen_waiting_ticket AFTER INSERT ON helpdesk.replies
    FOR EACH ROW WHEN (NEW.author = 'customer' AND NEW.may_reopen) EXECUTE FUNCTION helpdesk.reopen_waiting_ticket();

-- ---------------------------------------------------------------------------------------------------------------------
-- The watches: one event type after the other
-- ---------------------------------------------------------------------------------------------------------------------
-- How to read it:
--   * hydra.webhook_watch(table, event, operation, condition, …) creates an AFTER trigger, whose arguments are the
--     condition and the columns. SELECT * FROM hydra.webhook_watches lists all watches, \d those of a table.
--   * The text in quotation marks describes the event in words; the condition below it expresses the same in SQL.
--   * "Changes", "transitions" and "is marked" need a row that existed before, so these events are only for updates. A ticket
--     that is imported as resolved, or an account that is imported at risk, emits `created` and nothing else. "Is assigned to
--     an agent" also applies to a row that is inserted with an assignee. Assignment is therefore watched twice, because the
--     condition of an insert cannot refer to `old`.
--   * The events of one statement for one row are sent in the order of the watches here: created before assigned,
--     stage_changed before went_at_risk. A subscription with max_in_flight => 1 receives them in that order.
--   * Columns are those in the SET list of the statement; INSERT … ON CONFLICT DO UPDATE and MERGE count too. If a BEFORE
--     trigger sets status itself, a watch with columns does not notice it; this schema has no such trigger. If yours has one,
--     omit columns.

-- customer.created: "A new lead or contact is created (any source — widget, CSV import, MCP, public API)."
-- No event when a lead becomes a contact: it is the same customer.
SELECT hydra.webhook_watch('helpdesk.customers', 'customer.created', 'insert');

-- account.created: "A new account is created."
SELECT hydra.webhook_watch('helpdesk.accounts', 'account.created', 'insert');

-- account.stage_changed: "An account's lifecycle_stage changes (prospect → active, etc.)."
SELECT hydra.webhook_watch('helpdesk.accounts', 'account.stage_changed', 'update', columns => '{lifecycle_stage}',
    condition => $$new.lifecycle_stage <> old.lifecycle_stage$$);

-- account.went_at_risk: "An account specifically transitions into at_risk — useful for ops alerts."
-- This transition is a change of stage too, so both events are emitted, for subscriptions that want only one of them.
SELECT hydra.webhook_watch('helpdesk.accounts', 'account.went_at_risk', 'update', columns => '{lifecycle_stage}',
    condition => $$new.lifecycle_stage = 'at_risk' AND old.lifecycle_stage <> 'at_risk'$$);

-- conversation.created: "A new conversation is opened (widget, email, etc.)."
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.created', 'insert');

-- conversation.assigned: "A conversation is assigned to an agent."
-- Also from one agent to another. Not if the assignee is removed, or set to the same agent again.
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.assigned', 'insert',
    condition => $$new.assignee_id IS NOT NULL$$);
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.assigned', 'update', columns => '{assignee_id}',
    condition => $$new.assignee_id IS NOT NULL AND new.assignee_id IS DISTINCT FROM old.assignee_id$$);

-- conversation.resolved: "A conversation is marked resolved."
-- Every time: a conversation that is opened again and resolved again emits a second event. Opening it again emits none.
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.resolved', 'update', columns => '{status}',
    condition => $$new.status = 'resolved' AND old.status <> 'resolved'$$);

-- ticket.created: "A new ticket is opened."
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.created', 'insert');

-- ticket.assigned: "A ticket is assigned to an agent." As for conversations.
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.assigned', 'insert',
    condition => $$new.assignee_id IS NOT NULL$$);
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.assigned', 'update', columns => '{assignee_id}',
    condition => $$new.assignee_id IS NOT NULL AND new.assignee_id IS DISTINCT FROM old.assignee_id$$);

-- ticket.resolved: "A ticket transitions to resolved."
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.resolved', 'update', columns => '{status}',
    condition => $$new.status = 'resolved' AND old.status <> 'resolved'$$);

-- ticket.status_changed: "A ticket transitions to any non-resolved status."
-- So a transition emits one of these two events and never both. `closed` is a non-resolved status, even after `resolved`.
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.status_changed', 'update', columns => '{status}',
    condition => $$new.status <> old.status AND new.status <> 'resolved'$$);

-- ---------------------------------------------------------------------------------------------------------------------
-- The inbox: mail becomes tickets and replies
-- ---------------------------------------------------------------------------------------------------------------------
-- A channel passes each message to this function, which runs in the transaction that stores the message:
--
--     SELECT hydra.mail_channel_create('support@acme.example', 'helpdesk.take_mail', tenant_id => 'acme',
--                                      trusted_server => 'mx.acme.example');
--
-- The subject of a mail to the customer has hydra.mail_tag('ticket', id::text, tenant_id), and after it was sent,
-- hydra.mail_sent(message_id, 'ticket', id::text, recipients, tenant_id) is called. Then the answer leads to the ticket.

CREATE FUNCTION helpdesk.take_mail(message jsonb) RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant     text := message ->> 'tenant_id';
    sender     text := message #>> '{from,address}';
    body       text := coalesce(nullif(message ->> 'reply', ''), '(no text)');
    may_reopen boolean := message #>> '{verdict,may_reopen}';
    ticket     helpdesk.tickets;
BEGIN
    -- A reply of somebody who takes part in the ticket. Of a stranger there is no thread, even if the subject has the tag.
    SELECT t.* INTO ticket FROM helpdesk.tickets AS t
    WHERE t.tenant_id = tenant AND message #>> '{thread,entity_type}' = 'ticket' AND t.id::text = message #>> '{thread,entity_id}'
    FOR UPDATE;
    IF ticket.id IS NOT NULL THEN
        INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body, may_reopen)
        VALUES (tenant, ticket.id, 'customer', body, may_reopen);
        RETURN jsonb_build_object('reopened', ticket.status = 'waiting' AND may_reopen);
    END IF;

    -- Programs open no tickets: they would answer the answer.
    IF sender IS NULL OR (message #>> '{verdict,automatic}')::boolean THEN
        RETURN NULL;
    END IF;

    INSERT INTO helpdesk.customers (tenant_id, kind, name, email, source)
    VALUES (tenant, 'lead', coalesce(nullif(message #>> '{from,name}', ''), sender), sender, 'email')
    ON CONFLICT (tenant_id, lower(email)) WHERE email IS NOT NULL DO NOTHING;
    WITH conversation AS (
        INSERT INTO helpdesk.conversations (tenant_id, customer_id, channel, subject)
        SELECT tenant, c.id, 'email', message ->> 'subject'
        FROM helpdesk.customers AS c WHERE c.tenant_id = tenant AND lower(c.email) = sender
        RETURNING customer_id, id, subject)
    INSERT INTO helpdesk.tickets (tenant_id, customer_id, conversation_id, subject)
    SELECT tenant, c.customer_id, c.id, coalesce(nullif(c.subject, ''), '(no subject)') FROM conversation AS c
    RETURNING * INTO ticket;
    INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body, may_reopen) VALUES (tenant, ticket.id, 'customer', body, false);
    -- So the message, and answers to it, belong to this ticket.
    RETURN jsonb_build_object('entity_type', 'ticket', 'entity_id', ticket.id::text);
END $$;

-- ---------------------------------------------------------------------------------------------------------------------
-- The role of the application, which is neither a superuser nor the owner
-- ---------------------------------------------------------------------------------------------------------------------

DO $$
BEGIN
    CREATE ROLE helpdesk_app NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- Another database of the cluster has it, too.
END $$;

GRANT USAGE ON SCHEMA helpdesk TO helpdesk_app;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON helpdesk.agents, helpdesk.accounts, helpdesk.customers, helpdesk.conversations, helpdesk.tickets, helpdesk.replies
    TO helpdesk_app;
-- Workspaces are created elsewhere; the application changes only their ticket counter.
GRANT SELECT, UPDATE (last_ticket_number) ON helpdesk.tenants TO helpdesk_app;

-- It may emit. It may not read subscriptions, the queue, the history or signing secrets.
GRANT hydra_emitter TO helpdesk_app;

-- What mail may do is what this role may do. A function of a superuser is not accepted.
GRANT CREATE ON SCHEMA helpdesk TO helpdesk_app;
ALTER FUNCTION helpdesk.take_mail(jsonb) OWNER TO helpdesk_app;
REVOKE CREATE ON SCHEMA helpdesk FROM helpdesk_app;

-- ---------------------------------------------------------------------------------------------------------------------
-- REST: the same rows under /api/v1
-- ---------------------------------------------------------------------------------------------------------------------
-- A key of one workspace sees the rows of that workspace:
--
--     SELECT key FROM hydra.api_key_create('CRM', '{tickets:read,tickets:write,customers:read}', tenant_id => 'lumen');
--     curl -H 'Authorization: Bearer hyk_…' 'http://127.0.0.1:8480/api/v1/tickets?status=open&sort=-created_at'
--
-- A row is byte for byte what its webhooks send. Requests act as the role hydra_api, which may do what is granted here. Its rows are
-- those of the workspace of the key: twice, because the API adds the condition to each statement, and row security to what triggers
-- and functions do.

GRANT USAGE ON SCHEMA helpdesk TO hydra_api;
GRANT SELECT ON helpdesk.agents, helpdesk.accounts, helpdesk.customers, helpdesk.conversations, helpdesk.tickets, helpdesk.replies
    TO hydra_api;
GRANT INSERT (tenant_id, name, lifecycle_stage, health_score), UPDATE (name, lifecycle_stage, health_score)
    ON helpdesk.accounts TO hydra_api;
GRANT INSERT (tenant_id, account_id, kind, name, email, source), UPDATE (account_id, kind, name, email)
    ON helpdesk.customers TO hydra_api;
GRANT INSERT (tenant_id, customer_id, channel, subject, assignee_id), UPDATE (subject, status, assignee_id, resolved_at)
    ON helpdesk.conversations TO hydra_api;
GRANT INSERT (tenant_id, customer_id, conversation_id, subject, priority, assignee_id),
      UPDATE (subject, priority, status, assignee_id, resolved_at), DELETE
    ON helpdesk.tickets TO hydra_api;
GRANT INSERT (tenant_id, ticket_id, author, body) ON helpdesk.replies TO hydra_api;
-- For the numbers of tickets.
GRANT SELECT, UPDATE (last_ticket_number) ON helpdesk.tenants TO hydra_api;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{tenants,agents,accounts,customers,conversations,tickets,replies}'::text[] LOOP
        EXECUTE format('ALTER TABLE helpdesk.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY of_the_application ON helpdesk.%I TO helpdesk_app USING (true)', name);
        EXECUTE format('CREATE POLICY of_the_key ON helpdesk.%I TO hydra_api
                        USING (tenant_id = (SELECT hydra.current_tenant()))', name);
    END LOOP;
END $$;

-- A list is filtered and sorted by columns that have an index, which begins with the tenant.
CREATE INDEX customers_by_email ON helpdesk.customers (tenant_id, email, id);
CREATE INDEX customers_by_age ON helpdesk.customers (tenant_id, created_at, id);
CREATE INDEX conversations_by_status ON helpdesk.conversations (tenant_id, status, id);
CREATE INDEX conversations_by_age ON helpdesk.conversations (tenant_id, created_at, id);
CREATE INDEX tickets_by_status ON helpdesk.tickets (tenant_id, status, id);
CREATE INDEX tickets_by_age ON helpdesk.tickets (tenant_id, created_at, id);
CREATE INDEX replies_of_tenant ON helpdesk.replies (tenant_id, id);

-- The description of the API has these comments.
COMMENT ON TABLE helpdesk.agents IS 'People who answer';
COMMENT ON TABLE helpdesk.accounts IS 'Companies that are customers, or may become some';
COMMENT ON TABLE helpdesk.customers IS 'People who ask';
COMMENT ON TABLE helpdesk.conversations IS 'Conversations with customers, of every channel';
COMMENT ON TABLE helpdesk.tickets IS 'Questions that have to be answered';
COMMENT ON TABLE helpdesk.replies IS 'What was written about a ticket';
COMMENT ON COLUMN helpdesk.accounts.health_score IS 'From 0, about to leave, to 100; null: not known';
COMMENT ON COLUMN helpdesk.customers.kind IS 'lead: may become a customer; contact: is one';
COMMENT ON COLUMN helpdesk.customers.source IS 'Where the customer came from';
COMMENT ON COLUMN helpdesk.conversations.assignee_id IS 'The agent who answers; null: nobody yet';
COMMENT ON COLUMN helpdesk.conversations.resolved_at IS 'When it was resolved; null unless its status is resolved';
COMMENT ON COLUMN helpdesk.tickets.number IS 'Number in the workspace, from 1 without gaps';
COMMENT ON COLUMN helpdesk.tickets.assignee_id IS 'The agent who answers; null: nobody yet';
COMMENT ON COLUMN helpdesk.tickets.resolved_at IS 'When it was resolved; null while it is not';
COMMENT ON COLUMN helpdesk.replies.may_reopen IS 'Whether it opens a ticket again that waits; not if it is perhaps by somebody else, or by a program';

SELECT hydra.api_expose('helpdesk.agents', toolset => 'support', filterable => '{id}', sortable => '{}');
SELECT hydra.api_expose('helpdesk.accounts', toolset => 'crm',
    creatable  => '{name,lifecycle_stage,health_score}',
    updatable  => '{name,lifecycle_stage,health_score}',
    filterable => '{id,name,lifecycle_stage}', sortable => '{name}');
SELECT hydra.api_expose('helpdesk.customers', toolset => 'crm',
    creatable  => '{account_id,kind,name,email,source}',
    updatable  => '{account_id,kind,name,email}',
    filterable => '{id,email,created_at}', sortable => '{created_at}');
SELECT hydra.api_expose('helpdesk.conversations', toolset => 'support',
    creatable  => '{customer_id,channel,subject,assignee_id}',
    updatable  => '{subject,status,assignee_id,resolved_at}',
    filterable => '{id,customer_id,status,created_at}', sortable => '{created_at}');
SELECT hydra.api_expose('helpdesk.tickets', toolset => 'support',
    creatable  => '{customer_id,conversation_id,subject,priority,assignee_id}',
    updatable  => '{subject,priority,status,assignee_id,resolved_at}', deletable => true,
    filterable => '{id,number,customer_id,status,created_at}', sortable => '{number,created_at}');
SELECT hydra.api_expose('helpdesk.replies', toolset => 'support',
    creatable  => '{ticket_id,author,body}',
    filterable => '{id,ticket_id}', sortable => '{}');

COMMIT;
