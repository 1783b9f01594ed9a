-- The helpdesk takes in what other systems send: issues of GitHub, charges of Stripe, and what any program sends with curl.
--
-- Each needs three things: an event type of ours, a *flow* (a function that runs when such an event arrives), and an *adapter*
-- (a URL for the other system, how its requests are verified, and which of its events become which of ours).
--
-- It needs examples/helpdesk.sql, and a superuser, because it gives functions to another role. It prints the URLs, which are
-- shown only this once:
--
--     psql -v ON_ERROR_STOP=1 -d <database> -f examples/helpdesk_inbound.sql
--
-- What a flow writes is like any other write: the watches of helpdesk.sql emit ticket.created, account.went_at_risk and so on,
-- and all of it is committed together with the event that came, before the other system is answered.

BEGIN;

-- The workspace that all of this belongs to.
INSERT INTO helpdesk.tenants (tenant_id, name) VALUES ('lumen', 'Lumen Bikes') ON CONFLICT DO NOTHING;

SELECT hydra.webhook_register_event_type('form.submitted', 'A form was sent to us'),
       hydra.webhook_register_event_type('issue.opened', 'An issue was opened on GitHub'),
       hydra.webhook_register_event_type('charge.failed', 'A card could not be charged by Stripe');

-- ---------------------------------------------------------------------------------------------------------------------
-- The flows
-- ---------------------------------------------------------------------------------------------------------------------
-- The argument of a flow has the event type, the entity that the mapping found, the tenant of the adapter, and all that came.
-- A flow acts as the owner of its function, which is the role of the application and no superuser. An error, such as that of a
-- null subject, undoes all that the flow did; hydra.inbound_events then has the event with the error.

-- Returns the customer with this address, who is new if there is none.
CREATE FUNCTION helpdesk.customer_with(tenant text, address text, full_name text) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO helpdesk.customers AS known (tenant_id, name, email, source)
    VALUES (tenant, coalesce(nullif(full_name, ''), address), address, 'api')
    ON CONFLICT (tenant_id, lower(email)) WHERE email IS NOT NULL DO UPDATE SET email = known.email
    RETURNING id
$$;

CREATE FUNCTION helpdesk.ticket_from_form(event jsonb) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject, priority)
    SELECT event ->> 'tenant_id',
           helpdesk.customer_with(event ->> 'tenant_id', form ->> 'email', form ->> 'name'),
           form ->> 'subject',
           coalesce(form ->> 'priority', 'normal')
    FROM (SELECT event -> 'entity' AS form) AS sent
    RETURNING id
$$;

-- The labels of an issue decide how urgent the ticket is.
CREATE FUNCTION helpdesk.ticket_from_issue(event jsonb) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject, priority)
    SELECT event ->> 'tenant_id',
           helpdesk.customer_with(event ->> 'tenant_id', login || '@users.noreply.github.com', login),
           format('%s (#%s)', issue ->> 'title', issue ->> 'number'),
           CASE WHEN labels ?| '{security,outage}' THEN 'urgent'
                WHEN labels ? 'bug' THEN 'high'
                WHEN labels ? 'question' THEN 'low'
                ELSE 'normal' END
    FROM (SELECT event -> 'entity' AS issue,
                 event #>> '{entity,user,login}' AS login,
                 jsonb_path_query_array(event, '$.entity.labels[*].name') AS labels) AS github
    RETURNING id
$$;

-- A failed charge marks the account of the customer as at risk, and opens a ticket.
CREATE FUNCTION helpdesk.ticket_from_failed_charge(event jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    charge jsonb := event -> 'entity';
    payer bigint := helpdesk.customer_with(
        event ->> 'tenant_id', charge #>> '{billing_details,email}', charge #>> '{billing_details,name}');
    ticket bigint;
BEGIN
    UPDATE helpdesk.accounts SET lifecycle_stage = 'at_risk'
    WHERE id = (SELECT account_id FROM helpdesk.customers WHERE id = payer) AND lifecycle_stage <> 'churned';

    INSERT INTO helpdesk.tickets (tenant_id, customer_id, subject, priority)
    VALUES (event ->> 'tenant_id', payer,
            format('A charge of %s %s failed: %s', round((charge ->> 'amount')::numeric / 100, 2), upper(charge ->> 'currency'),
                   coalesce(charge ->> 'failure_message', 'no reason given')),
            'high')
    RETURNING id INTO ticket;
    RETURN ticket;
END $$;

ALTER FUNCTION helpdesk.customer_with(text, text, text) OWNER TO helpdesk_app;
ALTER FUNCTION helpdesk.ticket_from_form(jsonb) OWNER TO helpdesk_app;
ALTER FUNCTION helpdesk.ticket_from_issue(jsonb) OWNER TO helpdesk_app;
ALTER FUNCTION helpdesk.ticket_from_failed_charge(jsonb) OWNER TO helpdesk_app;

-- A flow is in testing until it is deployed: it is rehearsed on what comes, and hydra.flow_runs has what it would have done.
SELECT hydra.flow_deploy(hydra.flow_create('ticket from a form', 'form.submitted', 'helpdesk.ticket_from_form')),
       hydra.flow_deploy(hydra.flow_create('ticket from an issue', 'issue.opened', 'helpdesk.ticket_from_issue')),
       hydra.flow_deploy(hydra.flow_create('ticket from a failed charge', 'charge.failed', 'helpdesk.ticket_from_failed_charge'));

-- ---------------------------------------------------------------------------------------------------------------------
-- The adapters
-- ---------------------------------------------------------------------------------------------------------------------

-- Any program. Who knows the URL may send. All that comes is a form:
--     curl --json '{"email": "mara@birch.example", "subject": "The invoice is wrong"}' <url>
-- With a header `Idempotency-Key`, a request that is sent again has no second effect.
SELECT 'curl' AS adapter, url FROM hydra.inbound_create('curl', '"form.submitted"', tenant_id => 'lumen');

-- GitHub: Settings, Webhooks, Add webhook, with this URL, the content type application/json, and the secret that you choose here
-- (another one than this). Its other events, such as its first, `ping`, are received and are unmatched.
SELECT 'GitHub' AS adapter, url FROM hydra.inbound_create(
    'GitHub', '{"issues.opened": {"event": "issue.opened", "entity": "$.issue"}}',
    provider => 'github', secret => 'choose a long secret', tenant_id => 'lumen');

-- Stripe: Developers, Webhooks, Add endpoint, with this URL and the event charge.failed. Stripe shows its secret only then:
-- SELECT hydra.inbound_rotate_secret(id, 'whsec_…') FROM hydra.inbound_adapters WHERE name = 'Stripe';
SELECT 'Stripe' AS adapter, url FROM hydra.inbound_create(
    'Stripe', '{"charge.failed": {"event": "charge.failed", "entity": "$.data.object"}}',
    provider => 'stripe', secret => 'until Stripe shows its own', tenant_id => 'lumen');

COMMIT;
