-- A field-service company whose fourteen events reach the outside as signed webhooks.
--
-- Schema `field_service` is an ordinary application: companies, their members, service jobs, bookings, parts. Nothing in
-- its tables knows of webhooks. The second half of this file is the wiring, a watch per event, and is what to copy.
--
-- Needs the extension in the database, and a role that may create a schema and a role:
--
--     psql -v ON_ERROR_STOP=1 -d <database> -f examples/field_service.sql
--
-- To remove everything: DROP SCHEMA field_service CASCADE; and, if no other database of the cluster has one,
-- DROP OWNED BY field_service_app; DROP ROLE field_service_app;

BEGIN;

CREATE SCHEMA field_service;

-- ---------------------------------------------------------------------------------------------------------------------
-- The application
-- ---------------------------------------------------------------------------------------------------------------------
-- Every table carries company_id, and every foreign key includes it: a row of one company cannot point at a row of
-- another.

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

-- A visit for a service job. One that a member was to make stays when the member is removed, and waits for another.
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

-- Stock that nobody counts is NULL: cable ties, grease.
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

-- What a service job uses is taken from stock; what is not there cannot be used.
-- The UPDATE inside this function is an UPDATE like any other: it emits part.stock_updated.
CREATE FUNCTION field_service.take_from_stock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE field_service.parts SET stock_quantity = stock_quantity - NEW.quantity WHERE id = NEW.part_id;
    RETURN NULL;
END $$;
CREATE TRIGGER take_from_stock AFTER INSERT ON field_service.parts_used
    FOR EACH ROW EXECUTE FUNCTION field_service.take_from_stock();

-- ---------------------------------------------------------------------------------------------------------------------
-- The wiring: page *Webhook Overview*, list "Supported Events", one entry after the other
-- ---------------------------------------------------------------------------------------------------------------------
-- How to read it:
--   * examples/helpdesk.sql says what a watch is, and why an event that is a transition is for updates alone: a row that
--     is born in a state, such as a service job imported as completed, emits `created` and nothing else. That holds here.
--   * The quoted words above each are the page's. They are short; where they leave something open, a line below says what
--     was decided.
--   * The tenant of an event is the company. This application calls it company_id, so every watch says where to find it;
--     a table with a column tenant_id needs no such argument.
--   * Conditions compare with IS DISTINCT FROM, which has an answer for NULL as well. With <> the first count of a part that
--     was never counted would go unnoticed.
--   * What one statement does to a row is sent in the order in which it is watched here. A watch by statement comes after
--     all others of the table: first what happened row by row, then the stock of all rows.

-- service_job.created: "A new job was created."
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.created', 'insert', tenant => 'new.company_id');

-- service_job.status_changed: "A job's status changed."
-- To whatever status. Page *Webhooks* takes the resolved ones out of ticket.status_changed; this one takes out nothing, so
-- completing or cancelling a service job is a change of status too: both events fire, this one first.
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.status_changed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status IS DISTINCT FROM old.status$$);

-- service_job.completed: "A job was marked complete."
-- Every time: one that is taken up again and completed again emits a second event.
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.completed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'completed' AND old.status IS DISTINCT FROM 'completed'$$);

-- service_job.cancelled: "A job was cancelled."
-- A deleted one was not: deleting has no event.
SELECT hydra.webhook_watch('field_service.service_jobs', 'service_job.cancelled', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'cancelled' AND old.status IS DISTINCT FROM 'cancelled'$$);

-- booking.created: "A new booking was created."
SELECT hydra.webhook_watch('field_service.bookings', 'booking.created', 'insert', tenant => 'new.company_id');

-- booking.confirmed: "A booking was confirmed."
-- From whatever status. Another time or another technician for a confirmed booking does not confirm it again.
SELECT hydra.webhook_watch('field_service.bookings', 'booking.confirmed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'confirmed' AND old.status IS DISTINCT FROM 'confirmed'$$);

-- booking.cancelled: "A booking was cancelled."
-- The bookings of a cancelled service job are cancelled one by one, if at all: no event of a service job stands for them.
SELECT hydra.webhook_watch('field_service.bookings', 'booking.cancelled', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'cancelled' AND old.status IS DISTINCT FROM 'cancelled'$$);

-- booking.completed: "A booking was completed."
SELECT hydra.webhook_watch('field_service.bookings', 'booking.completed', 'update', columns => '{status}',
    tenant => 'new.company_id',
    condition => $$new.status = 'completed' AND old.status IS DISTINCT FROM 'completed'$$);

-- part.created: "A new part was created." Whatever its stock is then.
SELECT hydra.webhook_watch('field_service.parts', 'part.created', 'insert', tenant => 'new.company_id');

-- part.updated: "A part was updated."
-- The stock has an event of its own, so this one is for all else: stock alone is part.stock_updated, stock and price are
-- both. An UPDATE that leaves everything as it was updated nothing, although `touch` writes the time. Compared by what is
-- left out, so that a column added later counts by itself.
SELECT hydra.webhook_watch('field_service.parts', 'part.updated', 'update',
    tenant => 'new.company_id',
    condition => $$to_jsonb(new) - '{stock_quantity,updated_at}'::text[]
                   IS DISTINCT FROM to_jsonb(old) - '{stock_quantity,updated_at}'::text[]$$);

-- part.deleted: "A part was deleted." What is sent is the row as it was.
SELECT hydra.webhook_watch('field_service.parts', 'part.deleted', 'delete', tenant => 'old.company_id');

-- part.stock_updated: "Part stock quantity changed."
-- By statement: a stocktake sets the stock of thousands of parts at a time. One event for each whose quantity came out
-- different; to begin or end counting a part (from or to NULL) is a change.
SELECT hydra.webhook_watch('field_service.parts', 'part.stock_updated', 'update', columns => '{stock_quantity}',
    tenant => 'new.company_id', level => 'statement',
    condition => $$new.stock_quantity IS DISTINCT FROM old.stock_quantity$$);

-- company.member_added: "A team member was added."
-- The entity is the member, and entity_id is the member's id; the company is the tenant. (entity_type says `company`, as
-- it goes by the name of the event type.)
SELECT hydra.webhook_watch('field_service.members', 'company.member_added', 'insert', tenant => 'new.company_id');

-- company.member_removed: "A team member was removed."
-- Removing is deleting: what is sent is the member as before. Another role or address is no event.
SELECT hydra.webhook_watch('field_service.members', 'company.member_removed', 'delete', tenant => 'old.company_id');

-- ---------------------------------------------------------------------------------------------------------------------
-- The application's role: no superuser, no owner
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
-- Nobody moves from one company to another: that is a removal and an addition, with an event each.
GRANT SELECT, INSERT, UPDATE (name, email, role), DELETE ON field_service.members TO field_service_app;
-- What was used was used.
GRANT SELECT, INSERT ON field_service.parts_used TO field_service_app;
-- Companies are signed up elsewhere.
GRANT SELECT ON field_service.companies TO field_service_app;

-- And nothing of the extension's: triggers fire for whoever writes. One that is to call hydra.webhook_emit by hand needs
-- the role hydra_emitter, as helpdesk_app has it.

COMMIT;
