-- Returns what the current role may do on the settings pages.
SELECT pg_catalog.jsonb_build_object(
    'may_visit', pg_catalog.has_table_privilege('hydra.webhook_subscriptions', 'SELECT'),
    'may_manage', pg_catalog.has_function_privilege('hydra.webhook_delete(bigint)', 'EXECUTE'),
    'may_see_failures', pg_catalog.has_table_privilege('hydra.webhook_history', 'SELECT'),
    'may_see_keys', pg_catalog.has_table_privilege('hydra.api_keys', 'SELECT'),
    'may_see_adapters', pg_catalog.has_table_privilege('hydra.inbound_adapters', 'SELECT'),
    'may_see_events', pg_catalog.has_table_privilege('hydra.inbound_events', 'SELECT'),
    'may_see_refusals', pg_catalog.has_table_privilege('hydra.inbound_refusals', 'SELECT'),
    'may_see_flows', pg_catalog.has_table_privilege('hydra.flows', 'SELECT'),
    'may_see_approvals', pg_catalog.has_table_privilege('hydra.approvals', 'SELECT'),
    'now', pg_catalog.clock_timestamp())
