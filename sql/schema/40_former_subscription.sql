SET LOCAL search_path = pg_catalog, pg_temp;
-- History, failed deliveries and statistics are kept longer than a subscription that is deleted. This is how it was called.
CREATE TABLE hydra.former_subscription (
    id bigint PRIMARY KEY,
    name text,
    url text NOT NULL,
    tenant_id text,
    deleted_at timestamptz NOT NULL DEFAULT pg_catalog.now()
) USING heap;
-- To remove old rows.
CREATE INDEX former_subscription_time ON hydra.former_subscription (deleted_at);
COMMENT ON TABLE hydra.former_subscription IS
    'Names of deleted subscriptions, kept for hydra_webhooks.retention, and as long as something that was delivered to them is kept';
COMMENT ON COLUMN hydra.former_subscription.id IS 'Number of the subscription; none in hydra.subscription has it';
COMMENT ON COLUMN hydra.former_subscription.name IS 'Its name; null: it had none';
COMMENT ON COLUMN hydra.former_subscription.url IS 'URL that requests were sent to';
COMMENT ON COLUMN hydra.former_subscription.tenant_id IS 'Tenant whose events it received; null: all tenants';
COMMENT ON COLUMN hydra.former_subscription.deleted_at IS 'When it was deleted';

CREATE FUNCTION hydra._remember_subscriptions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO hydra.former_subscription (id, name, url, tenant_id)
        SELECT s.id, s.name, s.url, s.tenant_id FROM hydra.subscription AS s
        ON CONFLICT DO NOTHING;
        RETURN NULL;
    END IF;
    IF TG_OP IN ('DELETE', 'UPDATE') THEN
        INSERT INTO hydra.former_subscription (id, name, url, tenant_id)
        VALUES (OLD.id, OLD.name, OLD.url, OLD.tenant_id)
        -- Only if triggers were disabled. Then a deletion must not fail.
        ON CONFLICT (id) DO UPDATE
        SET name = excluded.name, url = excluded.url, tenant_id = excluded.tenant_id, deleted_at = excluded.deleted_at;
    END IF;
    -- A subscription that was deleted may come back: from a dump, or by replication.
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        DELETE FROM hydra.former_subscription AS former WHERE former.id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hydra._remember_subscriptions() IS
    'Keeps the names of subscriptions that are deleted, so that each number is in hydra.subscription or hydra.former_subscription, and not in both';
-- With ENABLE ALWAYS, rows that are written under session_replication_role = replica are not in both tables either.
-- A replicated TRUNCATE puts the rows back, see hydra._outlive_truncate.
CREATE TRIGGER remember_names AFTER INSERT OR DELETE OR UPDATE OF id ON hydra.subscription
    FOR EACH ROW EXECUTE FUNCTION hydra._remember_subscriptions();
CREATE TRIGGER remember_truncated BEFORE TRUNCATE ON hydra.subscription
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remember_subscriptions();
ALTER TABLE hydra.subscription ENABLE ALWAYS TRIGGER remember_names;

-- To be joined by id: then Postgres finds each name by the primary keys of the two tables.
CREATE VIEW hydra._subscription_name AS
SELECT s.id, s.name,
       CASE WHEN (SELECT pg_catalog.has_function_privilege('hydra.webhook_delete(bigint)', 'EXECUTE')) THEN s.url
            ELSE hydra._shown_url(s.url) END AS url
FROM hydra.subscription AS s
UNION ALL
SELECT former.id, former.name,
       CASE WHEN (SELECT pg_catalog.has_function_privilege('hydra.webhook_delete(bigint)', 'EXECUTE')) THEN former.url
            ELSE hydra._shown_url(former.url) END
FROM hydra.former_subscription AS former;
COMMENT ON VIEW hydra._subscription_name IS 'How subscriptions are called in views, those that were deleted included';
COMMENT ON COLUMN hydra._subscription_name.id IS 'Number of the subscription';
COMMENT ON COLUMN hydra._subscription_name.name IS 'Name, for people; null: it has none';
COMMENT ON COLUMN hydra._subscription_name.url IS
    'URL that requests are sent to; roles that may not manage subscriptions see only scheme, host and port';
SET LOCAL search_path = hydra, pg_temp;
