-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" ("ORDER_ID" BIGINT, "Customer Name" VARCHAR(160) CCSID 1208, "AMOUNT" DECIMAL(12,2), "UPDATED_AT" TIMESTAMP(6), "RAW" BLOB(2G));

-- destination, on warehouse (this database commits DDL at once)
CREATE TABLE "SALES"."ORDERS" ("ORDER_ID" BIGINT, "Customer Name" VARCHAR(160) CCSID 1208, "AMOUNT" DECIMAL(12,2), "UPDATED_AT" TIMESTAMP(6), "RAW" BLOB(2G));

-- merge, on warehouse, in one transaction; all rows are written: the destination is new
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;

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
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction; all rows are written: the destination has no primary or unique key, without NULL, that the query covers
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
DELETE FROM "SALES"."ORDERS";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "SALES"."ORDERS";

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
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction; all rows are written: values of column RAW (BLOB) cannot be told apart
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
DELETE FROM "SALES"."ORDERS" WHERE "ORDER_ID" IN (SELECT "ORDER_ID" FROM "pipekit_staging"."orders");
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "SALES"."ORDERS" d WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders" m WHERE m."ORDER_ID" = d."ORDER_ID");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction; all rows are written: rows are only added
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "pipekit_staging"."orders" s;

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
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction; all rows are written: values of column RAW (BLOB) cannot be told apart
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
MERGE INTO "SALES"."ORDERS" d USING "pipekit_staging"."orders" s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT", "RAW" = s."RAW";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT", s."RAW" FROM "pipekit_staging"."orders" s WHERE NOT EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "ORDER_ID" FROM "pipekit_staging"."orders" GROUP BY "ORDER_ID" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID")

-- ======== one with a unique key, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT" FROM "SALES"."ORDERS") WITH NO DATA;
CREATE TABLE "pipekit_staging"."orders changes" AS (SELECT "ORDER_ID" FROM "SALES"."ORDERS") WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by ORDER_ID
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
INSERT INTO "pipekit_staging"."orders changes" ("ORDER_ID", "pipekit_change") SELECT s."ORDER_ID", CASE WHEN d."ORDER_ID" IS NULL THEN 1 ELSE 2 END FROM "pipekit_staging"."orders" s LEFT JOIN "SALES"."ORDERS" d ON d."ORDER_ID" = s."ORDER_ID" WHERE d."ORDER_ID" IS NULL OR d."Customer Name" IS DISTINCT FROM s."Customer Name" OR LENGTH(d."Customer Name") IS DISTINCT FROM LENGTH(s."Customer Name") OR d."AMOUNT" IS DISTINCT FROM s."AMOUNT" OR d."UPDATED_AT" IS DISTINCT FROM s."UPDATED_AT";
INSERT INTO "pipekit_staging"."orders changes" ("ORDER_ID", "pipekit_change") SELECT d."ORDER_ID", 3 FROM "SALES"."ORDERS" d WHERE (SELECT COUNT(*) FROM "SALES"."ORDERS" a) > (SELECT COUNT(*) FROM "pipekit_staging"."orders" s) - (SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" = 1) AND NOT EXISTS (SELECT 1 FROM "pipekit_staging"."orders" m WHERE m."ORDER_ID" = d."ORDER_ID");
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2, 3);
DELETE FROM "SALES"."ORDERS" WHERE "ORDER_ID" IN (SELECT "ORDER_ID" FROM "pipekit_staging"."orders changes");
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1, 2);
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."ORDER_ID" = s."ORDER_ID");
SELECT COUNT(*) FROM "SALES"."ORDERS";

-- all rows are written instead where staged rows share a key
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
DELETE FROM "SALES"."ORDERS";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT" FROM "pipekit_staging"."orders" s;
SELECT COUNT(*) FROM "SALES"."ORDERS";

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";
DROP TABLE "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NOT NULL) k

-- ======== one with a unique key, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT" FROM "SALES"."ORDERS") WITH NO DATA;
CREATE TABLE "pipekit_staging"."orders changes" AS (SELECT "ORDER_ID" FROM "SALES"."ORDERS") WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by ORDER_ID
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
INSERT INTO "pipekit_staging"."orders changes" ("ORDER_ID", "pipekit_change") SELECT s."ORDER_ID", CASE WHEN d."ORDER_ID" IS NULL THEN 1 ELSE 2 END FROM "pipekit_staging"."orders" s LEFT JOIN "SALES"."ORDERS" d ON d."ORDER_ID" = s."ORDER_ID" WHERE d."ORDER_ID" IS NULL OR d."Customer Name" IS DISTINCT FROM s."Customer Name" OR LENGTH(d."Customer Name") IS DISTINCT FROM LENGTH(s."Customer Name") OR d."AMOUNT" IS DISTINCT FROM s."AMOUNT" OR d."UPDATED_AT" IS DISTINCT FROM s."UPDATED_AT";
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2);
DELETE FROM "SALES"."ORDERS" WHERE "ORDER_ID" IN (SELECT "ORDER_ID" FROM "pipekit_staging"."orders changes");
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1, 2);
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."ORDER_ID" = s."ORDER_ID");

-- all rows are written instead where staged rows share a key
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
DELETE FROM "SALES"."ORDERS" WHERE "ORDER_ID" IN (SELECT "ORDER_ID" FROM "pipekit_staging"."orders");
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT") SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT" FROM "pipekit_staging"."orders" s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";
DROP TABLE "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NOT NULL) k

-- ======== one with a unique key, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT" FROM "SALES"."ORDERS") WITH NO DATA;
CREATE TABLE "pipekit_staging"."orders changes" AS (SELECT "ORDER_ID" FROM "SALES"."ORDERS") WITH NO DATA;
ALTER TABLE "pipekit_staging"."orders changes" ADD COLUMN "pipekit_change" SMALLINT;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by ORDER_ID
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
INSERT INTO "pipekit_staging"."orders changes" ("ORDER_ID", "pipekit_change") SELECT s."ORDER_ID", CASE WHEN d."ORDER_ID" IS NULL THEN 1 ELSE 2 END FROM "pipekit_staging"."orders" s LEFT JOIN "SALES"."ORDERS" d ON d."ORDER_ID" = s."ORDER_ID" WHERE d."ORDER_ID" IS NULL OR d."Customer Name" IS DISTINCT FROM s."Customer Name" OR LENGTH(d."Customer Name") IS DISTINCT FROM LENGTH(s."Customer Name") OR d."AMOUNT" IS DISTINCT FROM s."AMOUNT" OR d."UPDATED_AT" IS DISTINCT FROM s."UPDATED_AT";
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (2);
MERGE INTO "SALES"."ORDERS" d USING (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT" FROM "pipekit_staging"."orders" c WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."ORDER_ID" = c."ORDER_ID")) s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT";
SELECT COUNT(*) FROM "pipekit_staging"."orders changes" WHERE "pipekit_change" IN (1);
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT" FROM "pipekit_staging"."orders" s WHERE EXISTS (SELECT 1 FROM "pipekit_staging"."orders changes" m WHERE m."ORDER_ID" = s."ORDER_ID" AND "pipekit_change" = 1);

-- all rows are written instead where staged rows share a key
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
MERGE INTO "SALES"."ORDERS" d USING "pipekit_staging"."orders" s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT" FROM "pipekit_staging"."orders" s WHERE NOT EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";
DROP TABLE "pipekit_staging"."orders changes";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "ORDER_ID" FROM "pipekit_staging"."orders" GROUP BY "ORDER_ID" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID")
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NOT NULL) k

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
CREATE TABLE "pipekit_staging"."orders" AS (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM "SALES"."ORDERS") WITH NO DATA;

-- merge, on warehouse, in one transaction; all rows are written: values of column RAW (BLOB) cannot be told apart
LOCK TABLE "SALES"."ORDERS" IN EXCLUSIVE MODE ALLOW READ;
MERGE INTO "SALES"."ORDERS" d USING (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW", ROW_NUMBER() OVER (PARTITION BY "ORDER_ID" ORDER BY CASE WHEN "UPDATED_AT" IS NULL THEN 1 ELSE 0 END, "UPDATED_AT" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s ON (d."ORDER_ID" = s."ORDER_ID") WHEN MATCHED THEN UPDATE SET "Customer Name" = s."Customer Name", "AMOUNT" = s."AMOUNT", "UPDATED_AT" = s."UPDATED_AT", "RAW" = s."RAW";
INSERT INTO "SALES"."ORDERS" ("ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW") SELECT s."ORDER_ID", s."Customer Name", s."AMOUNT", s."UPDATED_AT", s."RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW" FROM (SELECT "ORDER_ID", "Customer Name", "AMOUNT", "UPDATED_AT", "RAW", ROW_NUMBER() OVER (PARTITION BY "ORDER_ID" ORDER BY CASE WHEN "UPDATED_AT" IS NULL THEN 1 ELSE 0 END, "UPDATED_AT" DESC) AS pipekit_rank FROM "pipekit_staging"."orders") r WHERE pipekit_rank = 1) s WHERE NOT EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID");

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE "pipekit_staging"."orders";

-- check: count: SELECT COUNT(*) FROM "pipekit_staging"."orders"
-- check: null_keys: SELECT COUNT(*) FROM "pipekit_staging"."orders" WHERE "ORDER_ID" IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") k
-- check: duplicate_sample: SELECT "ORDER_ID" FROM "pipekit_staging"."orders" GROUP BY "ORDER_ID" HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT "ORDER_ID" FROM "pipekit_staging"."orders") s WHERE EXISTS (SELECT 1 FROM "SALES"."ORDERS" m WHERE m."ORDER_ID" = s."ORDER_ID")
