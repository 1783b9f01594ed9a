-- Drives every transition of examples/helpdesk.sql that should emit an event, and those beside them that should not.
-- expected.txt holds what must come out, in this order: one line `event entity_id` per event.
--
-- Run in one session, on a database with the schema, as a role that may insert a tenant. For the order to be a promise,
-- the subscription needs max_in_flight => 1. Plain SQL, and every step is a transaction of its own: it can go through psql
-- or through a driver, as one string or by statement. Ids are given, so that expected.txt can name them; the tenant is
-- its own, so that other rows do not matter. 11.. agents, 21.. accounts, 31.. customers, 41.. conversations, 51.. tickets.

BEGIN;
INSERT INTO helpdesk.tenants (tenant_id, name) VALUES ('transitions', 'Transitions'), ('elsewhere', 'Elsewhere');
INSERT INTO helpdesk.agents (id, tenant_id, name, email) OVERRIDING SYSTEM VALUE VALUES
    (1101, 'transitions', 'Ada', 'ada@transitions.example'),
    (1102, 'transitions', 'Ben', 'ben@transitions.example'),
    (1103, 'transitions', 'Cem', 'cem@transitions.example'),
    (1109, 'elsewhere',   'Zoe', 'zoe@elsewhere.example');
COMMIT;

SET ROLE helpdesk_app;

-- Accounts ------------------------------------------------------------------------------------------------------------

-- Created, whatever the stage. Born at risk is no transition: created alone.
BEGIN;
INSERT INTO helpdesk.accounts (id, tenant_id, name) OVERRIDING SYSTEM VALUE VALUES (2101, 'transitions', 'A');
INSERT INTO helpdesk.accounts (id, tenant_id, name, lifecycle_stage) OVERRIDING SYSTEM VALUE
    VALUES (2102, 'transitions', 'B', 'at_risk');
COMMIT;

-- A change of stage.
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'active' WHERE id = 2101; COMMIT;
-- Nothing: another column; the same stage again; a row that stays at risk.
BEGIN; UPDATE helpdesk.accounts SET health_score = 40 WHERE id = 2101; COMMIT;
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'active', health_score = 41 WHERE id = 2101; COMMIT;
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'at_risk' WHERE id = 2102; COMMIT;
-- Into at_risk: stage_changed, then went_at_risk. Out of it: stage_changed. Into it again: both again. On to churned: one.
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'at_risk', health_score = 12 WHERE id = 2101; COMMIT;
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'active' WHERE id = 2101; COMMIT;
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'at_risk' WHERE id = 2101; COMMIT;
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'churned' WHERE id = 2101; COMMIT;
-- One statement, two rows: both events of the first row, then both of the second.
BEGIN;
INSERT INTO helpdesk.accounts (id, tenant_id, name, lifecycle_stage) OVERRIDING SYSTEM VALUE
    VALUES (2103, 'transitions', 'C', 'active'), (2104, 'transitions', 'D', 'onboarding');
COMMIT;
BEGIN; UPDATE helpdesk.accounts SET lifecycle_stage = 'at_risk' WHERE id IN (2103, 2104); COMMIT;
-- An upsert that finds the row changes it and creates nothing; one that does nothing emits nothing.
BEGIN;
INSERT INTO helpdesk.accounts (tenant_id, name, lifecycle_stage) VALUES ('transitions', 'C', 'active')
    ON CONFLICT (tenant_id, name) DO UPDATE SET lifecycle_stage = excluded.lifecycle_stage;
INSERT INTO helpdesk.accounts (tenant_id, name, lifecycle_stage) VALUES ('transitions', 'C', 'churned')
    ON CONFLICT DO NOTHING;
COMMIT;
-- MERGE: one row changed, one created. (The changed one first: the source is read in this order.)
BEGIN;
MERGE INTO helpdesk.accounts AS account
USING (VALUES (2104, 'D', 'active'), (2105, 'E', 'prospect')) AS import (id, name, stage)
ON account.tenant_id = 'transitions' AND account.name = import.name
WHEN MATCHED THEN UPDATE SET lifecycle_stage = import.stage
WHEN NOT MATCHED THEN INSERT (id, tenant_id, name, lifecycle_stage) OVERRIDING SYSTEM VALUE
    VALUES (import.id, 'transitions', import.name, import.stage);
COMMIT;
-- A deleted account has no event.
BEGIN; DELETE FROM helpdesk.accounts WHERE id = 2102; COMMIT;

-- Customers -----------------------------------------------------------------------------------------------------------

-- Every source, lead or contact.
BEGIN;
INSERT INTO helpdesk.customers (id, tenant_id, kind, name, email, source) OVERRIDING SYSTEM VALUE VALUES
    (3101, 'transitions', 'lead',    'Ina', NULL,                      'widget'),
    (3102, 'transitions', 'contact', 'Jo',  'jo@transitions.example',  'csv_import'),
    (3103, 'transitions', 'lead',    'Kai', 'kai@transitions.example', 'mcp'),
    (3104, 'transitions', 'contact', 'Lu',  'lu@transitions.example',  'api');
COMMIT;
-- Nothing: a lead becomes a contact; an address that is taken, refused; a customer deleted.
BEGIN; UPDATE helpdesk.customers SET kind = 'contact', account_id = 2101 WHERE id = 3101; COMMIT;
BEGIN;
DO $$
BEGIN
    INSERT INTO helpdesk.customers (tenant_id, name, email, source)
        VALUES ('transitions', 'Jo twice', 'JO@transitions.example', 'widget');
    RAISE 'the second customer with this address was let in';
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
COMMIT;
BEGIN; DELETE FROM helpdesk.customers WHERE id = 3104; COMMIT;

-- Conversations -------------------------------------------------------------------------------------------------------

-- Unassigned: created. Born assigned: created, then assigned. Born resolved: created alone.
BEGIN;
INSERT INTO helpdesk.conversations (id, tenant_id, customer_id, channel) OVERRIDING SYSTEM VALUE
    VALUES (4101, 'transitions', 3101, 'widget');
INSERT INTO helpdesk.conversations (id, tenant_id, customer_id, channel, assignee_id) OVERRIDING SYSTEM VALUE
    VALUES (4102, 'transitions', 3102, 'email', 1101);
INSERT INTO helpdesk.conversations (id, tenant_id, customer_id, channel, status, resolved_at) OVERRIDING SYSTEM VALUE
    VALUES (4103, 'transitions', 3103, 'phone', 'resolved', now());
COMMIT;
-- Assigned; to another agent; nothing for the same agent again, nor for taking the assignee away; assigned again.
BEGIN; UPDATE helpdesk.conversations SET assignee_id = 1101 WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET assignee_id = 1102 WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET assignee_id = 1102, subject = 'Login' WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET assignee_id = NULL WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET assignee_id = 1102 WHERE id = 4101; COMMIT;
-- No event for pending; resolved; nothing for an edit afterwards, nor for opening again; resolved a second time.
BEGIN; UPDATE helpdesk.conversations SET status = 'pending' WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET status = 'resolved', resolved_at = now() WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET status = 'resolved', subject = 'Login, again' WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET status = 'open', resolved_at = NULL WHERE id = 4101; COMMIT;
BEGIN; UPDATE helpdesk.conversations SET status = 'resolved', resolved_at = now() WHERE id = 4101; COMMIT;
-- Taken over and resolved in one statement: assigned, then resolved.
BEGIN;
UPDATE helpdesk.conversations SET assignee_id = 1102, status = 'resolved', resolved_at = now() WHERE id = 4102;
COMMIT;
-- Refused by the schema, and so without an event: resolved without a time.
BEGIN;
DO $$
BEGIN
    INSERT INTO helpdesk.conversations (tenant_id, customer_id, channel, status)
        VALUES ('transitions', 3101, 'api', 'resolved');
    RAISE 'a resolved conversation without resolved_at was let in';
EXCEPTION WHEN check_violation THEN NULL;
END $$;
COMMIT;

-- Tickets -------------------------------------------------------------------------------------------------------------

-- Open: created. Born assigned: created, then assigned. Born resolved, born waiting: created alone.
BEGIN;
INSERT INTO helpdesk.tickets (id, tenant_id, customer_id, conversation_id, subject) OVERRIDING SYSTEM VALUE
    VALUES (5101, 'transitions', 3101, 4101, 'one');
INSERT INTO helpdesk.tickets (id, tenant_id, customer_id, subject, assignee_id) OVERRIDING SYSTEM VALUE
    VALUES (5102, 'transitions', 3102, 'two', 1101);
INSERT INTO helpdesk.tickets (id, tenant_id, customer_id, subject, status, resolved_at) OVERRIDING SYSTEM VALUE
    VALUES (5103, 'transitions', 3103, 'three', 'resolved', now());
INSERT INTO helpdesk.tickets (id, tenant_id, customer_id, subject, status) OVERRIDING SYSTEM VALUE
    VALUES (5104, 'transitions', 3103, 'four', 'waiting');
COMMIT;
-- Assigned; to another agent; nothing for the same one again, nor for taking the assignee away.
BEGIN; UPDATE helpdesk.tickets SET assignee_id = 1101 WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET assignee_id = 1102 WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET assignee_id = 1102, priority = 'high' WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET assignee_id = NULL WHERE id = 5101; COMMIT;
-- Through the statuses: status_changed each. Nothing for the same status again, nor for another column.
BEGIN; UPDATE helpdesk.tickets SET status = 'pending' WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET status = 'pending', priority = 'urgent' WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET priority = 'low' WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET status = 'waiting' WHERE id = 5101; COMMIT;
-- The agent writes: nothing. The customer answers: the ticket is open again. Answers once more: it was open already.
BEGIN; INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body) VALUES ('transitions', 5101, 'agent', '?'); COMMIT;
BEGIN; INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body) VALUES ('transitions', 5101, 'customer', '!'); COMMIT;
BEGIN; INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body) VALUES ('transitions', 5101, 'customer', '!'); COMMIT;
BEGIN; UPDATE helpdesk.tickets SET status = 'on_hold' WHERE id = 5101; COMMIT;
-- Resolved, and not status_changed. An edit afterwards: nothing.
BEGIN; UPDATE helpdesk.tickets SET status = 'resolved', resolved_at = now() WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET status = 'resolved', subject = 'one, edited' WHERE id = 5101; COMMIT;
-- Closed, then open again: a non-resolved status, twice. Resolved again: once more.
BEGIN; UPDATE helpdesk.tickets SET status = 'closed' WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET status = 'open', resolved_at = NULL WHERE id = 5101; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET status = 'resolved', resolved_at = now() WHERE id = 5101; COMMIT;
-- Assignee and status in one statement: assigned, then the transition.
BEGIN; UPDATE helpdesk.tickets SET assignee_id = 1103, status = 'pending' WHERE id = 5102; COMMIT;
BEGIN; UPDATE helpdesk.tickets SET assignee_id = 1102, status = 'resolved', resolved_at = now() WHERE id = 5102; COMMIT;
-- There and back in one transaction: two transitions, two events.
BEGIN;
UPDATE helpdesk.tickets SET status = 'pending' WHERE id = 5104;
UPDATE helpdesk.tickets SET status = 'waiting' WHERE id = 5104;
COMMIT;
-- An agent leaves (the foreign key takes the assignee away): assigned when she got it, nothing when she goes.
BEGIN; UPDATE helpdesk.tickets SET assignee_id = 1103 WHERE id = 5104; COMMIT;
BEGIN; DELETE FROM helpdesk.agents WHERE id = 1103; COMMIT;
-- Refused by the schema, and so without an event: resolved without a time, an agent of another workspace, a number twice.
BEGIN;
DO $$
BEGIN
    UPDATE helpdesk.tickets SET status = 'resolved' WHERE id = 5104;
    RAISE 'a resolved ticket without resolved_at was let in';
EXCEPTION WHEN check_violation THEN NULL;
END $$;
DO $$
BEGIN
    UPDATE helpdesk.tickets SET assignee_id = 1109 WHERE id = 5104;
    RAISE 'an agent of another workspace was let in';
EXCEPTION WHEN foreign_key_violation THEN NULL;
END $$;
DO $$
BEGIN
    INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject, number) VALUES ('transitions', 3101, 'twice', 1);
    RAISE 'a ticket number was let in twice';
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
COMMIT;

-- Rolled back ---------------------------------------------------------------------------------------------------------

-- A whole transaction.
BEGIN;
INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject, assignee_id) VALUES ('transitions', 3101, 'never', 1101);
UPDATE helpdesk.accounts SET lifecycle_stage = 'at_risk' WHERE id = 2103;
ROLLBACK;
-- A savepoint, between two that stay; a released one inside a rolled-back one goes with it.
BEGIN;
UPDATE helpdesk.tickets SET status = 'open' WHERE id = 5104;
SAVEPOINT outer_try;
UPDATE helpdesk.tickets SET assignee_id = 1101 WHERE id = 5104;
SAVEPOINT inner_try;
UPDATE helpdesk.tickets SET status = 'closed' WHERE id = 5104;
RELEASE inner_try;
ROLLBACK TO outer_try;
UPDATE helpdesk.tickets SET assignee_id = 1102 WHERE id = 5104;
SAVEPOINT kept;
UPDATE helpdesk.tickets SET status = 'resolved', resolved_at = now() WHERE id = 5104;
RELEASE kept;
COMMIT;
-- A block that catches its own error: what it emitted goes, what comes after it stays.
BEGIN;
DO $$
BEGIN
    UPDATE helpdesk.accounts SET lifecycle_stage = 'churned' WHERE id = 2105;
    RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
    UPDATE helpdesk.accounts SET lifecycle_stage = 'onboarding' WHERE id = 2105;
END $$;
COMMIT;

RESET ROLE;
