SET LOCAL search_path = pg_catalog, pg_temp;
-- Rows that belong to a row of another table, such as the signing secrets of a subscription. A foreign key would say so. But the foreign
-- keys of an extension are there before the rows of a dump, and pg_restore loads tables in any order if it has several jobs.
-- So triggers do what foreign keys would do. A row can come before the one that it belongs to only while the table of that one is empty.

CREATE FUNCTION hydra._check_owner() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owners text := TG_ARGV[0];
    owner bigint := to_jsonb(NEW) ->> TG_ARGV[1];
    find text := format('SELECT true FROM hydra.%I WHERE id = $1 FOR KEY SHARE', owners);
    found boolean;
    is_empty boolean;
BEGIN
    IF owner IS NULL THEN
        RETURN NEW;
    END IF;
    EXECUTE find INTO found USING owner;
    IF found IS NULL THEN
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM hydra.%I)', owners) INTO is_empty;
        -- Another job may have loaded the table in the meantime.
        EXECUTE find INTO found USING owner;
        IF found IS NULL AND NOT is_empty THEN
            RAISE EXCEPTION 'a row of hydra.% belongs to a row that does not exist', TG_TABLE_NAME
                USING ERRCODE = 'foreign_key_violation',
                      DETAIL = format('There is no row with id %s in hydra.%I.', owner, owners),
                      HINT = 'Use the functions of the extension instead of its tables.';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION hydra._check_owner() IS
    'Fails if the row that a row belongs to does not exist, unless its table is empty, as while a dump is restored; arguments: that table, and the column with the id';

CREATE FUNCTION hydra._remove_owned() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_cleared boolean := TG_ARGV[2] = 'clear';
    change text := format(CASE WHEN is_cleared THEN 'UPDATE hydra.%I SET %I = NULL' ELSE 'DELETE FROM hydra.%I' END, TG_ARGV[0], TG_ARGV[1]);
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE change;
    ELSE
        EXECUTE format('%s WHERE %I = $1', change, TG_ARGV[1]) USING OLD.id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hydra._remove_owned() IS
    'Deletes the rows that belong to a deleted row, or clears the column that names it; arguments: their table, the column, and delete or clear';

CREATE TRIGGER check_owner_subscription_id BEFORE INSERT OR UPDATE OF subscription_id ON hydra.signing_secret
    FOR EACH ROW EXECUTE FUNCTION hydra._check_owner('subscription', 'subscription_id');
CREATE TRIGGER remove_signing_secret AFTER DELETE ON hydra.subscription
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_owned('signing_secret', 'subscription_id', 'delete');
CREATE TRIGGER truncate_signing_secret AFTER TRUNCATE ON hydra.subscription
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remove_owned('signing_secret', 'subscription_id', 'delete');

CREATE TRIGGER check_owner_key_id BEFORE INSERT OR UPDATE OF key_id ON hydra.api_key_hash
    FOR EACH ROW EXECUTE FUNCTION hydra._check_owner('api_key', 'key_id');
CREATE TRIGGER remove_api_key_hash AFTER DELETE ON hydra.api_key
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_owned('api_key_hash', 'key_id', 'delete');
CREATE TRIGGER truncate_api_key_hash AFTER TRUNCATE ON hydra.api_key
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remove_owned('api_key_hash', 'key_id', 'delete');

CREATE TRIGGER check_owner_adapter_id BEFORE INSERT OR UPDATE OF adapter_id ON hydra.inbound_path
    FOR EACH ROW EXECUTE FUNCTION hydra._check_owner('inbound_adapter', 'adapter_id');
CREATE TRIGGER remove_inbound_path AFTER DELETE ON hydra.inbound_adapter
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_owned('inbound_path', 'adapter_id', 'delete');
CREATE TRIGGER truncate_inbound_path AFTER TRUNCATE ON hydra.inbound_adapter
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remove_owned('inbound_path', 'adapter_id', 'delete');

CREATE TRIGGER check_owner_adapter_id BEFORE INSERT OR UPDATE OF adapter_id ON hydra.inbound_secret
    FOR EACH ROW EXECUTE FUNCTION hydra._check_owner('inbound_adapter', 'adapter_id');
CREATE TRIGGER remove_inbound_secret AFTER DELETE ON hydra.inbound_adapter
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_owned('inbound_secret', 'adapter_id', 'delete');
CREATE TRIGGER truncate_inbound_secret AFTER TRUNCATE ON hydra.inbound_adapter
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remove_owned('inbound_secret', 'adapter_id', 'delete');

CREATE TRIGGER check_owner_adapter_id BEFORE INSERT OR UPDATE OF adapter_id ON hydra.mail_channel
    FOR EACH ROW EXECUTE FUNCTION hydra._check_owner('inbound_adapter', 'adapter_id');
CREATE TRIGGER remove_mail_channel AFTER DELETE ON hydra.inbound_adapter
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_owned('mail_channel', 'adapter_id', 'clear');
CREATE TRIGGER truncate_mail_channel AFTER TRUNCATE ON hydra.inbound_adapter
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remove_owned('mail_channel', 'adapter_id', 'clear');

CREATE TRIGGER check_owner_thread_id BEFORE INSERT OR UPDATE OF thread_id ON hydra.mail_participant
    FOR EACH ROW EXECUTE FUNCTION hydra._check_owner('mail_thread', 'thread_id');
CREATE TRIGGER remove_mail_participant AFTER DELETE ON hydra.mail_thread
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_owned('mail_participant', 'thread_id', 'delete');
CREATE TRIGGER truncate_mail_participant AFTER TRUNCATE ON hydra.mail_thread
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remove_owned('mail_participant', 'thread_id', 'delete');

CREATE TRIGGER check_owner_thread_id BEFORE INSERT OR UPDATE OF thread_id ON hydra.mail_known_id
    FOR EACH ROW EXECUTE FUNCTION hydra._check_owner('mail_thread', 'thread_id');
CREATE TRIGGER remove_mail_known_id AFTER DELETE ON hydra.mail_thread
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_owned('mail_known_id', 'thread_id', 'delete');
CREATE TRIGGER truncate_mail_known_id AFTER TRUNCATE ON hydra.mail_thread
    FOR EACH STATEMENT EXECUTE FUNCTION hydra._remove_owned('mail_known_id', 'thread_id', 'delete');
SET LOCAL search_path = hydra, pg_temp;
