-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
CREATE TABLE `pipekit_staging`.`orders` (`order_id` bigint, `Customer Name` varchar(40), `amount` decimal(12,2), `updated_at` datetime(6), `raw` longblob) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- destination, on warehouse (this database commits DDL at once)
CREATE TABLE `sales`.`orders` (`order_id` bigint, `Customer Name` varchar(40), `amount` decimal(12,2), `updated_at` datetime(6), `raw` longblob) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- merge, on warehouse, in one transaction; all rows are written: the destination is new
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM `pipekit_staging`.`orders` s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`

-- ======== an existing one, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at`, d.`raw` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;

-- merge, on warehouse, in one transaction; all rows are written: the destination has no primary or unique key, without NULL, that the query covers
DELETE FROM `sales`.`orders`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM `pipekit_staging`.`orders` s;
SELECT COUNT(*) FROM `sales`.`orders`;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`

-- ======== an existing one, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at`, d.`raw` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
CREATE TABLE `pipekit_staging`.`orders changes` ENGINE=InnoDB AS SELECT d.`order_id` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
ALTER TABLE `pipekit_staging`.`orders changes` ADD COLUMN `pipekit_change` SMALLINT;
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders changes` (`order_id`);
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders` (`order_id`);

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT s.`order_id`, CASE WHEN m.`order_id` IS NULL THEN 1 ELSE 2 END FROM `pipekit_staging`.`orders` s LEFT JOIN (SELECT s.`order_id`, COUNT(*) AS pipekit_rows, MAX(CASE WHEN NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY)) THEN 1 ELSE 0 END) AS pipekit_differs FROM `pipekit_staging`.`orders` s JOIN `sales`.`orders` d ON d.`order_id` = s.`order_id` GROUP BY s.`order_id` FOR UPDATE) m ON m.`order_id` = s.`order_id` WHERE m.`order_id` IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (2);
DELETE d FROM `sales`.`orders` d JOIN (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders changes`) s ON d.`order_id` = s.`order_id`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (1, 2);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`);
SELECT COUNT(*) FROM `sales`.`orders` d WHERE (d.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`);

-- the same, where staged rows share a key
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT DISTINCT k0, 2 FROM (SELECT k0 FROM (SELECT s.`order_id` AS k0, s.`order_id` AS v0, SHA2(CAST(s.`Customer Name` AS BINARY), 256) AS v1, s.`amount` AS v2, s.`updated_at` AS v3, SHA2(CAST(s.`raw` AS BINARY), 256) AS v4, 1 AS pipekit_rows FROM `pipekit_staging`.`orders` s UNION ALL SELECT d.`order_id` AS k0, d.`order_id` AS v0, SHA2(CAST(d.`Customer Name` AS BINARY), 256) AS v1, d.`amount` AS v2, d.`updated_at` AS v3, SHA2(CAST(d.`raw` AS BINARY), 256) AS v4, -1 AS pipekit_rows FROM `sales`.`orders` d WHERE (d.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders`)) u GROUP BY k0, v0, v1, v2, v3, v4 HAVING SUM(pipekit_rows) <> 0) r;
DELETE d FROM `sales`.`orders` d JOIN (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders changes`) s ON d.`order_id` = s.`order_id`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`);
SELECT COUNT(*) FROM `sales`.`orders` d WHERE (d.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`);

-- all rows are written instead where fewer than 20 % of a sample of 200 or more staged rows are there already
DELETE d FROM `sales`.`orders` d JOIN (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) s ON d.`order_id` = s.`order_id`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM `pipekit_staging`.`orders` s;
SELECT COUNT(*) FROM `sales`.`orders` d WHERE (d.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders`);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- check: null_keys: SELECT COUNT(*) FROM `pipekit_staging`.`orders` WHERE `order_id` IS NULL
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders` WHERE `order_id` IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s
-- decides: unchanged: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s WHERE EXISTS (SELECT 1 FROM `sales`.`orders` d WHERE d.`order_id` = s.`order_id` AND NOT (NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY))))

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at`, d.`raw` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;

-- merge, on warehouse, in one transaction; all rows are written: rows are only added
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM `pipekit_staging`.`orders` s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`

-- ======== an existing one, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at`, d.`raw` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
CREATE TABLE `pipekit_staging`.`orders changes` ENGINE=InnoDB AS SELECT d.`order_id` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
ALTER TABLE `pipekit_staging`.`orders changes` ADD COLUMN `pipekit_change` SMALLINT;
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders changes` (`order_id`);
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders` (`order_id`);

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT s.`order_id`, CASE WHEN m.`order_id` IS NULL THEN 1 ELSE 2 END FROM `pipekit_staging`.`orders` s LEFT JOIN (SELECT s.`order_id`, COUNT(*) AS pipekit_rows, MAX(CASE WHEN NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY)) THEN 1 ELSE 0 END) AS pipekit_differs FROM `pipekit_staging`.`orders` s JOIN `sales`.`orders` d ON d.`order_id` = s.`order_id` GROUP BY s.`order_id` FOR UPDATE) m ON m.`order_id` = s.`order_id` WHERE m.`order_id` IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (2);
UPDATE `sales`.`orders` d JOIN (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM `pipekit_staging`.`orders` c WHERE (c.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`)) s ON d.`order_id` = s.`order_id` SET d.`Customer Name` = s.`Customer Name`, d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`, d.`raw` = s.`raw`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (1);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` = 1);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
UPDATE `sales`.`orders` d JOIN `pipekit_staging`.`orders` s ON d.`order_id` = s.`order_id` SET d.`Customer Name` = s.`Customer Name`, d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`, d.`raw` = s.`raw`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM `pipekit_staging`.`orders` s WHERE NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT d.`order_id` FROM `sales`.`orders` d JOIN `pipekit_staging`.`orders` t ON d.`order_id` = t.`order_id`) m WHERE m.`order_id` = s.`order_id`);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- check: null_keys: SELECT COUNT(*) FROM `pipekit_staging`.`orders` WHERE `order_id` IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) k
-- check: duplicate_sample: SELECT `order_id` FROM `pipekit_staging`.`orders` GROUP BY `order_id` HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `sales`.`orders`)
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders` WHERE `order_id` IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s
-- decides: unchanged: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s WHERE EXISTS (SELECT 1 FROM `sales`.`orders` d WHERE d.`order_id` = s.`order_id` AND NOT (NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY))))

-- ======== one with a unique key, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
CREATE TABLE `pipekit_staging`.`orders changes` ENGINE=InnoDB AS SELECT d.`order_id` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
ALTER TABLE `pipekit_staging`.`orders changes` ADD COLUMN `pipekit_change` SMALLINT;
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders changes` (`order_id`);
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders` (`order_id`);

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT s.`order_id`, CASE WHEN d.`order_id` IS NULL THEN 1 ELSE 2 END FROM `pipekit_staging`.`orders` s LEFT JOIN `sales`.`orders` d ON d.`order_id` = s.`order_id` WHERE d.`order_id` IS NULL OR NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) FOR UPDATE;
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT d.`order_id`, 3 FROM `sales`.`orders` d WHERE (SELECT COUNT(*) FROM `sales`.`orders` a) > (SELECT COUNT(*) FROM `pipekit_staging`.`orders` s) - (SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` = 1) AND NOT EXISTS (SELECT 1 FROM `pipekit_staging`.`orders` m WHERE m.`order_id` = d.`order_id`) FOR UPDATE;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (2, 3);
DELETE d FROM `sales`.`orders` d JOIN (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders changes`) s ON d.`order_id` = s.`order_id`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (1, 2);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at` FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`);
SELECT COUNT(*) FROM `sales`.`orders`;

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
DELETE FROM `sales`.`orders`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`) SELECT `order_id`, `Customer Name`, `amount`, `updated_at` FROM `pipekit_staging`.`orders` s;
SELECT COUNT(*) FROM `sales`.`orders`;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders` WHERE `order_id` IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s
-- decides: unchanged: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s WHERE EXISTS (SELECT 1 FROM `sales`.`orders` d WHERE d.`order_id` = s.`order_id` AND NOT (NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`)))

-- ======== one with a unique key, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
CREATE TABLE `pipekit_staging`.`orders changes` ENGINE=InnoDB AS SELECT d.`order_id` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
ALTER TABLE `pipekit_staging`.`orders changes` ADD COLUMN `pipekit_change` SMALLINT;
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders changes` (`order_id`);
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders` (`order_id`);

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT s.`order_id`, CASE WHEN d.`order_id` IS NULL THEN 1 ELSE 2 END FROM `pipekit_staging`.`orders` s LEFT JOIN `sales`.`orders` d ON d.`order_id` = s.`order_id` WHERE d.`order_id` IS NULL OR NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) FOR UPDATE;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (2);
DELETE d FROM `sales`.`orders` d JOIN (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders changes`) s ON d.`order_id` = s.`order_id`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (1, 2);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at` FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
DELETE d FROM `sales`.`orders` d JOIN (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) s ON d.`order_id` = s.`order_id`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`) SELECT `order_id`, `Customer Name`, `amount`, `updated_at` FROM `pipekit_staging`.`orders` s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- check: null_keys: SELECT COUNT(*) FROM `pipekit_staging`.`orders` WHERE `order_id` IS NULL
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders` WHERE `order_id` IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s
-- decides: unchanged: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s WHERE EXISTS (SELECT 1 FROM `sales`.`orders` d WHERE d.`order_id` = s.`order_id` AND NOT (NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`)))

-- ======== one with a unique key, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
CREATE TABLE `pipekit_staging`.`orders changes` ENGINE=InnoDB AS SELECT d.`order_id` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
ALTER TABLE `pipekit_staging`.`orders changes` ADD COLUMN `pipekit_change` SMALLINT;
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders changes` (`order_id`);
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders` (`order_id`);

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT s.`order_id`, CASE WHEN d.`order_id` IS NULL THEN 1 ELSE 2 END FROM `pipekit_staging`.`orders` s LEFT JOIN `sales`.`orders` d ON d.`order_id` = s.`order_id` WHERE d.`order_id` IS NULL OR NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) FOR UPDATE;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (2);
UPDATE `sales`.`orders` d JOIN (SELECT `order_id`, `Customer Name`, `amount`, `updated_at` FROM `pipekit_staging`.`orders` c WHERE (c.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`)) s ON d.`order_id` = s.`order_id` SET d.`Customer Name` = s.`Customer Name`, d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (1);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at` FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` = 1);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
UPDATE `sales`.`orders` d JOIN `pipekit_staging`.`orders` s ON d.`order_id` = s.`order_id` SET d.`Customer Name` = s.`Customer Name`, d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at` FROM `pipekit_staging`.`orders` s WHERE NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT d.`order_id` FROM `sales`.`orders` d JOIN `pipekit_staging`.`orders` t ON d.`order_id` = t.`order_id`) m WHERE m.`order_id` = s.`order_id`);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- check: null_keys: SELECT COUNT(*) FROM `pipekit_staging`.`orders` WHERE `order_id` IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) k
-- check: duplicate_sample: SELECT `order_id` FROM `pipekit_staging`.`orders` GROUP BY `order_id` HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `sales`.`orders`)
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders` WHERE `order_id` IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s
-- decides: unchanged: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s WHERE EXISTS (SELECT 1 FROM `sales`.`orders` d WHERE d.`order_id` = s.`order_id` AND NOT (NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`)))

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at`, d.`raw` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
CREATE TABLE `pipekit_staging`.`orders changes` ENGINE=InnoDB AS SELECT d.`order_id` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
ALTER TABLE `pipekit_staging`.`orders changes` ADD COLUMN `pipekit_change` SMALLINT;
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders changes` (`order_id`);
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders` (`order_id`);

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `pipekit_change`) SELECT s.`order_id`, CASE WHEN m.`order_id` IS NULL THEN 1 ELSE 2 END FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw`, ROW_NUMBER() OVER (PARTITION BY `order_id` ORDER BY CASE WHEN `updated_at` IS NULL THEN 1 ELSE 0 END, `updated_at` DESC) AS pipekit_rank FROM `pipekit_staging`.`orders`) r WHERE pipekit_rank = 1) s LEFT JOIN (SELECT s.`order_id`, COUNT(*) AS pipekit_rows, MAX(CASE WHEN NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY)) THEN 1 ELSE 0 END) AS pipekit_differs FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw`, ROW_NUMBER() OVER (PARTITION BY `order_id` ORDER BY CASE WHEN `updated_at` IS NULL THEN 1 ELSE 0 END, `updated_at` DESC) AS pipekit_rank FROM `pipekit_staging`.`orders`) r WHERE pipekit_rank = 1) s JOIN `sales`.`orders` d ON d.`order_id` = s.`order_id` GROUP BY s.`order_id` FOR UPDATE) m ON m.`order_id` = s.`order_id` WHERE m.`order_id` IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (2);
UPDATE `sales`.`orders` d JOIN (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw`, ROW_NUMBER() OVER (PARTITION BY `order_id` ORDER BY CASE WHEN `updated_at` IS NULL THEN 1 ELSE 0 END, `updated_at` DESC) AS pipekit_rank FROM `pipekit_staging`.`orders`) r WHERE pipekit_rank = 1) c WHERE (c.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes`)) s ON d.`order_id` = s.`order_id` SET d.`Customer Name` = s.`Customer Name`, d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`, d.`raw` = s.`raw`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (1);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw`, ROW_NUMBER() OVER (PARTITION BY `order_id` ORDER BY CASE WHEN `updated_at` IS NULL THEN 1 ELSE 0 END, `updated_at` DESC) AS pipekit_rank FROM `pipekit_staging`.`orders`) r WHERE pipekit_rank = 1) s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` = 1);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
UPDATE `sales`.`orders` d JOIN (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw`, ROW_NUMBER() OVER (PARTITION BY `order_id` ORDER BY CASE WHEN `updated_at` IS NULL THEN 1 ELSE 0 END, `updated_at` DESC) AS pipekit_rank FROM `pipekit_staging`.`orders`) r WHERE pipekit_rank = 1) s ON d.`order_id` = s.`order_id` SET d.`Customer Name` = s.`Customer Name`, d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`, d.`raw` = s.`raw`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw`, ROW_NUMBER() OVER (PARTITION BY `order_id` ORDER BY CASE WHEN `updated_at` IS NULL THEN 1 ELSE 0 END, `updated_at` DESC) AS pipekit_rank FROM `pipekit_staging`.`orders`) r WHERE pipekit_rank = 1) s WHERE NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT d.`order_id` FROM `sales`.`orders` d JOIN `pipekit_staging`.`orders` t ON d.`order_id` = t.`order_id`) m WHERE m.`order_id` = s.`order_id`);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- check: null_keys: SELECT COUNT(*) FROM `pipekit_staging`.`orders` WHERE `order_id` IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) k
-- check: duplicate_sample: SELECT `order_id` FROM `pipekit_staging`.`orders` GROUP BY `order_id` HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders`) s WHERE (s.`order_id`) IN (SELECT `order_id` FROM `sales`.`orders`)
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id` FROM `pipekit_staging`.`orders` WHERE `order_id` IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s
-- decides: unchanged: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`)), 1000) = 0) s WHERE EXISTS (SELECT 1 FROM `sales`.`orders` d WHERE d.`order_id` = s.`order_id` AND NOT (NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY))))

-- ======== a key of text
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;
CREATE TABLE `pipekit_staging`.`orders` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name`, d.`amount`, d.`updated_at`, d.`raw` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
CREATE TABLE `pipekit_staging`.`orders changes` ENGINE=InnoDB AS SELECT d.`order_id`, d.`Customer Name` FROM (SELECT 1 AS one) o LEFT JOIN `sales`.`orders` d ON 1 = 0 WHERE 1 = 0;
ALTER TABLE `pipekit_staging`.`orders changes` ADD COLUMN `pipekit_change` SMALLINT;
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders changes` (`order_id`, `Customer Name`);
CREATE INDEX pipekit_key ON `pipekit_staging`.`orders` (`order_id`, `Customer Name`);

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id, Customer Name
INSERT INTO `pipekit_staging`.`orders changes` (`order_id`, `Customer Name`, `pipekit_change`) SELECT s.`order_id`, s.`Customer Name`, CASE WHEN m.`order_id` IS NULL THEN 1 ELSE 2 END FROM `pipekit_staging`.`orders` s LEFT JOIN (SELECT s.`order_id`, s.`Customer Name`, COUNT(*) AS pipekit_rows, MAX(CASE WHEN NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY)) THEN 1 ELSE 0 END) AS pipekit_differs FROM `pipekit_staging`.`orders` s JOIN `sales`.`orders` d ON d.`order_id` = s.`order_id` AND d.`Customer Name` = s.`Customer Name` GROUP BY s.`order_id`, s.`Customer Name` FOR UPDATE) m ON m.`order_id` = s.`order_id` AND m.`Customer Name` = s.`Customer Name` WHERE m.`order_id` IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (2);
UPDATE `sales`.`orders` d JOIN (SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM `pipekit_staging`.`orders` c WHERE (c.`order_id`, c.`Customer Name`) IN (SELECT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders changes`)) s ON d.`order_id` = s.`order_id` AND d.`Customer Name` = s.`Customer Name` SET d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`, d.`raw` = s.`raw`;
SELECT COUNT(*) FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` IN (1);
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM `pipekit_staging`.`orders` s WHERE (s.`order_id`, s.`Customer Name`) IN (SELECT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders changes` WHERE `pipekit_change` = 1);

-- all rows are written instead where staged rows share a key or fewer than 20 % of a sample of 200 or more staged rows are there already
UPDATE `sales`.`orders` d JOIN `pipekit_staging`.`orders` s ON d.`order_id` = s.`order_id` AND d.`Customer Name` = s.`Customer Name` SET d.`amount` = s.`amount`, d.`updated_at` = s.`updated_at`, d.`raw` = s.`raw`;
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT s.`order_id`, s.`Customer Name`, s.`amount`, s.`updated_at`, s.`raw` FROM `pipekit_staging`.`orders` s WHERE NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT d.`order_id`, d.`Customer Name` FROM `sales`.`orders` d JOIN `pipekit_staging`.`orders` t ON d.`order_id` = t.`order_id` AND d.`Customer Name` = t.`Customer Name`) m WHERE m.`order_id` = s.`order_id` AND m.`Customer Name` = s.`Customer Name`);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
DROP TABLE IF EXISTS `pipekit_staging`.`orders changes`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- check: null_keys: SELECT COUNT(*) FROM `pipekit_staging`.`orders` WHERE `order_id` IS NULL OR `Customer Name` IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders`) k
-- check: duplicate_sample: SELECT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders` GROUP BY `order_id`, `Customer Name` HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders`) s WHERE (s.`order_id`, s.`Customer Name`) IN (SELECT `order_id`, `Customer Name` FROM `sales`.`orders`)
-- check: folded: SELECT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders` GROUP BY `order_id`, `Customer Name` HAVING MIN(CAST(CONVERT(`Customer Name` USING utf8mb4) AS BINARY)) <> MAX(CAST(CONVERT(`Customer Name` USING utf8mb4) AS BINARY))
-- check: blurred: SELECT k.`order_id`, MIN(k.`Customer Name`) FROM (SELECT d.`order_id`, d.`Customer Name`, CAST(CONVERT(d.`Customer Name` USING utf8mb4) AS BINARY) AS e1, 1 AS of_dest FROM `sales`.`orders` d WHERE (d.`order_id`, d.`Customer Name`) IN (SELECT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders`) UNION ALL SELECT `order_id`, `Customer Name`, CAST(CONVERT(`Customer Name` USING utf8mb4) AS BINARY) AS e1, 0 AS of_dest FROM `pipekit_staging`.`orders`) k GROUP BY k.`order_id`, k.e1 HAVING MIN(k.of_dest) = 1
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT `order_id`, `Customer Name` FROM `pipekit_staging`.`orders` WHERE `order_id` IS NOT NULL AND `Customer Name` IS NOT NULL) k
-- decides: sampled: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`, `Customer Name`)), 1000) = 0) s
-- decides: unchanged: SELECT COUNT(*) FROM (SELECT * FROM `pipekit_staging`.`orders` WHERE MOD(CRC32(CONCAT_WS(',', `order_id`, `Customer Name`)), 1000) = 0) s WHERE EXISTS (SELECT 1 FROM `sales`.`orders` d WHERE d.`order_id` = s.`order_id` AND d.`Customer Name` = s.`Customer Name` AND NOT (NOT (d.`Customer Name` <=> CAST(s.`Customer Name` AS BINARY)) OR NOT (d.`amount` <=> s.`amount`) OR NOT (d.`updated_at` <=> s.`updated_at`) OR NOT (CAST(d.`raw` AS BINARY) <=> CAST(s.`raw` AS BINARY))))

-- ======== a key of text
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;
CREATE TABLE `pipekit_staging`.`orders` (`order_id` bigint, `Customer Name` varchar(40) COLLATE utf8mb4_bin, `amount` decimal(12,2), `updated_at` datetime(6), `raw` longblob) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- destination, on warehouse (this database commits DDL at once)
CREATE TABLE `sales`.`orders` (`order_id` bigint NOT NULL, `Customer Name` varchar(40) COLLATE utf8mb4_bin NOT NULL, `amount` decimal(12,2), `updated_at` datetime(6), `raw` longblob) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE INDEX pipekit_key ON `sales`.`orders` (`order_id`, `Customer Name`);

-- merge, on warehouse, in one transaction; all rows are written: the destination is new
INSERT INTO `sales`.`orders` (`order_id`, `Customer Name`, `amount`, `updated_at`, `raw`) SELECT `order_id`, `Customer Name`, `amount`, `updated_at`, `raw` FROM `pipekit_staging`.`orders` s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS `pipekit_staging`.`orders`;

-- check: count: SELECT COUNT(*) FROM `pipekit_staging`.`orders`
-- check: null_keys: SELECT COUNT(*) FROM `pipekit_staging`.`orders` WHERE `order_id` IS NULL OR `Customer Name` IS NULL
