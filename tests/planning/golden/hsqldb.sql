-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE CACHED TABLE "pipekit_staging"."orders" ("ORDER_ID" BIGINT, "Customer Name" VARCHAR(40), "AMOUNT" DECIMAL(12,2), "UPDATED_AT" TIMESTAMP(6), "RAW" BLOB(1G));

-- destination, on warehouse (this database commits DDL at once)
CREATE CACHED TABLE "SALES"."ORDERS" ("ORDER_ID" BIGINT, "Customer Name" VARCHAR(40), "AMOUNT" DECIMAL(12,2), "UPDATED_AT" TIMESTAMP(6), "RAW" BLOB(1G));

-- merge, on warehouse, in one transaction
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;

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
CREATE CACHED TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction
DELETE FROM "SALES"."ORDERS";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;

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
CREATE CACHED TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction
DELETE FROM "SALES"."ORDERS" WHERE "ORDER_ID" IN (SELECT "ORDER_ID" FROM "pipekit_staging"."orders");
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE CACHED TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;

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
CREATE CACHED TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction
MERGE INTO "SALES"."ORDERS" d USING "pipekit_staging"."orders" s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT", "RAW" = s."RAW";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT", s."RAW" FROM "pipekit_staging"."orders" s WHERE s."ORDER_ID" NOT IN (SELECT "ORDER_ID" FROM "SALES"."ORDERS" WHERE "ORDER_ID" IS NOT NULL);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "ORDER_ID" FROM "pipekit_staging"."orders" GROUP BY "ORDER_ID" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") s WHERE s."ORDER_ID" IN (SELECT "ORDER_ID" FROM "SALES"."ORDERS" WHERE "ORDER_ID" IS NOT NULL)

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";
CREATE CACHED TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction
MERGE INTO "SALES"."ORDERS" d USING (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW", ROW_NUMBER() OVER (PARTITION BY "ORDER_ID" ORDER BY CASE WHEN "UPDATED_AT" IS NULL THEN 1 ELSE 0 END, "UPDATED_AT" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT", "RAW" = s."RAW";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT", s."RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW", ROW_NUMBER() OVER (PARTITION BY "ORDER_ID" ORDER BY CASE WHEN "UPDATED_AT" IS NULL THEN 1 ELSE 0 END, "UPDATED_AT" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s WHERE s."ORDER_ID" NOT IN (SELECT "ORDER_ID" FROM "SALES"."ORDERS" WHERE "ORDER_ID" IS NOT NULL);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "ORDER_ID" FROM "pipekit_staging"."orders" GROUP BY "ORDER_ID" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") s WHERE s."ORDER_ID" IN (SELECT "ORDER_ID" FROM "SALES"."ORDERS" WHERE "ORDER_ID" IS NOT NULL)
