-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" ("order_id" bigint, "Customer Name" text, "amount" numeric(12,2), "updated_at" timestamp(6), "raw" bytea);

-- merge, on warehouse, in one transaction; all rows are written: the destination is new
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

-- merge, on warehouse, in one transaction; all rows are written: the destination has no primary or unique key, without NULL, that the query covers
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM "sales"."orders";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "sales"."orders";

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
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;
CREATE UNLOGGED TABLE "pipekit_staging"."orders changes" AS SELECT "order_id" FROM "sales"."orders" WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO "pipekit_staging"."orders changes" ("order_id", "pipekit_change") SELECT s."order_id", CASE WHEN m."order_id" IS NULL THEN 1 ELSE 2 END FROM "pipekit_staging"."orders" s LEFT JOIN (SELECT s."order_id", COUNT(*) AS pipekit_rows, MAX(CASE WHEN d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at" OR d."raw" IS DISTINCT FROM s."raw" THEN 1 ELSE 0 END) AS pipekit_differs FROM "pipekit_staging"."orders" s JOIN "sales"."orders" d ON d."order_id" = s."order_id" GROUP BY s."order_id") m ON m."order_id" = s."order_id" WHERE m."order_id" IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2);
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders changes");
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1, 2);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id");
SELECT COUNT(*) FROM "sales"."orders" d WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = d."order_id");

-- the same, where staged rows share a key
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO "pipekit_staging"."orders changes" ("order_id", "pipekit_change") SELECT DISTINCT k0, 2 FROM (SELECT k0 FROM (SELECT s."order_id" AS k0, s."order_id" AS v0, s."Customer Name" COLLATE "C" AS v1, s."amount" AS v2, s."updated_at" AS v3, s."raw" AS v4, 1 AS pipekit_rows FROM "pipekit_staging"."orders" s UNION ALL SELECT d."order_id" AS k0, d."order_id" AS v0, d."Customer Name" COLLATE "C" AS v1, d."amount" AS v2, d."updated_at" AS v3, d."raw" AS v4, -1 AS pipekit_rows FROM "sales"."orders" d WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders" m WHERE m."order_id" = d."order_id")) u GROUP BY k0, v0, v1, v2, v3, v4 HAVING SUM(pipekit_rows) <> 0) r;
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders changes");
SELECT COUNT(*) FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id");
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id");
SELECT COUNT(*) FROM "sales"."orders" d WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = d."order_id");

-- all rows are written instead where fewer than 20 % of a sample of 200 or more staged rows are there already
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders");
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "sales"."orders" d WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders" m WHERE m."order_id" = d."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders" WHERE "order_id" IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1)
-- decides: unchanged: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1) WHERE EXISTS (SELECT 1 FROM "sales"."orders" d WHERE d."order_id" = s."order_id" AND NOT (d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at" OR d."raw" IS DISTINCT FROM s."raw"))

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;

-- merge, on warehouse, in one transaction; all rows are written: rows are only added
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
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;
CREATE UNLOGGED TABLE "pipekit_staging"."orders changes" AS SELECT "order_id" FROM "sales"."orders" WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO "pipekit_staging"."orders changes" ("order_id", "pipekit_change") SELECT s."order_id", CASE WHEN m."order_id" IS NULL THEN 1 ELSE 2 END FROM "pipekit_staging"."orders" s LEFT JOIN (SELECT s."order_id", COUNT(*) AS pipekit_rows, MAX(CASE WHEN d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at" OR d."raw" IS DISTINCT FROM s."raw" THEN 1 ELSE 0 END) AS pipekit_differs FROM "pipekit_staging"."orders" s JOIN "sales"."orders" d ON d."order_id" = s."order_id" GROUP BY s."order_id") m ON m."order_id" = s."order_id" WHERE m."order_id" IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2);
UPDATE "sales"."orders" d SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at", "raw" = s."raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" c WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = c."order_id")) s WHERE d."order_id" = s."order_id";
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id" AND "pipekit_change" = 1);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
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
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "order_id" FROM "pipekit_staging"."orders" GROUP BY "order_id" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id")
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders" WHERE "order_id" IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1)
-- decides: unchanged: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1) WHERE EXISTS (SELECT 1 FROM "sales"."orders" d WHERE d."order_id" = s."order_id" AND NOT (d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at" OR d."raw" IS DISTINCT FROM s."raw"))

-- ======== one with a unique key, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "sales"."orders" WITH NO DATA;
CREATE UNLOGGED TABLE "pipekit_staging"."orders changes" AS SELECT "order_id" FROM "sales"."orders" WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
SELECT set_config('enable_hashjoin', 'off', true) FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename WHERE c.oid = '"sales"."orders"'::regclass AND s.attname = 'order_id' AND abs(s.correlation) > 0.9;
INSERT INTO "pipekit_staging"."orders changes" ("order_id", "pipekit_change") SELECT COALESCE(s."order_id", d."order_id"), CASE WHEN d."order_id" IS NULL THEN 1 WHEN s."order_id" IS NULL THEN 3 ELSE 2 END FROM "pipekit_staging"."orders" s FULL JOIN "sales"."orders" d ON d."order_id" = s."order_id" WHERE d."order_id" IS NULL OR s."order_id" IS NULL OR d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at";
SET LOCAL enable_hashjoin TO DEFAULT;
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2, 3);
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders changes");
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1, 2);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id");
SELECT COUNT(*) FROM "sales"."orders";

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM "sales"."orders";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "sales"."orders";

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders" WHERE "order_id" IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1)
-- decides: unchanged: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1) WHERE EXISTS (SELECT 1 FROM "sales"."orders" d WHERE d."order_id" = s."order_id" AND NOT (d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at"))

-- ======== one with a unique key, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "sales"."orders" WITH NO DATA;
CREATE UNLOGGED TABLE "pipekit_staging"."orders changes" AS SELECT "order_id" FROM "sales"."orders" WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
SELECT set_config('enable_hashjoin', 'off', true) FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename WHERE c.oid = '"sales"."orders"'::regclass AND s.attname = 'order_id' AND abs(s.correlation) > 0.9;
INSERT INTO "pipekit_staging"."orders changes" ("order_id", "pipekit_change") SELECT s."order_id", CASE WHEN d."order_id" IS NULL THEN 1 ELSE 2 END FROM "pipekit_staging"."orders" s LEFT JOIN "sales"."orders" d ON d."order_id" = s."order_id" WHERE d."order_id" IS NULL OR d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at";
SET LOCAL enable_hashjoin TO DEFAULT;
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2);
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders changes");
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1, 2);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id");

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders");
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders" WHERE "order_id" IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1)
-- decides: unchanged: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1) WHERE EXISTS (SELECT 1 FROM "sales"."orders" d WHERE d."order_id" = s."order_id" AND NOT (d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at"))

-- ======== one with a unique key, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "sales"."orders" WITH NO DATA;
CREATE UNLOGGED TABLE "pipekit_staging"."orders changes" AS SELECT "order_id" FROM "sales"."orders" WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
SELECT set_config('enable_hashjoin', 'off', true) FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename WHERE c.oid = '"sales"."orders"'::regclass AND s.attname = 'order_id' AND abs(s.correlation) > 0.9;
INSERT INTO "pipekit_staging"."orders changes" ("order_id", "pipekit_change") SELECT s."order_id", CASE WHEN d."order_id" IS NULL THEN 1 ELSE 2 END FROM "pipekit_staging"."orders" s LEFT JOIN "sales"."orders" d ON d."order_id" = s."order_id" WHERE d."order_id" IS NULL OR d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at";
SET LOCAL enable_hashjoin TO DEFAULT;
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2);
UPDATE "sales"."orders" d SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "pipekit_staging"."orders" c WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = c."order_id")) s WHERE d."order_id" = s."order_id";
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id" AND "pipekit_change" = 1);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
UPDATE "sales"."orders" d SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at" FROM "pipekit_staging"."orders" s WHERE d."order_id" = s."order_id";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at" FROM "pipekit_staging"."orders" s WHERE NOT EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "order_id" FROM "pipekit_staging"."orders" GROUP BY "order_id" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id")
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders" WHERE "order_id" IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1)
-- decides: unchanged: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1) WHERE EXISTS (SELECT 1 FROM "sales"."orders" d WHERE d."order_id" = s."order_id" AND NOT (d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at"))

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";
CREATE UNLOGGED TABLE "pipekit_staging"."orders" AS SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "sales"."orders" WITH NO DATA;
CREATE UNLOGGED TABLE "pipekit_staging"."orders changes" AS SELECT "order_id" FROM "sales"."orders" WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
SELECT pg_advisory_xact_lock(2553956261385565477);
LOCK TABLE "sales"."orders" IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO "pipekit_staging"."orders changes" ("order_id", "pipekit_change") SELECT s."order_id", CASE WHEN m."order_id" IS NULL THEN 1 ELSE 2 END FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s LEFT JOIN (SELECT s."order_id", COUNT(*) AS pipekit_rows, MAX(CASE WHEN d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at" OR d."raw" IS DISTINCT FROM s."raw" THEN 1 ELSE 0 END) AS pipekit_differs FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s JOIN "sales"."orders" d ON d."order_id" = s."order_id" GROUP BY s."order_id") m ON m."order_id" = s."order_id" WHERE m."order_id" IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2);
UPDATE "sales"."orders" d SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at", "raw" = s."raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) c WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = c."order_id")) s WHERE d."order_id" = s."order_id";
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1);
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."order_id" = s."order_id" AND "pipekit_change" = 1);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
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
DROP TABLE IF EXISTS "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "order_id" FROM "pipekit_staging"."orders" GROUP BY "order_id" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id")
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders" WHERE "order_id" IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1)
-- decides: unchanged: SELECT COUNT(*) FROM "pipekit_staging"."orders" s TABLESAMPLE SYSTEM (0.5) REPEATABLE (1) WHERE EXISTS (SELECT 1 FROM "sales"."orders" d WHERE d."order_id" = s."order_id" AND NOT (d."Customer Name" COLLATE "C" IS DISTINCT FROM s."Customer Name" COLLATE "C" OR d."amount" IS DISTINCT FROM s."amount" OR d."updated_at" IS DISTINCT FROM s."updated_at" OR d."raw" IS DISTINCT FROM s."raw"))
