-- Returns whether events are sent and inbound events are handled, as JSON, and how much waits.
SELECT pg_catalog.jsonb_build_object(
           'sending', (SELECT pg_catalog.to_jsonb(w) - 'pid' FROM hydra.webhook_worker_status AS w),
           'flows', (SELECT pg_catalog.to_jsonb(r) - 'pid' FROM hydra.runner_status AS r),
           'gateways', (SELECT pg_catalog.count(*) FROM hydra.gateways AS g WHERE g.live),
           'webhooks', (SELECT pg_catalog.jsonb_build_object(
                                   'active', pg_catalog.count(*) FILTER (WHERE s.status = 'active'),
                                   'paused', pg_catalog.count(*) FILTER (WHERE s.status = 'paused'),
                                   'disabled', pg_catalog.count(*) FILTER (WHERE s.status = 'disabled'))
                        FROM hydra.subscription AS s),
           'deliveries', pg_catalog.jsonb_build_object(
               -- Each condition is that of an index.
               'pending', (SELECT pg_catalog.count(*) FROM hydra.delivery AS d WHERE d.state = 'pending' AND d.claimed_by IS NULL)
                          + (SELECT pg_catalog.count(*) FROM hydra.delivery AS d WHERE d.claimed_by IS NOT NULL),
               'failed', (SELECT pg_catalog.count(*) FROM hydra.delivery AS d WHERE d.state = 'failed')))
