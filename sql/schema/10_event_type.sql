SET LOCAL search_path = pg_catalog, pg_temp;
CREATE FUNCTION hydra._is_event_type_name(name text)
    RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT length(name) <= 100 AND name ~ '^[a-z0-9_]+([.][a-z0-9_]+)+$'
$$;
COMMENT ON FUNCTION hydra._is_event_type_name(text) IS
    'Whether the text is a valid name of an event type: two or more parts of a-z, 0-9 and _, joined by dots; at most 100 characters';

CREATE TABLE hydra.event_type (
    name text PRIMARY KEY CONSTRAINT name_is_dotted CHECK (hydra._is_event_type_name(name)),
    description text NOT NULL CONSTRAINT description_is_short CHECK (pg_catalog.length(description) <= 1000),
    entity_type text NOT NULL CONSTRAINT entity_type_is_named CHECK (pg_catalog.length(entity_type) BETWEEN 1 AND 200),
    id_key text NOT NULL DEFAULT 'id' CONSTRAINT id_key_is_named CHECK (pg_catalog.length(id_key) BETWEEN 1 AND 200),
    origin text NOT NULL CONSTRAINT origin_is_known CHECK (origin IN ('catalogue', 'application', 'extension')),
    catalogue text CONSTRAINT catalogue_is_known CHECK (catalogue IN ('helpdesk', 'field_service')),
    CONSTRAINT catalogue_is_its_origin CHECK ((origin = 'catalogue') = (catalogue IS NOT NULL)),
    -- Only the extension emits these: an application must not be able to forge them.
    CONSTRAINT webhook_events_are_ours CHECK ((name ^@ 'webhook.') = (origin = 'extension'))
) USING heap;
COMMENT ON TABLE hydra.event_type IS 'Event types that can be emitted and subscribed to';
COMMENT ON COLUMN hydra.event_type.name IS 'Dotted name in lower case, such as ticket.created; at most 100 characters';
COMMENT ON COLUMN hydra.event_type.description IS 'When it is emitted, as text for people; at most 1000 characters';
COMMENT ON COLUMN hydra.event_type.entity_type IS 'Value of entity_type in the body; at most 200 characters';
COMMENT ON COLUMN hydra.event_type.id_key IS 'Key of the entity, or column of the row, that holds entity_id; at most 200 characters';
COMMENT ON COLUMN hydra.event_type.origin IS
    'catalogue: comes with the extension; application: registered in this database, and part of a dump; extension: emitted only by the extension';

COMMENT ON COLUMN hydra.event_type.catalogue IS 'Catalogue that it belongs to: helpdesk or field_service; null: none';

-- A dump contains the event types that the application registered, including entries of the catalogue that the
-- application changed. When a dump is restored, its event types replace the entries that CREATE EXTENSION made.
CREATE FUNCTION hydra._replace_catalogue_entry() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM hydra.event_type AS known WHERE known.name = NEW.name AND known.origin = 'catalogue';
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION hydra._replace_catalogue_entry() IS 'Deletes the entry of the catalogue that an event type of the application replaces';
CREATE TRIGGER replace_catalogue_entry BEFORE INSERT ON hydra.event_type
    FOR EACH ROW WHEN (NEW.origin = 'application') EXECUTE FUNCTION hydra._replace_catalogue_entry();

-- CREATE EXTENSION registers the catalogues, also before a dump is restored. This says which of their event types were
-- removed from the database that was dumped.
CREATE TABLE hydra.removed_event_type (
    name text PRIMARY KEY CONSTRAINT name_is_dotted CHECK (hydra._is_event_type_name(name))
) USING heap;
COMMENT ON TABLE hydra.removed_event_type IS 'Event types that were removed, so that a restored dump does not have them again';
COMMENT ON COLUMN hydra.removed_event_type.name IS 'Name of the event type';
CREATE FUNCTION hydra._remove_catalogue_entry() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM hydra.event_type AS known WHERE known.name = NEW.name AND known.origin = 'catalogue';
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION hydra._remove_catalogue_entry() IS 'Deletes the entry of a catalogue that was removed';
CREATE TRIGGER remove_catalogue_entry AFTER INSERT ON hydra.removed_event_type
    FOR EACH ROW EXECUTE FUNCTION hydra._remove_catalogue_entry();

INSERT INTO hydra.event_type (name, description, entity_type, origin, catalogue)
SELECT name, description, pg_catalog.split_part(name, '.', 1), 'catalogue',
       CASE WHEN pg_catalog.split_part(name, '.', 1) IN ('customer', 'account', 'conversation', 'ticket') THEN 'helpdesk'
            ELSE 'field_service' END
FROM (VALUES
    ('customer.created', 'A new lead or contact is created, from any source'),
    ('account.created', 'A new account is created'),
    ('account.stage_changed', 'The lifecycle stage of an account changes'),
    ('account.went_at_risk', 'An account moves into the stage at_risk'),
    ('conversation.created', 'A new conversation is opened'),
    ('conversation.resolved', 'A conversation is marked resolved'),
    ('conversation.assigned', 'A conversation is assigned to an agent'),
    ('ticket.created', 'A new ticket is opened'),
    ('ticket.assigned', 'A ticket is assigned to an agent'),
    ('ticket.resolved', 'A ticket moves to resolved'),
    ('ticket.status_changed', 'A ticket moves to any status other than resolved'),
    ('service_job.created', 'A new job was created'),
    ('service_job.status_changed', 'The status of a job changed'),
    ('service_job.completed', 'A job was marked complete'),
    ('service_job.cancelled', 'A job was cancelled'),
    ('booking.created', 'A new booking was created'),
    ('booking.confirmed', 'A booking was confirmed'),
    ('booking.cancelled', 'A booking was cancelled'),
    ('booking.completed', 'A booking was completed'),
    ('part.created', 'A new part was created'),
    ('part.updated', 'A part was updated'),
    ('part.deleted', 'A part was deleted'),
    ('part.stock_updated', 'The stock quantity of a part changed'),
    ('company.member_added', 'A team member was added'),
    ('company.member_removed', 'A team member was removed')
) AS catalogue (name, description);

INSERT INTO hydra.event_type (name, description, entity_type, origin)
VALUES ('webhook.subscription_disabled', 'The extension disabled a subscription', 'webhook', 'extension'),
       ('webhook.subscription_failing', 'A subscription has failed for half of what disables it', 'webhook', 'extension'),
       ('webhook.delivery_failed', 'A delivery was given up after its last attempt', 'webhook', 'extension');
SET LOCAL search_path = hydra, pg_temp;
