-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
CREATE TABLE [pipekit_staging].[orders] ([order_id] bigint, [Customer Name] nvarchar(40), [amount] decimal(12,2), [updated_at] datetime2(6), [raw] varbinary(max));

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
CREATE TABLE [sales].[orders] ([order_id] bigint, [Customer Name] nvarchar(40), [amount] decimal(12,2), [updated_at] datetime2(6), [raw] varbinary(max));
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]

-- ======== an existing one, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
DELETE FROM [sales].[orders] WITH (UPDLOCK, HOLDLOCK, TABLOCK) WHERE 1 = 0;
DELETE FROM [sales].[orders];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]

-- ======== an existing one, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
DELETE FROM [sales].[orders] WITH (UPDLOCK, HOLDLOCK, TABLOCK) WHERE 1 = 0;
DELETE FROM [sales].[orders] WHERE [order_id] IN (SELECT [order_id] FROM [pipekit_staging].[orders]);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]

-- ======== an existing one, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
DELETE FROM [sales].[orders] WITH (UPDLOCK, HOLDLOCK, TABLOCK) WHERE 1 = 0;
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN [pipekit_staging].[orders] s ON d.[order_id] = s.[order_id];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE NOT EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) k
-- check: duplicate_sample: SELECT [order_id] FROM [pipekit_staging].[orders] GROUP BY [order_id] HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) s WHERE EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id])

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
DELETE FROM [sales].[orders] WITH (UPDLOCK, HOLDLOCK, TABLOCK) WHERE 1 = 0;
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) s ON d.[order_id] = s.[order_id];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) s WHERE NOT EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) k
-- check: duplicate_sample: SELECT [order_id] FROM [pipekit_staging].[orders] GROUP BY [order_id] HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) s WHERE EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id])

-- ======== a key of text
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
DELETE FROM [sales].[orders] WITH (UPDLOCK, HOLDLOCK, TABLOCK) WHERE 1 = 0;
UPDATE d SET d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN [pipekit_staging].[orders] s ON d.[order_id] = s.[order_id] AND d.[Customer Name] = s.[Customer Name];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE NOT EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id] AND m.[Customer Name] = s.[Customer Name]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL OR [Customer Name] IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id], [Customer Name] FROM [pipekit_staging].[orders]) k
-- check: duplicate_sample: SELECT [order_id], [Customer Name] FROM [pipekit_staging].[orders] GROUP BY [order_id], [Customer Name] HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id], [Customer Name] FROM [pipekit_staging].[orders]) s WHERE EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id] AND m.[Customer Name] = s.[Customer Name])
-- check: folded: SELECT [order_id], [Customer Name] FROM [pipekit_staging].[orders] GROUP BY [order_id], [Customer Name] HAVING MIN([Customer Name] COLLATE Latin1_General_100_BIN2) <> MAX([Customer Name] COLLATE Latin1_General_100_BIN2)
-- check: blurred: SELECT k.[order_id], MIN(k.[Customer Name]) FROM (SELECT d.[order_id], d.[Customer Name], d.[Customer Name] COLLATE Latin1_General_100_BIN2 AS e1, 1 AS of_dest FROM [sales].[orders] d WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders] s WHERE d.[order_id] = s.[order_id] AND d.[Customer Name] = s.[Customer Name]) UNION ALL SELECT [order_id], [Customer Name], [Customer Name] COLLATE Latin1_General_100_BIN2, 0 FROM [pipekit_staging].[orders]) k GROUP BY k.[order_id], k.e1 HAVING MIN(k.of_dest) = 1

-- ======== a key of text
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
CREATE TABLE [pipekit_staging].[orders] ([order_id] bigint, [Customer Name] nvarchar(40) COLLATE Latin1_General_100_BIN2, [amount] decimal(12,2), [updated_at] datetime2(6), [raw] varbinary(max));

-- merge, on warehouse, in one transaction
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
CREATE TABLE [sales].[orders] ([order_id] bigint, [Customer Name] nvarchar(40) COLLATE Latin1_General_100_BIN2, [amount] decimal(12,2), [updated_at] datetime2(6), [raw] varbinary(max));
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL OR [Customer Name] IS NULL
