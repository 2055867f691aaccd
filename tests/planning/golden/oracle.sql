-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "SALES"."pipekit_staging_orders" ("ORDER_ID" NUMBER(19), "Customer Name" VARCHAR2(40 CHAR), "AMOUNT" NUMBER(12,2), "UPDATED_AT" TIMESTAMP(6), "RAW" BLOB);

-- destination, on warehouse (this database commits DDL at once)
CREATE TABLE "SALES"."ORDERS" ("ORDER_ID" NUMBER(19), "Customer Name" VARCHAR2(40 CHAR), "AMOUNT" NUMBER(12,2), "UPDATED_AT" TIMESTAMP(6), "RAW" BLOB);

-- merge, on warehouse, in one transaction
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."pipekit_staging_orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "SALES"."pipekit_staging_orders";

-- check: count: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders"

-- ======== an existing one, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "SALES"."pipekit_staging_orders" AS SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS" WHERE 1 = 0;

-- merge, on warehouse, in one transaction
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE;
DELETE FROM "SALES"."ORDERS";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."pipekit_staging_orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "SALES"."pipekit_staging_orders";

-- check: count: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders"

-- ======== an existing one, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "SALES"."pipekit_staging_orders" AS SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS" WHERE 1 = 0;

-- merge, on warehouse, in one transaction
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE;
DELETE FROM "SALES"."ORDERS" WHERE "ORDER_ID" IN (SELECT "ORDER_ID" FROM "SALES"."pipekit_staging_orders");
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."pipekit_staging_orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "SALES"."pipekit_staging_orders";

-- check: count: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders"
-- check: null_keys: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders" WHERE "ORDER_ID" IS NULL

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "SALES"."pipekit_staging_orders" AS SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS" WHERE 1 = 0;

-- merge, on warehouse, in one transaction
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."pipekit_staging_orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "SALES"."pipekit_staging_orders";

-- check: count: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders"

-- ======== an existing one, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "SALES"."pipekit_staging_orders" AS SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS" WHERE 1 = 0;

-- merge, on warehouse, in one transaction
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE;
MERGE INTO "SALES"."ORDERS" d USING "SALES"."pipekit_staging_orders" s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT", "RAW" = s."RAW";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT", s."RAW" FROM "SALES"."pipekit_staging_orders" s WHERE NOT EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "SALES"."pipekit_staging_orders";

-- check: count: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders"
-- check: null_keys: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders" WHERE "ORDER_ID" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "SALES"."pipekit_staging_orders") k
-- check: duplicate_sample: SELECT "ORDER_ID" FROM "SALES"."pipekit_staging_orders" GROUP BY "ORDER_ID" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "SALES"."pipekit_staging_orders") s WHERE EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID")

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "SALES"."pipekit_staging_orders" AS SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS" WHERE 1 = 0;

-- merge, on warehouse, in one transaction
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE;
MERGE INTO "SALES"."ORDERS" d USING (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW", ROW_NUMBER() OVER (PARTITION BY "ORDER_ID" ORDER BY CASE WHEN "UPDATED_AT" IS NULL THEN 1 ELSE 0 END, "UPDATED_AT" DESC) AS pipekit_rank FROM "SALES"."pipekit_staging_orders") r WHERE pipekit_rank = 1) s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT", "RAW" = s."RAW";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT", s."RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW", ROW_NUMBER() OVER (PARTITION BY "ORDER_ID" ORDER BY CASE WHEN "UPDATED_AT" IS NULL THEN 1 ELSE 0 END, "UPDATED_AT" DESC) AS pipekit_rank FROM "SALES"."pipekit_staging_orders") r WHERE pipekit_rank = 1) s WHERE NOT EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "SALES"."pipekit_staging_orders";

-- check: count: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders"
-- check: null_keys: SELECT COUNT(*) FROM "SALES"."pipekit_staging_orders" WHERE "ORDER_ID" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "SALES"."pipekit_staging_orders") k
-- check: duplicate_sample: SELECT "ORDER_ID" FROM "SALES"."pipekit_staging_orders" GROUP BY "ORDER_ID" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "SALES"."pipekit_staging_orders") s WHERE EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID")
