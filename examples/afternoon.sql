-- An afternoon of helpdesk work, as the application does it. All eleven event types of examples/helpdesk.sql occur.
--
-- Run it once, in a database with examples/helpdesk.sql:
--
--     psql -X -d <database> -f examples/afternoon.sql
--
-- It prints what happens, the statements, and a line `=> event` for each event that a subscription should receive.
-- scripts/demo-story.sh counts these lines and compares them with what arrived, so they must be correct.
-- A line `rolled back: event` names an event that must never arrive.
--
--     account.created         2     conversation.created    2     ticket.created          2
--     account.stage_changed   2     conversation.assigned   2     ticket.assigned         3
--     account.went_at_risk    1     conversation.resolved   2     ticket.status_changed   4
--     customer.created        5                                   ticket.resolved         2     27 in all

\set ON_ERROR_STOP on
\set QUIET on
\pset pager off

-- The workspace and its agents exist before the afternoon begins. They emit no events.
INSERT INTO helpdesk.tenants (tenant_id, name) VALUES ('lumen', 'Lumen Bikes');
INSERT INTO helpdesk.agents (tenant_id, name, email) VALUES ('lumen', 'Priya', 'priya@lumen.example') RETURNING id AS priya \gset
INSERT INTO helpdesk.agents (tenant_id, name, email) VALUES ('lumen', 'Tomas', 'tomas@lumen.example') RETURNING id AS tomas \gset

\set ECHO queries

\echo 'Everything is done by the role of the application. It may emit, is not a superuser, and cannot read subscriptions.'
SET ROLE helpdesk_app;

\echo
\echo '13:02  Sales enters two accounts: a prospect, and a company that is a customer already.'
INSERT INTO helpdesk.accounts (tenant_id, name) VALUES ('lumen', 'Alder Couriers') RETURNING id AS alder \gset
\echo '       => account.created'
INSERT INTO helpdesk.accounts (tenant_id, name, lifecycle_stage, health_score)
VALUES ('lumen', 'Birch Logistics', 'active', 71) RETURNING id AS birch \gset
\echo '       => account.created'

\echo
\echo '13:08  Alder signs.'
UPDATE helpdesk.accounts SET lifecycle_stage = 'active', health_score = 80 WHERE id = :alder;
\echo '       => account.stage_changed'

\echo
\echo '13:10  A visitor, Mara, asks a question in the widget. Customer and conversation are created in one transaction.'
BEGIN;
INSERT INTO helpdesk.customers (tenant_id, name, source) VALUES ('lumen', 'Mara', 'widget') RETURNING id AS mara \gset
INSERT INTO helpdesk.conversations (tenant_id, customer_id, channel, subject)
VALUES ('lumen', :mara, 'widget', 'Do you ship to Malta?') RETURNING id AS malta \gset
COMMIT;
\echo '       => customer.created'
\echo '       => conversation.created'

\echo
\echo '13:12  Priya takes the conversation, answers it, and resolves it.'
UPDATE helpdesk.conversations SET assignee_id = :priya WHERE id = :malta;
\echo '       => conversation.assigned'
UPDATE helpdesk.conversations SET status = 'resolved', resolved_at = now() WHERE id = :malta;
\echo '       => conversation.resolved'

\echo
\echo '13:30  The contacts of Birch are imported from a CSV file. COPY does not write to tables with row security, so it fills another one.'
CREATE TEMPORARY TABLE imported (tenant_id text, kind text, name text, email text, source text);
COPY imported FROM stdin (FORMAT csv);
lumen,contact,Nils,nils@birch.example,csv_import
lumen,contact,Olga,olga@birch.example,csv_import
lumen,contact,Pavel,pavel@birch.example,csv_import
\.
INSERT INTO helpdesk.customers (tenant_id, kind, name, email, source) SELECT * FROM imported;
\echo '       => customer.created'
\echo '       => customer.created'
\echo '       => customer.created'

\echo
\echo '13:31  They are assigned to their account. No watch is for this change: nothing is sent.'
UPDATE helpdesk.customers SET account_id = :birch WHERE tenant_id = 'lumen' AND source = 'csv_import';
SELECT id AS nils FROM helpdesk.customers WHERE tenant_id = 'lumen' AND email = 'nils@birch.example' \gset

\echo
\echo '13:45  Nils writes an e-mail. A routing rule assigns it to Tomas at once, so it is created and assigned.'
INSERT INTO helpdesk.conversations (tenant_id, customer_id, channel, subject, assignee_id)
VALUES ('lumen', :nils, 'email', 'Forty bikes, no chargers', :tomas) RETURNING id AS chargers \gset
\echo '       => conversation.created'
\echo '       => conversation.assigned'

\echo
\echo '13:50  The warehouse has to help: Tomas opens a ticket and takes it.'
INSERT INTO helpdesk.tickets (tenant_id, customer_id, conversation_id, subject, priority)
VALUES ('lumen', :nils, :chargers, 'Chargers missing in order 2207', 'high') RETURNING id AS ticket_1 \gset
\echo '       => ticket.created'
UPDATE helpdesk.tickets SET assignee_id = :tomas WHERE id = :ticket_1;
\echo '       => ticket.assigned'

\echo
\echo '14:05  Tomas has a question. The ticket waits until the reply opens it again: an UPDATE in a trigger emits too.'
UPDATE helpdesk.tickets SET status = 'waiting' WHERE id = :ticket_1;
\echo '       => ticket.status_changed'
INSERT INTO helpdesk.replies (tenant_id, ticket_id, author, body)
VALUES ('lumen', :ticket_1, 'customer', 'All forty. The boxes were empty.');
\echo '       => ticket.status_changed'

\echo
\echo '14:40  Tomas starts to resolve the wrong ticket, notices it, and rolls back. Three events are rolled back too.'
BEGIN;
UPDATE helpdesk.tickets SET status = 'resolved', resolved_at = now() WHERE id = :ticket_1;
UPDATE helpdesk.conversations SET status = 'resolved', resolved_at = now() WHERE id = :chargers;
INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject) VALUES ('lumen', :nils, 'A mistake');
ROLLBACK;
\echo '       rolled back: ticket.resolved'
\echo '       rolled back: conversation.resolved'
\echo '       rolled back: ticket.created'

\echo
\echo '15:00  Priya takes over and the chargers are found. Ticket and conversation are resolved in one transaction.'
UPDATE helpdesk.tickets SET assignee_id = :priya, priority = 'urgent' WHERE id = :ticket_1;
\echo '       => ticket.assigned'
BEGIN;
UPDATE helpdesk.tickets SET status = 'resolved', resolved_at = now() WHERE id = :ticket_1;
UPDATE helpdesk.conversations SET status = 'resolved', resolved_at = now() WHERE id = :chargers;
COMMIT;
\echo '       => ticket.resolved'
\echo '       => conversation.resolved'

\echo
\echo '15:20  An assistant opens a ticket for a caller over MCP. Its first solution is rolled back to a savepoint;'
\echo '       the rest of the transaction is committed, with its events.'
BEGIN;
INSERT INTO helpdesk.customers (tenant_id, account_id, kind, name, source)
VALUES ('lumen', :alder, 'contact', 'Quentin', 'mcp') RETURNING id AS quentin \gset
INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject, assignee_id)
VALUES ('lumen', :quentin, 'Brakes squeak in the rain', :tomas) RETURNING id AS ticket_2 \gset
SAVEPOINT guess;
UPDATE helpdesk.tickets SET status = 'resolved', resolved_at = now() WHERE id = :ticket_2;
ROLLBACK TO SAVEPOINT guess;
UPDATE helpdesk.tickets SET status = 'on_hold' WHERE id = :ticket_2;
COMMIT;
\echo '       => customer.created'
\echo '       => ticket.created'
\echo '       => ticket.assigned'
\echo '       rolled back: ticket.resolved'
\echo '       => ticket.status_changed'

\echo
\echo '16:00  Birch complains. One transition emits two events: every change of stage emits the first, and a change to at_risk the second too.'
UPDATE helpdesk.accounts SET health_score = 35 WHERE id = :birch;
UPDATE helpdesk.accounts SET lifecycle_stage = 'at_risk' WHERE id = :birch;
\echo '       => account.stage_changed'
\echo '       => account.went_at_risk'

\echo
\echo '16:45  The brakes are oiled. Resolving emits only ticket.resolved; closing is a transition to a non-resolved status.'
UPDATE helpdesk.tickets SET status = 'resolved', resolved_at = now() WHERE id = :ticket_2;
\echo '       => ticket.resolved'
UPDATE helpdesk.tickets SET status = 'closed' WHERE id = :ticket_1;
\echo '       => ticket.status_changed'

\echo
\echo '17:00  Somebody saves a form without a change. Nothing is sent.'
UPDATE helpdesk.tickets SET status = status, assignee_id = assignee_id, subject = subject WHERE id = :ticket_2;

\set ECHO none
RESET ROLE;
