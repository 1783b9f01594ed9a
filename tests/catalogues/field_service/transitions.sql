-- Drives every transition of examples/field_service.sql that should emit an event, and those beside them that should not.
-- expected.txt holds what must come out for company 9001, in this order: one line `event entity_id` per event.
--
-- Run in one session, on a database with the schema, as a role that may insert a company. For the order to be a promise,
-- the subscription needs max_in_flight => 1. Plain SQL, and every step is a transaction of its own: it can go through psql
-- or through a driver, as one string or by statement. Ids are given, so that expected.txt can name them; the company is
-- its own, so that other rows do not matter. 11.. members, 21.. service jobs, 31.. bookings, 41.. parts.

BEGIN;
INSERT INTO field_service.companies (id, name) OVERRIDING SYSTEM VALUE VALUES (9001, 'Transitions'), (9002, 'Elsewhere');
COMMIT;

SET ROLE field_service_app;

-- Members -------------------------------------------------------------------------------------------------------------

BEGIN;
INSERT INTO field_service.members (id, company_id, name, email, role) OVERRIDING SYSTEM VALUE VALUES
    (1101, 9001, 'Ada', 'ada@transitions.example', 'owner'),
    (1102, 9001, 'Ben', 'ben@transitions.example', 'office'),
    (1103, 9001, 'Cem', 'cem@transitions.example', 'technician');
COMMIT;
-- The other company's: an event there, none here.
BEGIN;
INSERT INTO field_service.members (id, company_id, name, email) OVERRIDING SYSTEM VALUE
    VALUES (1109, 9002, 'Zoe', 'zoe@elsewhere.example');
COMMIT;
-- Nothing: another role; one who is there already; nobody to remove.
BEGIN; UPDATE field_service.members SET role = 'technician' WHERE id = 1102; COMMIT;
BEGIN;
INSERT INTO field_service.members (company_id, name, email) VALUES (9001, 'Ada', 'ADA@transitions.example')
    ON CONFLICT DO NOTHING;
COMMIT;
BEGIN; DELETE FROM field_service.members WHERE company_id = 9001 AND name = 'Dee'; COMMIT;

-- Service jobs --------------------------------------------------------------------------------------------------------

-- Created, whatever the status. Born completed or cancelled is no transition: created alone.
BEGIN;
INSERT INTO field_service.service_jobs (id, company_id, job_number, customer, status, completed_at)
    OVERRIDING SYSTEM VALUE VALUES
    (2101, 9001, 'JOB-2024-0001', 'Ina', 'new',       NULL),
    (2102, 9001, 'JOB-2024-0002', 'Jo',  'completed', now()),
    (2103, 9001, 'JOB-2024-0003', 'Kai', 'cancelled', NULL),
    (2104, 9001, 'JOB-2024-0004', 'Lu',  'new',       NULL),
    (2105, 9001, 'JOB-2024-0005', 'Mo',  'scheduled', NULL);
COMMIT;
-- A change of status. Nothing: the same status again; another column; no row at all.
BEGIN; UPDATE field_service.service_jobs SET status = 'scheduled' WHERE id = 2101; COMMIT;
BEGIN; UPDATE field_service.service_jobs SET status = 'scheduled', summary = 'Boiler' WHERE id = 2101; COMMIT;
BEGIN; UPDATE field_service.service_jobs SET summary = 'Boiler, loud' WHERE id = 2101; COMMIT;
BEGIN; UPDATE field_service.service_jobs SET status = 'on_hold' WHERE id = 2101 AND status = 'new'; COMMIT;
BEGIN; UPDATE field_service.service_jobs SET status = 'in_progress' WHERE id = 2101; COMMIT;
-- Completed: status_changed, then completed. From completed to completed: nothing, one born so included.
BEGIN; UPDATE field_service.service_jobs SET status = 'completed', completed_at = now() WHERE id = 2101; COMMIT;
BEGIN;
UPDATE field_service.service_jobs SET status = 'completed', completed_at = now(), summary = 'Done'
WHERE id IN (2101, 2102);
COMMIT;
-- Taken up again: status_changed alone. Completed again: both again.
BEGIN; UPDATE field_service.service_jobs SET status = 'in_progress', completed_at = NULL WHERE id = 2101; COMMIT;
BEGIN; UPDATE field_service.service_jobs SET status = 'completed', completed_at = now() WHERE id = 2101; COMMIT;
-- One statement, two rows: both events of the first row, then both of the second. Cancelled again: nothing.
BEGIN; UPDATE field_service.service_jobs SET status = 'cancelled' WHERE id IN (2104, 2105); COMMIT;
BEGIN; UPDATE field_service.service_jobs SET status = 'cancelled', summary = 'Moved out' WHERE id = 2104; COMMIT;
-- Out of cancelled: status_changed alone. From completed to cancelled: status_changed, then cancelled.
BEGIN; UPDATE field_service.service_jobs SET status = 'scheduled' WHERE id = 2104; COMMIT;
BEGIN; UPDATE field_service.service_jobs SET status = 'cancelled', completed_at = NULL WHERE id = 2102; COMMIT;
-- There and back in one transaction: two transitions, three events.
BEGIN;
UPDATE field_service.service_jobs SET status = 'new' WHERE id = 2105;
UPDATE field_service.service_jobs SET status = 'cancelled' WHERE id = 2105;
COMMIT;
-- A deleted service job has no event.
BEGIN; DELETE FROM field_service.service_jobs WHERE id = 2103; COMMIT;
-- Refused by the schema, and so without an event: completed without a time.
BEGIN;
DO $$
BEGIN
    UPDATE field_service.service_jobs SET status = 'completed' WHERE id = 2104;
    RAISE 'a completed service job without completed_at was let in';
EXCEPTION WHEN check_violation THEN NULL;
END $$;
COMMIT;

-- Bookings ------------------------------------------------------------------------------------------------------------

-- Requested: created. Born confirmed: created alone.
BEGIN;
INSERT INTO field_service.bookings (id, company_id, service_job_id, technician_id, starts_at, ends_at, status)
    OVERRIDING SYSTEM VALUE VALUES
    (3101, 9001, 2101, NULL, '2024-01-15 08:30Z', '2024-01-15 10:00Z', 'requested'),
    (3102, 9001, 2101, 1103, '2024-01-16 08:30Z', '2024-01-16 10:00Z', 'confirmed'),
    (3103, 9001, 2104, 1103, '2024-01-17 08:30Z', '2024-01-17 10:00Z', 'requested');
COMMIT;
-- Confirmed. Nothing: the same again with a technician; another time; requested again. Confirmed a second time.
BEGIN; UPDATE field_service.bookings SET status = 'confirmed' WHERE id = 3101; COMMIT;
BEGIN; UPDATE field_service.bookings SET status = 'confirmed', technician_id = 1103 WHERE id = 3101; COMMIT;
BEGIN; UPDATE field_service.bookings SET ends_at = '2024-01-15 11:00Z' WHERE id = 3101; COMMIT;
BEGIN; UPDATE field_service.bookings SET status = 'requested' WHERE id = 3101; COMMIT;
BEGIN; UPDATE field_service.bookings SET status = 'confirmed' WHERE id = 3101; COMMIT;
-- Completed; completed again: nothing.
BEGIN; UPDATE field_service.bookings SET status = 'completed' WHERE id = 3102; COMMIT;
BEGIN; UPDATE field_service.bookings SET status = 'completed', technician_id = 1103 WHERE id = 3102; COMMIT;
-- Cancelled; cancelled again: nothing; confirmed after all, and completed.
BEGIN; UPDATE field_service.bookings SET status = 'cancelled' WHERE id = 3103; COMMIT;
BEGIN; UPDATE field_service.bookings SET status = 'cancelled' WHERE id = 3103; COMMIT;
BEGIN;
UPDATE field_service.bookings SET status = 'confirmed' WHERE id = 3103;
UPDATE field_service.bookings SET status = 'completed' WHERE id = 3103;
COMMIT;
-- A deleted booking has no event.
BEGIN; DELETE FROM field_service.bookings WHERE id = 3103; COMMIT;
-- Refused by the schema, and so without an event: a technician of another company, an end before the start.
BEGIN;
DO $$
BEGIN
    UPDATE field_service.bookings SET technician_id = 1109, status = 'cancelled' WHERE id = 3101;
    RAISE 'a technician of another company was let in';
EXCEPTION WHEN foreign_key_violation THEN NULL;
END $$;
DO $$
BEGIN
    UPDATE field_service.bookings SET ends_at = starts_at, status = 'cancelled' WHERE id = 3101;
    RAISE 'a booking without duration was let in';
EXCEPTION WHEN check_violation THEN NULL;
END $$;
COMMIT;

-- Members leave -------------------------------------------------------------------------------------------------------

-- Removed (the foreign key takes the member off the bookings): an event of the member, none of the bookings.
BEGIN; DELETE FROM field_service.members WHERE id = 1103; COMMIT;
-- Removed and added again is a new member.
BEGIN;
DELETE FROM field_service.members WHERE id = 1102;
INSERT INTO field_service.members (id, company_id, name, email) OVERRIDING SYSTEM VALUE
    VALUES (1104, 9001, 'Ben', 'ben@transitions.example');
COMMIT;

-- Parts ---------------------------------------------------------------------------------------------------------------

-- Created, counted or not.
BEGIN;
INSERT INTO field_service.parts (id, company_id, sku, name, unit_price, stock_quantity) OVERRIDING SYSTEM VALUE VALUES
    (4101, 9001, 'BOLT',  'Bolt',  0.20,  100),
    (4102, 9001, 'VALVE', 'Valve', 14.00, 10),
    (4103, 9001, 'SEAL',  'Seal',  1.00,  NULL),
    (4104, 9001, 'HOSE',  'Hose',  8.50,  5);
COMMIT;
-- Updated; a supplier where there was none; nothing for what is the same in other words.
BEGIN; UPDATE field_service.parts SET unit_price = 0.25 WHERE id = 4101; COMMIT;
BEGIN; UPDATE field_service.parts SET supplier = 'Alder' WHERE id = 4101; COMMIT;
BEGIN; UPDATE field_service.parts SET unit_price = 0.250, supplier = 'Alder', name = name WHERE id = 4101; COMMIT;
-- Stock: stock_updated, and not updated. Nothing for the same quantity again, nor for one that is not set.
BEGIN; UPDATE field_service.parts SET stock_quantity = 90 WHERE id = 4101; COMMIT;
BEGIN; UPDATE field_service.parts SET stock_quantity = 90 WHERE id = 4101; COMMIT;
BEGIN; UPDATE field_service.parts SET stock_quantity = stock_quantity, name = 'Bolt' WHERE id = 4101; COMMIT;
-- Both: updated, then stock_updated. With the same quantity, or the same price, one of them.
BEGIN; UPDATE field_service.parts SET stock_quantity = 80, unit_price = 0.30 WHERE id = 4101; COMMIT;
BEGIN; UPDATE field_service.parts SET stock_quantity = 80, unit_price = 0.35 WHERE id = 4101; COMMIT;
BEGIN; UPDATE field_service.parts SET stock_quantity = 70, unit_price = 0.35 WHERE id = 4101; COMMIT;
-- Not counted still: nothing. Counted for the first time, counted no more: a change each.
BEGIN; UPDATE field_service.parts SET stock_quantity = NULL WHERE id = 4103; COMMIT;
BEGIN; UPDATE field_service.parts SET stock_quantity = 0 WHERE id = 4103; COMMIT;
BEGIN; UPDATE field_service.parts SET stock_quantity = NULL WHERE id = 4103; COMMIT;
-- Many at a time: an event for each whose quantity changed, and none for the one that is not counted. No row: nothing.
BEGIN; UPDATE field_service.parts SET stock_quantity = stock_quantity + 1 WHERE id IN (4102, 4103, 4104); COMMIT;
BEGIN; UPDATE field_service.parts SET stock_quantity = 0 WHERE company_id = 9001 AND sku = 'NONE'; COMMIT;
-- A stocktake in which one of two quantities was right.
BEGIN;
UPDATE field_service.parts AS part SET stock_quantity = counted.quantity
FROM (VALUES (4102, 20), (4104, 6)) AS counted (id, quantity)
WHERE part.id = counted.id;
COMMIT;
-- Row by row first: two updated, then the stock of the one that has another.
BEGIN;
UPDATE field_service.parts
SET unit_price = unit_price * 2, stock_quantity = CASE id WHEN 4104 THEN 12 ELSE stock_quantity END
WHERE id IN (4102, 4104);
COMMIT;
-- A transaction in which stock and other things take turns.
BEGIN;
UPDATE field_service.parts SET stock_quantity = 60 WHERE id = 4101;
UPDATE field_service.parts SET name = 'Bolt M8' WHERE id = 4101;
UPDATE field_service.service_jobs SET status = 'in_progress' WHERE id = 2104;
UPDATE field_service.parts SET stock_quantity = 50 WHERE id = 4101;
UPDATE field_service.service_jobs SET status = 'on_hold' WHERE id = 2104;
COMMIT;
-- An upsert, of one that is there and one that is not: changed, created, then the stock. As it stands: nothing.
BEGIN;
INSERT INTO field_service.parts (id, company_id, sku, name, unit_price, stock_quantity) OVERRIDING SYSTEM VALUE
    VALUES (4191, 9001, 'BOLT', 'Bolt', 0.40, 40), (4105, 9001, 'PUMP', 'Pump', 99.00, 3)
    ON CONFLICT (company_id, sku) DO UPDATE
    SET unit_price = excluded.unit_price, stock_quantity = excluded.stock_quantity;
COMMIT;
BEGIN;
INSERT INTO field_service.parts (company_id, sku, name, unit_price, stock_quantity) VALUES (9001, 'PUMP', 'Pump', 99.00, 3)
    ON CONFLICT (company_id, sku) DO UPDATE
    SET unit_price = excluded.unit_price, stock_quantity = excluded.stock_quantity;
COMMIT;
-- Used on a service job, on two lines: taken from stock twice. One that is not counted: nothing.
BEGIN;
INSERT INTO field_service.parts_used (company_id, service_job_id, part_id, quantity)
    VALUES (9001, 2104, 4102, 1), (9001, 2104, 4102, 2), (9001, 2104, 4103, 1);
COMMIT;
-- Deleted; one that is gone already: nothing.
BEGIN; DELETE FROM field_service.parts WHERE id = 4105; COMMIT;
BEGIN; DELETE FROM field_service.parts WHERE id = 4105; COMMIT;
-- Refused by the schema, and so without an event: more than is there, a part deleted that was used, an SKU twice.
BEGIN;
DO $$
BEGIN
    INSERT INTO field_service.parts_used (company_id, service_job_id, part_id, quantity) VALUES (9001, 2104, 4104, 13);
    RAISE 'a part that was not there was used';
EXCEPTION WHEN check_violation THEN NULL;
END $$;
DO $$
BEGIN
    DELETE FROM field_service.parts WHERE id = 4102;
    RAISE 'a part that was used was deleted';
EXCEPTION WHEN foreign_key_violation THEN NULL;
END $$;
DO $$
BEGIN
    UPDATE field_service.parts SET sku = 'BOLT', stock_quantity = 0 WHERE id = 4104;
    RAISE 'an SKU was let in twice';
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
COMMIT;

-- Rolled back ---------------------------------------------------------------------------------------------------------

-- A whole transaction.
BEGIN;
INSERT INTO field_service.parts (company_id, sku, name, unit_price) VALUES (9001, 'NEVER', 'Never', 1.00);
UPDATE field_service.parts SET stock_quantity = 0, name = 'Never' WHERE id = 4101;
UPDATE field_service.service_jobs SET status = 'cancelled' WHERE id = 2104;
DELETE FROM field_service.members WHERE id = 1101;
ROLLBACK;
-- A savepoint, between two that stay; a released one inside a rolled-back one goes with it.
BEGIN;
UPDATE field_service.service_jobs SET status = 'scheduled' WHERE id = 2105;
SAVEPOINT outer_try;
UPDATE field_service.parts SET stock_quantity = 0 WHERE id IN (4101, 4104);
SAVEPOINT inner_try;
UPDATE field_service.bookings SET status = 'cancelled' WHERE id = 3101;
RELEASE inner_try;
ROLLBACK TO outer_try;
UPDATE field_service.bookings SET status = 'completed' WHERE id = 3101;
SAVEPOINT kept;
UPDATE field_service.service_jobs SET status = 'completed', completed_at = now() WHERE id = 2105;
RELEASE kept;
COMMIT;
-- A block that catches its own error: what it emitted goes, what comes after it stays.
BEGIN;
DO $$
BEGIN
    UPDATE field_service.parts SET stock_quantity = 0 WHERE id = 4104;
    RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
    UPDATE field_service.parts SET stock_quantity = 11 WHERE id = 4104;
END $$;
COMMIT;

RESET ROLE;
