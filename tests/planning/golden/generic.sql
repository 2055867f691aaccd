-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP(6), "raw" BINARY LARGE OBJECT);

-- destination, on warehouse (this database commits DDL at once)
CREATE TABLE "sales"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP(6), "raw" BINARY LARGE OBJECT);

-- merge, on warehouse, in one transaction; all rows are written: the destination is new
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"

-- ======== an existing one, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP, "raw" BINARY LARGE OBJECT);

-- merge, on warehouse, in one transaction; all rows are written: the destination has no primary or unique key, without NULL, that the query covers
DELETE FROM "sales"."orders";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "sales"."orders";

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"

-- ======== an existing one, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP, "raw" BINARY LARGE OBJECT);

-- merge, on warehouse, in one transaction; all rows are written: values of column Customer Name (VARCHAR) cannot be told apart
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders");
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "sales"."orders" d WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders" m WHERE m."order_id" = d."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP, "raw" BINARY LARGE OBJECT);

-- merge, on warehouse, in one transaction; all rows are written: rows are only added
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"

-- ======== an existing one, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP, "raw" BINARY LARGE OBJECT);

-- merge, on warehouse, in one transaction; all rows are written: values of column Customer Name (VARCHAR) cannot be told apart
MERGE INTO "sales"."orders" d USING "pipekit_staging"."orders" s ON (d."order_id" = s."order_id") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at", "raw" = s."raw";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM "pipekit_staging"."orders" s WHERE NOT EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "order_id" FROM "pipekit_staging"."orders" GROUP BY "order_id" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id")

-- ======== one with a unique key, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP);

-- merge, on warehouse, in one transaction; all rows are written: values of column Customer Name (VARCHAR) cannot be told apart
DELETE FROM "sales"."orders";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "sales"."orders";

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"

-- ======== one with a unique key, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP);

-- merge, on warehouse, in one transaction; all rows are written: values of column Customer Name (VARCHAR) cannot be told apart
DELETE FROM "sales"."orders" WHERE "order_id" IN (SELECT "order_id" FROM "pipekit_staging"."orders");
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT "order_id", "Customer Name", "amount", "updated_at" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL

-- ======== one with a unique key, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP);

-- merge, on warehouse, in one transaction; all rows are written: values of column Customer Name (VARCHAR) cannot be told apart
MERGE INTO "sales"."orders" d USING "pipekit_staging"."orders" s ON (d."order_id" = s."order_id") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at" FROM "pipekit_staging"."orders" s WHERE NOT EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

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
CREATE TABLE "pipekit_staging"."orders" ("order_id" BIGINT, "Customer Name" VARCHAR(40), "amount" NUMERIC(12,2), "updated_at" TIMESTAMP, "raw" BINARY LARGE OBJECT);

-- merge, on warehouse, in one transaction; all rows are written: values of column Customer Name (VARCHAR) cannot be told apart
MERGE INTO "sales"."orders" d USING (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s ON (d."order_id" = s."order_id") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "amount" = s."amount", "updated_at" = s."updated_at", "raw" = s."raw";
INSERT INTO "sales"."orders" ("order_id", "Customer Name", "amount", "updated_at", "raw") SELECT s."order_id", s."Customer Name", s."amount", s."updated_at", s."raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw" FROM (SELECT "order_id", "Customer Name", "amount", "updated_at", "raw", ROW_NUMBER() OVER (PARTITION BY "order_id" ORDER BY CASE WHEN "updated_at" IS NULL THEN 1 ELSE 0 END, "updated_at" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s WHERE NOT EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "order_id" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "order_id" FROM "pipekit_staging"."orders" GROUP BY "order_id" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "order_id" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "sales"."orders" m WHERE m."order_id" = s."order_id")
