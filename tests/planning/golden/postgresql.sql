-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" ("order_id" bigint, "Customer Name" text, "amount" numeric(12,2), "updated_at" timestamp(6), "raw" bytea);

-- merge, on warehouse, in one transaction
SELECT pg_advisory_xact_lock(2553956261385565477);
CREATE TABLE "sales"."orders" ("order_id" bigint, "Customer Name" text, "amount" numeric(12,2), "updated_at" timestamp(6), "raw" bytea);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"

-- ======== an existing one, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;

-- merge, on warehouse, in one transaction
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM "sales"."orders";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"

-- ======== an existing one, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;

-- merge, on warehouse, in one transaction
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders");
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;

-- merge, on warehouse, in one transaction
SELECT pg_advisory_xact_lock(2553956261385565477);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"

-- ======== an existing one, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;

-- merge, on warehouse, in one transaction
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
UPDATE "sales"."orders" d SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at", "raw" = s."raw" FROM "pipekit_staging"."orders" s WHERE d."order_id" = s."order_id";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM "pipekit_staging"."orders" s WHERE NOT EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "order_id" FROM "pipekit_staging"."orders" GROUP BY "order_id" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id")

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;

-- merge, on warehouse, in one transaction
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
UPDATE "sales"."orders" d SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at", "raw" = s."raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s WHERE d."order_id" = s."order_id";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s WHERE NOT EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "order_id" FROM "pipekit_staging"."orders" GROUP BY "order_id" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id")
