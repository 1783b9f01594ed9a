-- A helpdesk whose eleven events reach the outside as signed webhooks.
--
-- Schema `helpdesk` is an ordinary application: workspaces, agents, accounts, customers, conversations, tickets. Nothing in
-- its tables knows of webhooks. The second half of this file is the wiring, a watch per event, and is what to copy.
--
-- Needs the extension in the database, and a role that may create a schema and a role:
--
--     psql -v ON_ERROR_STOP=1 -d <database> -f examples/helpdesk.sql
--
-- Then play examples/afternoon.sql. To remove everything: DROP SCHEMA helpdesk CASCADE; and, if no other database of the
-- cluster has a helpdesk, DROP OWNED BY helpdesk_app; DROP ROLE helpdesk_app;

BEGIN;

CREATE SCHEMA helpdesk;

-- ---------------------------------------------------------------------------------------------------------------------
-- The application
-- ---------------------------------------------------------------------------------------------------------------------
-- Every table carries tenant_id, and every foreign key includes it: a row of one workspace cannot point at a row of
-- another. It is also what the extension reads to send an event to the subscriptions of the right tenant.

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
    source     text NOT NULL CHECK (source IN ('widget', 'csv_import', 'mcp', 'api')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tenant_id, id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES helpdesk.accounts (tenant_id, id) ON DELETE SET NULL (account_id)
);
-- A visitor of the widget may stay anonymous; two customers with the same address may not exist.
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
    -- A resolved ticket says when; an unresolved one has no such time. A closed one keeps the time if it had been resolved
    -- before it was closed, and has none if it was closed without an answer (spam, a duplicate).
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
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (tenant_id, ticket_id) REFERENCES helpdesk.tickets (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX replies_by_ticket ON helpdesk.replies (ticket_id, created_at);

-- Tickets are numbered 1, 2, 3, … in each workspace, without gaps: the row of the workspace is the counter, so that a
-- rolled-back ticket gives its number back. A ticket imported with its number moves the counter along.
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

-- A customer's reply re-opens a ticket that waits for one (page *API & Integrations*, "Bidirectional email on tickets").
-- The UPDATE inside this function is an UPDATE like any other: it emits ticket.status_changed.
CREATE FUNCTION helpdesk.reopen_waiting_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE helpdesk.tickets SET status = 'open' WHERE id = NEW.ticket_id AND status = 'waiting';
    RETURN NULL;
END $$;
CREATE TRIGGER reopen_waiting_ticket AFTER INSERT ON helpdesk.replies
    FOR EACH ROW WHEN (NEW.author = 'customer') EXECUTE FUNCTION helpdesk.reopen_waiting_ticket();

-- ---------------------------------------------------------------------------------------------------------------------
-- The wiring: page *Webhooks*, table "Available event types", one row after the other
-- ---------------------------------------------------------------------------------------------------------------------
-- How to read it:
--   * hydra.webhook_watch(table, event, operation, condition, …) writes an AFTER trigger: the condition is its WHEN clause,
--     columns are its UPDATE OF. SELECT * FROM hydra.webhook_watches shows them all, \d a table its own.
--   * The quoted words above each are the page's; the condition is what they come to.
--   * A row that is born in a state has not gone through a transition. "Changes", "transitions" and "is marked" need a row
--     that was there before, so those events are for updates alone: an imported ticket that is resolved already, an account
--     imported at risk, emit `created` and nothing else. "Is assigned to an agent" holds for a row born with an assignee,
--     so assignment is watched twice. Twice, because the condition of an insert cannot name `old`.
--   * What one statement does to a row is sent in the order in which it is watched here: created before assigned,
--     stage_changed before went_at_risk. A subscription with one request in flight sees it in that order.
--   * Columns go by the statement's SET list; INSERT … ON CONFLICT DO UPDATE and MERGE count too. A BEFORE trigger that
--     changes status by itself would slip past it; this schema has none. If yours has, leave out the columns.

-- customer.created: "A new lead or contact is created (any source — widget, CSV import, MCP, public API)."
-- A lead that becomes a contact is the same customer: no event.
SELECT hydra.webhook_watch('helpdesk.customers', 'customer.created', 'insert');

-- account.created: "A new account is created."
SELECT hydra.webhook_watch('helpdesk.accounts', 'account.created', 'insert');

-- account.stage_changed: "An account's lifecycle_stage changes (prospect → active, etc.)."
SELECT hydra.webhook_watch('helpdesk.accounts', 'account.stage_changed', 'update', columns => '{lifecycle_stage}',
    condition => $$new.lifecycle_stage <> old.lifecycle_stage$$);

-- account.went_at_risk: "An account specifically transitions into at_risk — useful for ops alerts."
-- That transition is also a change of stage: both events fire, for subscriptions that want one or the other.
SELECT hydra.webhook_watch('helpdesk.accounts', 'account.went_at_risk', 'update', columns => '{lifecycle_stage}',
    condition => $$new.lifecycle_stage = 'at_risk' AND old.lifecycle_stage <> 'at_risk'$$);

-- conversation.created: "A new conversation is opened (widget, email, etc.)."
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.created', 'insert');

-- conversation.assigned: "A conversation is assigned to an agent."
-- From one agent to another too. Taking an assignee away, or naming the same one again, assigns it to nobody new.
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.assigned', 'insert',
    condition => $$new.assignee_id IS NOT NULL$$);
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.assigned', 'update', columns => '{assignee_id}',
    condition => $$new.assignee_id IS NOT NULL AND new.assignee_id IS DISTINCT FROM old.assignee_id$$);

-- conversation.resolved: "A conversation is marked resolved."
-- Every time: one that is opened again and resolved again emits a second event. Opening it again has no event of its own.
SELECT hydra.webhook_watch('helpdesk.conversations', 'conversation.resolved', 'update', columns => '{status}',
    condition => $$new.status = 'resolved' AND old.status <> 'resolved'$$);

-- ticket.created: "A new ticket is opened."
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.created', 'insert');

-- ticket.assigned: "A ticket is assigned to an agent." As with conversations.
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.assigned', 'insert',
    condition => $$new.assignee_id IS NOT NULL$$);
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.assigned', 'update', columns => '{assignee_id}',
    condition => $$new.assignee_id IS NOT NULL AND new.assignee_id IS DISTINCT FROM old.assignee_id$$);

-- ticket.resolved: "A ticket transitions to resolved."
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.resolved', 'update', columns => '{status}',
    condition => $$new.status = 'resolved' AND old.status <> 'resolved'$$);

-- ticket.status_changed: "A ticket transitions to any non-resolved status."
-- So a transition is one of the two, never both; `closed` is a non-resolved status, after `resolved` too.
SELECT hydra.webhook_watch('helpdesk.tickets', 'ticket.status_changed', 'update', columns => '{status}',
    condition => $$new.status <> old.status AND new.status <> 'resolved'$$);

-- ---------------------------------------------------------------------------------------------------------------------
-- The application's role: no superuser, no owner
-- ---------------------------------------------------------------------------------------------------------------------

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'helpdesk_app') THEN
        CREATE ROLE helpdesk_app NOLOGIN;
    END IF;
END $$;

GRANT USAGE ON SCHEMA helpdesk TO helpdesk_app;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON helpdesk.agents, helpdesk.accounts, helpdesk.customers, helpdesk.conversations, helpdesk.tickets, helpdesk.replies
    TO helpdesk_app;
-- Workspaces are signed up elsewhere; the application moves the ticket counter and nothing else of them.
GRANT SELECT, UPDATE (last_ticket_number) ON helpdesk.tenants TO helpdesk_app;

-- May emit; may not read subscriptions, queue or history, let alone a signing secret.
GRANT hydra_emitter TO helpdesk_app;

COMMIT;
