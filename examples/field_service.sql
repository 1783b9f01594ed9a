-- A field-service application that sends fourteen types of events as signed webhooks.
--
-- The schema `field_service` is an ordinary application with companies, their members, service jobs, bookings and parts. Its
-- tables contain nothing about webhooks. The second half of this file has a watch for each event: copy from there.
--
-- It needs the extension in the database, and a role that may create schemas and roles:
--
--     psql -v ON_ERROR_STOP=1 -d <database> -f examples/field_service.sql
--
-- To remove everything: DROP SCHEMA field_service CASCADE; and, if no other database of the cluster has this schema,
-- DROP OWNED BY field_service_app; DROP ROLE field_service_app;

BEGIN;

CREATE SCHEMA field_service;

-- ---------------------------------------------------------------------------------------------------------------------
-- The application
-- ---------------------------------------------------------------------------------------------------------------------
-- Every table has company_id, and every foreign key includes it, so a row of one company cannot refer to a row of another.

CREATE TABLE field_service.companies (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE field_service.members (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id bigint NOT NULL REFERENCES field_service.companies,
    name       text NOT NULL CHECK (name <> ''),
    email      text NOT NULL CHECK (email LIKE '_%@_%'),
    role       text NOT NULL DEFAULT 'technician' CHECK (role IN ('owner', 'office', 'technician')),
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (company_id, id)
);
CREATE UNIQUE INDEX members_one_per_email ON field_service.members (company_id, lower(email));

CREATE TABLE field_service.service_jobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id   bigint NOT NULL REFERENCES field_service.companies,
    job_number   text NOT NULL CHECK (job_number ~ '^JOB-[0-9]{4}-[0-9]{4,}$'),
    customer     text NOT NULL CHECK (customer <> ''),
    summary      text,
    status       text NOT NULL DEFAULT 'new'
                 CHECK (status IN ('new', 'scheduled', 'in_progress', 'on_hold', 'completed', 'cancelled')),
    completed_at timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (company_id, id),
    UNIQUE (company_id, job_number),
    CONSTRAINT service_jobs_completed_at_iff_completed CHECK ((completed_at IS NOT NULL) = (status = 'completed'))
);
CREATE INDEX service_jobs_open ON field_service.service_jobs (company_id, created_at)
    WHERE status NOT IN ('completed', 'cancelled');

-- A visit for a service job. When the member who was to make it is removed, the booking stays and has no technician.
CREATE TABLE field_service.bookings (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id     bigint NOT NULL REFERENCES field_service.companies,
    service_job_id bigint NOT NULL,
    technician_id  bigint,
    starts_at      timestamptz NOT NULL,
    ends_at        timestamptz NOT NULL,
    status         text NOT NULL DEFAULT 'requested'
                   CHECK (status IN ('requested', 'confirmed', 'completed', 'cancelled')),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (company_id, service_job_id) REFERENCES field_service.service_jobs (company_id, id),
    FOREIGN KEY (company_id, technician_id) REFERENCES field_service.members (company_id, id)
        ON DELETE SET NULL (technician_id),
    CONSTRAINT bookings_end_after_start CHECK (ends_at > starts_at)
);
CREATE INDEX bookings_by_service_job ON field_service.bookings (service_job_id);
CREATE INDEX bookings_by_technician ON field_service.bookings (technician_id, starts_at) WHERE technician_id IS NOT NULL;

-- The stock is NULL for parts that are not counted, such as cable ties and grease.
CREATE TABLE field_service.parts (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id     bigint NOT NULL REFERENCES field_service.companies,
    sku            text NOT NULL CHECK (sku <> ''),
    name           text NOT NULL CHECK (name <> ''),
    unit_price     numeric(12, 2) NOT NULL CHECK (unit_price >= 0),
    supplier       text,
    stock_quantity integer CHECK (stock_quantity >= 0),
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (company_id, id),
    UNIQUE (company_id, sku)
);

CREATE TABLE field_service.parts_used (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id     bigint NOT NULL REFERENCES field_service.companies,
    service_job_id bigint NOT NULL,
    part_id        bigint NOT NULL,
    quantity       integer NOT NULL CHECK (quantity > 0),
    created_at     timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (company_id, service_job_id) REFERENCES field_service.service_jobs (company_id, id),
    FOREIGN KEY (company_id, part_id) REFERENCES field_service.parts (company_id, id)
);
CREATE INDEX parts_used_by_service_job ON field_service.parts_used (service_job_id);
CREATE INDEX parts_used_by_part ON field_service.parts_used (part_id);

CREATE FUNCTION field_service.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON field_service.service_jobs FOR EACH ROW EXECUTE FUNCTION field_service.touch();
CREATE TRIGGER touch BEFORE UPDATE ON field_service.bookings     FOR EACH ROW EXECUTE FUNCTION field_service.touch();
CREATE TRIGGER touch BEFORE UPDATE ON field_service.parts        FOR EACH ROW EXECUTE FUNCTION field_service.touch();

-- Parts that a service job uses are taken from the stock, which cannot become negative.
-- The UPDATE in this function is like any other UPDATE: it emits part.stock_updated.
CREATE FUNCTION field_service.take_from_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE field_service.parts SET stock_quantity = stock_quantity - NEW.quantity WHERE id = NEW.part_id;
    RETURN NULL;
END $$;
CREATE TRIGGER take_from_stock AFTER INSERT ON field_service.parts_used
    FOR EACH ROW EXECUTE FUNCTION field_service.take_from_stock();

-- ---------------------------------------------------------------------------------------------------------------------
-- The watches: one event type after the other
-- ---------------------------------------------------------------------------------------------------------------------
-- How to read it:
--   * examples/helpdesk.sql explains watches, and why the event of a transition is only for updates: a row that is inserted in
--     a state, such as a service job imported as completed, emits `created` and nothing else. The same applies here.
--   * The text in quotation marks describes the event in words. Where it leaves a question open, the line below answers it.
--   * The tenant of an event is the company. The column is company_id here, so every watch has the argument tenant; a table
--     with a column tenant_id does not need it.
--   * Conditions use IS DISTINCT FROM, which also compares NULL. With <>, the first count of a part that was never counted
--     would not emit an event.
--   * The events of one statement for one row are sent in the order of the watches here. A watch with level statement comes
--     after all others of the table: first the events of each row, then the stock of all rows.

-- service_job.created: "A new job was created."
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.created', 'insert', tenant => 'new.company_id');

-- service_job.status_changed: "A job's status changed."
-- To any status. ticket.status_changed in examples/helpdesk.sql excludes one status; this event excludes none. Completing or
-- cancelling a service job therefore emits two events, this one first.
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.status_changed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status IS DISTINCT FROM old.status$$);

-- service_job.completed: "A job was marked complete."
-- Every time: a service job that is taken up again and completed again emits a second event.
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.completed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'completed' AND old.status IS DISTINCT FROM 'completed'$$);

-- service_job.cancelled: "A job was cancelled."
-- Deleting a service job is not cancelling it, and emits no event.
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.cancelled', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'cancelled' AND old.status IS DISTINCT FROM 'cancelled'$$);

-- booking.created: "A new booking was created."
SELECT hydra.webhook_watch('field_service.bookings', 'booking.created', 'insert', tenant => 'new.company_id');

-- booking.confirmed: "A booking was confirmed."
-- From any status. A change of the time or the technician of a confirmed booking emits no event.
SELECT hydra.webhook_watch('field_service.bookings', 'booking.confirmed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'confirmed' AND old.status IS DISTINCT FROM 'confirmed'$$);

-- booking.cancelled: "A booking was cancelled."
-- The bookings of a cancelled service job are not cancelled with it. Each booking that is cancelled emits an event.
SELECT hydra.webhook_watch('field_service.bookings', 'booking.cancelled', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'cancelled' AND old.status IS DISTINCT FROM 'cancelled'$$);

-- booking.completed: "A booking was completed."
SELECT hydra.webhook_watch('field_service.bookings', 'booking.completed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'completed' AND old.status IS DISTINCT FROM 'completed'$$);

-- part.created: "A new part was created." With any stock.
SELECT hydra.webhook_watch('field_service.parts', 'part.created', 'insert', tenant => 'new.company_id');

-- part.updated: "A part was updated."
-- The stock has a separate event: a change of only the stock emits part.stock_updated, a change of stock and price emits both.
-- An UPDATE that changes nothing emits nothing, although `touch` sets the time. The condition names the columns that do not
-- count, so that a column that is added later counts.
SELECT hydra.webhook_watch('field_service.parts', 'part.updated', 'update',
    tenant => 'new.company_id',
    condition => $$to_jsonb(new) - '{stock_quantity,updated_at}'::text[]
                   IS DISTINCT FROM to_jsonb(old) - '{stock_quantity,updated_at}'::text[]$$);

-- part.deleted: "A part was deleted." The entity is the row before the DELETE.
SELECT hydra.webhook_watch('field_service.parts', 'part.deleted', 'delete', tenant => 'old.company_id');

-- part.stock_updated: "Part stock quantity changed."
-- With level statement, because a stocktake sets the stock of thousands of parts at once. It emits an event for each part whose
-- quantity differs. A change from NULL or to NULL, when counting starts or stops, is a change too.
SELECT hydra.webhook_watch('field_service.parts', 'part.stock_updated', 'update', columns => '{stock_quantity}',
    tenant => 'new.company_id', level => 'statement',
    condition => $$new.stock_quantity IS DISTINCT FROM old.stock_quantity$$);

-- company.member_added: "A team member was added."
-- The entity is the member, entity_id is the id of the member, and the tenant is the company. (entity_type is `company`, the
-- first part of the name of the event type.)
SELECT hydra.webhook_watch('field_service.members', 'company.member_added', 'insert', tenant => 'new.company_id');

-- company.member_removed: "A team member was removed."
-- A member is removed by DELETE; the entity is the row before it. A change of the role or the address emits no event.
SELECT hydra.webhook_watch('field_service.members', 'company.member_removed', 'delete', tenant => 'old.company_id');

-- ---------------------------------------------------------------------------------------------------------------------
-- The role of the application, which is neither a superuser nor the owner
-- ---------------------------------------------------------------------------------------------------------------------

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'field_service_app') THEN
        CREATE ROLE field_service_app NOLOGIN;
    END IF;
END $$;

GRANT USAGE ON SCHEMA field_service TO field_service_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON field_service.service_jobs, field_service.bookings, field_service.parts
    TO field_service_app;
-- Members do not move from one company to another: that is a removal and an addition, with an event for each.
GRANT SELECT, INSERT, UPDATE (name, email, role), DELETE ON field_service.members TO field_service_app;
-- Used parts cannot be changed or removed.
GRANT SELECT, INSERT ON field_service.parts_used TO field_service_app;
-- Companies are created elsewhere.
GRANT SELECT ON field_service.companies TO field_service_app;

-- It needs no privilege of the extension, because triggers fire for every role. A role that calls hydra.webhook_emit itself
-- needs the role hydra_emitter, as helpdesk_app has it.

-- ---------------------------------------------------------------------------------------------------------------------
-- REST: the same rows under /api/v1
-- ---------------------------------------------------------------------------------------------------------------------
-- examples/helpdesk.sql explains it. The tenant of a key is the id of a company, as a text:
--
--     SELECT key FROM hydra.api_key_create('Office', '{service_jobs:read,service_jobs:write}', tenant_id => '1');

GRANT USAGE ON SCHEMA field_service TO hydra_api;
GRANT SELECT ON field_service.members, field_service.service_jobs, field_service.bookings, field_service.parts,
                field_service.parts_used TO hydra_api;
GRANT INSERT (company_id, name, email, role), UPDATE (name, email, role), DELETE ON field_service.members TO hydra_api;
GRANT INSERT (company_id, job_number, customer, summary), UPDATE (customer, summary, status, completed_at)
    ON field_service.service_jobs TO hydra_api;
GRANT INSERT (company_id, service_job_id, technician_id, starts_at, ends_at),
      UPDATE (technician_id, starts_at, ends_at, status) ON field_service.bookings TO hydra_api;
GRANT INSERT (company_id, sku, name, unit_price, supplier, stock_quantity),
      UPDATE (name, unit_price, supplier, stock_quantity), DELETE ON field_service.parts TO hydra_api;
GRANT INSERT (company_id, service_job_id, part_id, quantity) ON field_service.parts_used TO hydra_api;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{members,service_jobs,bookings,parts,parts_used}'::text[] LOOP
        EXECUTE format('ALTER TABLE field_service.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY of_the_application ON field_service.%I TO field_service_app USING (true)', name);
        EXECUTE format('CREATE POLICY of_the_key ON field_service.%I TO hydra_api
                        USING (company_id = (SELECT hydra.current_tenant())::bigint)', name);
    END LOOP;
END $$;

CREATE INDEX service_jobs_by_status ON field_service.service_jobs (company_id, status, id);
CREATE INDEX service_jobs_by_age ON field_service.service_jobs (company_id, created_at, id);
CREATE INDEX bookings_of_company ON field_service.bookings (company_id, id);
CREATE INDEX bookings_by_start ON field_service.bookings (company_id, starts_at, id);
CREATE INDEX parts_used_of_company ON field_service.parts_used (company_id, id);

COMMENT ON TABLE field_service.members IS 'People of the company';
COMMENT ON TABLE field_service.service_jobs IS 'What customers have ordered';
COMMENT ON TABLE field_service.bookings IS 'Visits for service jobs';
COMMENT ON TABLE field_service.parts IS 'Parts in stock';
COMMENT ON TABLE field_service.parts_used IS 'Parts that service jobs have used';
COMMENT ON COLUMN field_service.service_jobs.job_number IS 'Such as JOB-2026-0042';
COMMENT ON COLUMN field_service.service_jobs.completed_at IS 'When it was completed; null unless its status is completed';
COMMENT ON COLUMN field_service.bookings.technician_id IS 'The member who makes the visit; null: nobody yet';
COMMENT ON COLUMN field_service.parts.stock_quantity IS 'How many there are; null: they are not counted';

SELECT hydra.api_expose('field_service.members', tenant_column => 'company_id',
    creatable => '{name,email,role}', updatable => '{name,email,role}', deletable => true,
    filterable => '{id}', sortable => '{}');
SELECT hydra.api_expose('field_service.service_jobs', tenant_column => 'company_id',
    creatable => '{job_number,customer,summary}', updatable => '{customer,summary,status,completed_at}',
    filterable => '{id,job_number,status,created_at}', sortable => '{job_number,created_at}');
SELECT hydra.api_expose('field_service.bookings', tenant_column => 'company_id',
    creatable => '{service_job_id,technician_id,starts_at,ends_at}', updatable => '{technician_id,starts_at,ends_at,status}',
    filterable => '{id,service_job_id,starts_at}', sortable => '{starts_at}');
SELECT hydra.api_expose('field_service.parts', tenant_column => 'company_id',
    creatable => '{sku,name,unit_price,supplier,stock_quantity}', updatable => '{name,unit_price,supplier,stock_quantity}',
    deletable => true, filterable => '{id,sku}', sortable => '{sku}');
SELECT hydra.api_expose('field_service.parts_used', tenant_column => 'company_id',
    creatable => '{service_job_id,part_id,quantity}',
    filterable => '{id,service_job_id,part_id}', sortable => '{}');

COMMIT;
