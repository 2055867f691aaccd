-- ======== a new destination, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
CREATE TABLE [pipekit_staging].[orders] ([order_id] bigint, [Customer Name] nvarchar(40), [amount] decimal(12,2), [updated_at] datetime2(6), [raw] varbinary(max));

-- merge, on warehouse, in one transaction; all rows are written: the destination is new
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

-- merge, on warehouse, in one transaction; all rows are written: the destination has no primary or unique key, without NULL, that the query covers
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
DELETE FROM [sales].[orders];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] s;
SELECT COUNT(*) FROM [sales].[orders];

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
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;
SELECT [order_id] INTO [pipekit_staging].[orders changes] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id] FROM [sales].[orders] WHERE 1 = 0;
ALTER TABLE [pipekit_staging].[orders changes] ADD [pipekit_change] SMALLINT NULL;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT s.[order_id], CASE WHEN m.[order_id] IS NULL THEN 1 ELSE 2 END FROM [pipekit_staging].[orders] s LEFT JOIN (SELECT s.[order_id], COUNT(*) AS pipekit_rows, MAX(CASE WHEN (CONVERT(varbinary(max), d.[Customer Name]) <> CONVERT(varbinary(max), s.[Customer Name]) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NOT NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NULL)) OR (DATALENGTH(d.[Customer Name]) <> DATALENGTH(s.[Customer Name]) OR (DATALENGTH(d.[Customer Name]) IS NULL AND DATALENGTH(s.[Customer Name]) IS NOT NULL) OR (DATALENGTH(d.[Customer Name]) IS NOT NULL AND DATALENGTH(s.[Customer Name]) IS NULL)) OR (d.[amount] <> s.[amount] OR (d.[amount] IS NULL AND s.[amount] IS NOT NULL) OR (d.[amount] IS NOT NULL AND s.[amount] IS NULL)) OR (d.[updated_at] <> s.[updated_at] OR (d.[updated_at] IS NULL AND s.[updated_at] IS NOT NULL) OR (d.[updated_at] IS NOT NULL AND s.[updated_at] IS NULL)) OR (CONVERT(varbinary(max), d.[raw]) <> CONVERT(varbinary(max), s.[raw]) OR (CONVERT(varbinary(max), d.[raw]) IS NULL AND CONVERT(varbinary(max), s.[raw]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[raw]) IS NOT NULL AND CONVERT(varbinary(max), s.[raw]) IS NULL)) OR (DATALENGTH(d.[raw]) <> DATALENGTH(s.[raw]) OR (DATALENGTH(d.[raw]) IS NULL AND DATALENGTH(s.[raw]) IS NOT NULL) OR (DATALENGTH(d.[raw]) IS NOT NULL AND DATALENGTH(s.[raw]) IS NULL)) THEN 1 ELSE 0 END) AS pipekit_differs FROM [pipekit_staging].[orders] s JOIN [sales].[orders] d ON d.[order_id] = s.[order_id] GROUP BY s.[order_id]) m ON m.[order_id] = s.[order_id] WHERE m.[order_id] IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (2);
DELETE FROM [sales].[orders] WHERE [order_id] IN (SELECT [order_id] FROM [pipekit_staging].[orders changes]);
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (1, 2);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id]);
SELECT COUNT(*) FROM [sales].[orders] d WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = d.[order_id]);

-- the same, where staged rows share a key
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT DISTINCT k0, 2 FROM (SELECT k0 FROM (SELECT s.[order_id] AS k0, s.[order_id] AS v0, CONVERT(varbinary(max), s.[Customer Name]) AS v1, DATALENGTH(s.[Customer Name]) AS v2, s.[amount] AS v3, s.[updated_at] AS v4, CONVERT(varbinary(max), s.[raw]) AS v5, DATALENGTH(s.[raw]) AS v6, 1 AS pipekit_rows FROM [pipekit_staging].[orders] s UNION ALL SELECT d.[order_id] AS k0, d.[order_id] AS v0, CONVERT(varbinary(max), d.[Customer Name]) AS v1, DATALENGTH(d.[Customer Name]) AS v2, d.[amount] AS v3, d.[updated_at] AS v4, CONVERT(varbinary(max), d.[raw]) AS v5, DATALENGTH(d.[raw]) AS v6, -1 AS pipekit_rows FROM [sales].[orders] d WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders] m WHERE m.[order_id] = d.[order_id])) u GROUP BY k0, v0, v1, v2, v3, v4, v5, v6 HAVING SUM(pipekit_rows) <> 0) r;
DELETE FROM [sales].[orders] WHERE [order_id] IN (SELECT [order_id] FROM [pipekit_staging].[orders changes]);
SELECT COUNT(*) FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id]);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id]);
SELECT COUNT(*) FROM [sales].[orders] d WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = d.[order_id]);

-- all rows are written instead where 
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
DELETE FROM [sales].[orders] WHERE [order_id] IN (SELECT [order_id] FROM [pipekit_staging].[orders]);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] s;
SELECT COUNT(*) FROM [sales].[orders] d WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders] m WHERE m.[order_id] = d.[order_id]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders] WHERE [order_id] IS NOT NULL) k

-- ======== an existing one, append
-- pipekit plan of module orders: erp -> warehouse, strategy append
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;

-- merge, on warehouse, in one transaction; all rows are written: rows are only added
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
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;
SELECT [order_id] INTO [pipekit_staging].[orders changes] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id] FROM [sales].[orders] WHERE 1 = 0;
ALTER TABLE [pipekit_staging].[orders changes] ADD [pipekit_change] SMALLINT NULL;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT s.[order_id], CASE WHEN m.[order_id] IS NULL THEN 1 ELSE 2 END FROM [pipekit_staging].[orders] s LEFT JOIN (SELECT s.[order_id], COUNT(*) AS pipekit_rows, MAX(CASE WHEN (CONVERT(varbinary(max), d.[Customer Name]) <> CONVERT(varbinary(max), s.[Customer Name]) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NOT NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NULL)) OR (DATALENGTH(d.[Customer Name]) <> DATALENGTH(s.[Customer Name]) OR (DATALENGTH(d.[Customer Name]) IS NULL AND DATALENGTH(s.[Customer Name]) IS NOT NULL) OR (DATALENGTH(d.[Customer Name]) IS NOT NULL AND DATALENGTH(s.[Customer Name]) IS NULL)) OR (d.[amount] <> s.[amount] OR (d.[amount] IS NULL AND s.[amount] IS NOT NULL) OR (d.[amount] IS NOT NULL AND s.[amount] IS NULL)) OR (d.[updated_at] <> s.[updated_at] OR (d.[updated_at] IS NULL AND s.[updated_at] IS NOT NULL) OR (d.[updated_at] IS NOT NULL AND s.[updated_at] IS NULL)) OR (CONVERT(varbinary(max), d.[raw]) <> CONVERT(varbinary(max), s.[raw]) OR (CONVERT(varbinary(max), d.[raw]) IS NULL AND CONVERT(varbinary(max), s.[raw]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[raw]) IS NOT NULL AND CONVERT(varbinary(max), s.[raw]) IS NULL)) OR (DATALENGTH(d.[raw]) <> DATALENGTH(s.[raw]) OR (DATALENGTH(d.[raw]) IS NULL AND DATALENGTH(s.[raw]) IS NOT NULL) OR (DATALENGTH(d.[raw]) IS NOT NULL AND DATALENGTH(s.[raw]) IS NULL)) THEN 1 ELSE 0 END) AS pipekit_differs FROM [pipekit_staging].[orders] s JOIN [sales].[orders] d ON d.[order_id] = s.[order_id] GROUP BY s.[order_id]) m ON m.[order_id] = s.[order_id] WHERE m.[order_id] IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (2);
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] c WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = c.[order_id])) s ON d.[order_id] = s.[order_id];
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (1);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id] AND [pipekit_change] = 1);

-- all rows are written instead where staged rows share a key
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN [pipekit_staging].[orders] s ON d.[order_id] = s.[order_id];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE NOT EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) k
-- check: duplicate_sample: SELECT [order_id] FROM [pipekit_staging].[orders] GROUP BY [order_id] HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) s WHERE EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id])
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders] WHERE [order_id] IS NOT NULL) k

-- ======== one with a unique key, full
-- pipekit plan of module orders: erp -> warehouse, strategy full
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];
SELECT [order_id], [Customer Name], [amount], [updated_at] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at] FROM [sales].[orders] WHERE 1 = 0;
SELECT [order_id] INTO [pipekit_staging].[orders changes] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id] FROM [sales].[orders] WHERE 1 = 0;
ALTER TABLE [pipekit_staging].[orders changes] ADD [pipekit_change] SMALLINT NULL;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT s.[order_id], CASE WHEN d.[order_id] IS NULL THEN 1 ELSE 2 END FROM [pipekit_staging].[orders] s LEFT JOIN [sales].[orders] d ON d.[order_id] = s.[order_id] WHERE d.[order_id] IS NULL OR (CONVERT(varbinary(max), d.[Customer Name]) <> CONVERT(varbinary(max), s.[Customer Name]) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NOT NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NULL)) OR (DATALENGTH(d.[Customer Name]) <> DATALENGTH(s.[Customer Name]) OR (DATALENGTH(d.[Customer Name]) IS NULL AND DATALENGTH(s.[Customer Name]) IS NOT NULL) OR (DATALENGTH(d.[Customer Name]) IS NOT NULL AND DATALENGTH(s.[Customer Name]) IS NULL)) OR (d.[amount] <> s.[amount] OR (d.[amount] IS NULL AND s.[amount] IS NOT NULL) OR (d.[amount] IS NOT NULL AND s.[amount] IS NULL)) OR (d.[updated_at] <> s.[updated_at] OR (d.[updated_at] IS NULL AND s.[updated_at] IS NOT NULL) OR (d.[updated_at] IS NOT NULL AND s.[updated_at] IS NULL));
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT d.[order_id], 3 FROM [sales].[orders] d WHERE (SELECT COUNT(*) FROM [sales].[orders] a) > (SELECT COUNT(*) FROM [pipekit_staging].[orders] s) - (SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] = 1) AND NOT EXISTS (SELECT 1 FROM [pipekit_staging].[orders] m WHERE m.[order_id] = d.[order_id]);
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (2, 3);
DELETE FROM [sales].[orders] WHERE [order_id] IN (SELECT [order_id] FROM [pipekit_staging].[orders changes]);
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (1, 2);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at] FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id]);
SELECT COUNT(*) FROM [sales].[orders];

-- all rows are written instead where staged rows share a key
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
DELETE FROM [sales].[orders];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at]) SELECT [order_id], [Customer Name], [amount], [updated_at] FROM [pipekit_staging].[orders] s;
SELECT COUNT(*) FROM [sales].[orders];

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders] WHERE [order_id] IS NOT NULL) k

-- ======== one with a unique key, incremental
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];
SELECT [order_id], [Customer Name], [amount], [updated_at] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at] FROM [sales].[orders] WHERE 1 = 0;
SELECT [order_id] INTO [pipekit_staging].[orders changes] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id] FROM [sales].[orders] WHERE 1 = 0;
ALTER TABLE [pipekit_staging].[orders changes] ADD [pipekit_change] SMALLINT NULL;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT s.[order_id], CASE WHEN d.[order_id] IS NULL THEN 1 ELSE 2 END FROM [pipekit_staging].[orders] s LEFT JOIN [sales].[orders] d ON d.[order_id] = s.[order_id] WHERE d.[order_id] IS NULL OR (CONVERT(varbinary(max), d.[Customer Name]) <> CONVERT(varbinary(max), s.[Customer Name]) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NOT NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NULL)) OR (DATALENGTH(d.[Customer Name]) <> DATALENGTH(s.[Customer Name]) OR (DATALENGTH(d.[Customer Name]) IS NULL AND DATALENGTH(s.[Customer Name]) IS NOT NULL) OR (DATALENGTH(d.[Customer Name]) IS NOT NULL AND DATALENGTH(s.[Customer Name]) IS NULL)) OR (d.[amount] <> s.[amount] OR (d.[amount] IS NULL AND s.[amount] IS NOT NULL) OR (d.[amount] IS NOT NULL AND s.[amount] IS NULL)) OR (d.[updated_at] <> s.[updated_at] OR (d.[updated_at] IS NULL AND s.[updated_at] IS NOT NULL) OR (d.[updated_at] IS NOT NULL AND s.[updated_at] IS NULL));
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (2);
DELETE FROM [sales].[orders] WHERE [order_id] IN (SELECT [order_id] FROM [pipekit_staging].[orders changes]);
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (1, 2);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at] FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id]);

-- all rows are written instead where staged rows share a key
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
DELETE FROM [sales].[orders] WHERE [order_id] IN (SELECT [order_id] FROM [pipekit_staging].[orders]);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at]) SELECT [order_id], [Customer Name], [amount], [updated_at] FROM [pipekit_staging].[orders] s;

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders] WHERE [order_id] IS NOT NULL) k

-- ======== one with a unique key, upsert
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];
SELECT [order_id], [Customer Name], [amount], [updated_at] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at] FROM [sales].[orders] WHERE 1 = 0;
SELECT [order_id] INTO [pipekit_staging].[orders changes] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id] FROM [sales].[orders] WHERE 1 = 0;
ALTER TABLE [pipekit_staging].[orders changes] ADD [pipekit_change] SMALLINT NULL;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT s.[order_id], CASE WHEN d.[order_id] IS NULL THEN 1 ELSE 2 END FROM [pipekit_staging].[orders] s LEFT JOIN [sales].[orders] d ON d.[order_id] = s.[order_id] WHERE d.[order_id] IS NULL OR (CONVERT(varbinary(max), d.[Customer Name]) <> CONVERT(varbinary(max), s.[Customer Name]) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NOT NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NULL)) OR (DATALENGTH(d.[Customer Name]) <> DATALENGTH(s.[Customer Name]) OR (DATALENGTH(d.[Customer Name]) IS NULL AND DATALENGTH(s.[Customer Name]) IS NOT NULL) OR (DATALENGTH(d.[Customer Name]) IS NOT NULL AND DATALENGTH(s.[Customer Name]) IS NULL)) OR (d.[amount] <> s.[amount] OR (d.[amount] IS NULL AND s.[amount] IS NOT NULL) OR (d.[amount] IS NOT NULL AND s.[amount] IS NULL)) OR (d.[updated_at] <> s.[updated_at] OR (d.[updated_at] IS NULL AND s.[updated_at] IS NOT NULL) OR (d.[updated_at] IS NOT NULL AND s.[updated_at] IS NULL));
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (2);
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at] FROM [sales].[orders] d JOIN (SELECT [order_id], [Customer Name], [amount], [updated_at] FROM [pipekit_staging].[orders] c WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = c.[order_id])) s ON d.[order_id] = s.[order_id];
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (1);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at] FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id] AND [pipekit_change] = 1);

-- all rows are written instead where staged rows share a key
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at] FROM [sales].[orders] d JOIN [pipekit_staging].[orders] s ON d.[order_id] = s.[order_id];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at] FROM [pipekit_staging].[orders] s WHERE NOT EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) k
-- check: duplicate_sample: SELECT [order_id] FROM [pipekit_staging].[orders] GROUP BY [order_id] HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) s WHERE EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id])
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders] WHERE [order_id] IS NOT NULL) k

-- ======== dedupe
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;
SELECT [order_id] INTO [pipekit_staging].[orders changes] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id] FROM [sales].[orders] WHERE 1 = 0;
ALTER TABLE [pipekit_staging].[orders changes] ADD [pipekit_change] SMALLINT NULL;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [pipekit_change]) SELECT s.[order_id], CASE WHEN m.[order_id] IS NULL THEN 1 ELSE 2 END FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) s LEFT JOIN (SELECT s.[order_id], COUNT(*) AS pipekit_rows, MAX(CASE WHEN (CONVERT(varbinary(max), d.[Customer Name]) <> CONVERT(varbinary(max), s.[Customer Name]) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[Customer Name]) IS NOT NULL AND CONVERT(varbinary(max), s.[Customer Name]) IS NULL)) OR (DATALENGTH(d.[Customer Name]) <> DATALENGTH(s.[Customer Name]) OR (DATALENGTH(d.[Customer Name]) IS NULL AND DATALENGTH(s.[Customer Name]) IS NOT NULL) OR (DATALENGTH(d.[Customer Name]) IS NOT NULL AND DATALENGTH(s.[Customer Name]) IS NULL)) OR (d.[amount] <> s.[amount] OR (d.[amount] IS NULL AND s.[amount] IS NOT NULL) OR (d.[amount] IS NOT NULL AND s.[amount] IS NULL)) OR (d.[updated_at] <> s.[updated_at] OR (d.[updated_at] IS NULL AND s.[updated_at] IS NOT NULL) OR (d.[updated_at] IS NOT NULL AND s.[updated_at] IS NULL)) OR (CONVERT(varbinary(max), d.[raw]) <> CONVERT(varbinary(max), s.[raw]) OR (CONVERT(varbinary(max), d.[raw]) IS NULL AND CONVERT(varbinary(max), s.[raw]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[raw]) IS NOT NULL AND CONVERT(varbinary(max), s.[raw]) IS NULL)) OR (DATALENGTH(d.[raw]) <> DATALENGTH(s.[raw]) OR (DATALENGTH(d.[raw]) IS NULL AND DATALENGTH(s.[raw]) IS NOT NULL) OR (DATALENGTH(d.[raw]) IS NOT NULL AND DATALENGTH(s.[raw]) IS NULL)) THEN 1 ELSE 0 END) AS pipekit_differs FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) s JOIN [sales].[orders] d ON d.[order_id] = s.[order_id] GROUP BY s.[order_id]) m ON m.[order_id] = s.[order_id] WHERE m.[order_id] IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (2);
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) c WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = c.[order_id])) s ON d.[order_id] = s.[order_id];
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (1);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id] AND [pipekit_change] = 1);

-- all rows are written instead where staged rows share a key
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
UPDATE d SET d.[Customer Name] = s.[Customer Name], d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) s ON d.[order_id] = s.[order_id];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw], ROW_NUMBER() OVER (PARTITION BY [order_id] ORDER BY CASE WHEN [updated_at] IS NULL THEN 1 ELSE 0 END, [updated_at] DESC) AS pipekit_rank FROM [pipekit_staging].[orders]) r WHERE pipekit_rank = 1) s WHERE NOT EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) k
-- check: duplicate_sample: SELECT [order_id] FROM [pipekit_staging].[orders] GROUP BY [order_id] HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders]) s WHERE EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id])
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id] FROM [pipekit_staging].[orders] WHERE [order_id] IS NOT NULL) k

-- ======== a key of text
-- pipekit plan of module orders: erp -> warehouse, strategy upsert
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];
SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] INTO [pipekit_staging].[orders] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [sales].[orders] WHERE 1 = 0;
SELECT [order_id], [Customer Name] INTO [pipekit_staging].[orders changes] FROM [sales].[orders] WHERE 1 = 0 UNION ALL SELECT [order_id], [Customer Name] FROM [sales].[orders] WHERE 1 = 0;
ALTER TABLE [pipekit_staging].[orders changes] ADD [pipekit_change] SMALLINT NULL;

-- merge, on warehouse, in one transaction; only rows that differ are written: rows are told apart by order_id, Customer Name
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
INSERT INTO [pipekit_staging].[orders changes] ([order_id], [Customer Name], [pipekit_change]) SELECT s.[order_id], s.[Customer Name], CASE WHEN m.[order_id] IS NULL THEN 1 ELSE 2 END FROM [pipekit_staging].[orders] s LEFT JOIN (SELECT s.[order_id], s.[Customer Name], COUNT(*) AS pipekit_rows, MAX(CASE WHEN (d.[amount] <> s.[amount] OR (d.[amount] IS NULL AND s.[amount] IS NOT NULL) OR (d.[amount] IS NOT NULL AND s.[amount] IS NULL)) OR (d.[updated_at] <> s.[updated_at] OR (d.[updated_at] IS NULL AND s.[updated_at] IS NOT NULL) OR (d.[updated_at] IS NOT NULL AND s.[updated_at] IS NULL)) OR (CONVERT(varbinary(max), d.[raw]) <> CONVERT(varbinary(max), s.[raw]) OR (CONVERT(varbinary(max), d.[raw]) IS NULL AND CONVERT(varbinary(max), s.[raw]) IS NOT NULL) OR (CONVERT(varbinary(max), d.[raw]) IS NOT NULL AND CONVERT(varbinary(max), s.[raw]) IS NULL)) OR (DATALENGTH(d.[raw]) <> DATALENGTH(s.[raw]) OR (DATALENGTH(d.[raw]) IS NULL AND DATALENGTH(s.[raw]) IS NOT NULL) OR (DATALENGTH(d.[raw]) IS NOT NULL AND DATALENGTH(s.[raw]) IS NULL)) THEN 1 ELSE 0 END) AS pipekit_differs FROM [pipekit_staging].[orders] s JOIN [sales].[orders] d ON d.[order_id] = s.[order_id] AND d.[Customer Name] = s.[Customer Name] GROUP BY s.[order_id], s.[Customer Name]) m ON m.[order_id] = s.[order_id] AND m.[Customer Name] = s.[Customer Name] WHERE m.[order_id] IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1;
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (2);
UPDATE d SET d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN (SELECT [order_id], [Customer Name], [amount], [updated_at], [raw] FROM [pipekit_staging].[orders] c WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = c.[order_id] AND m.[Customer Name] = c.[Customer Name])) s ON d.[order_id] = s.[order_id] AND d.[Customer Name] = s.[Customer Name];
SELECT COUNT(*) FROM [pipekit_staging].[orders changes] WHERE [pipekit_change] IN (1);
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders changes] m WHERE m.[order_id] = s.[order_id] AND m.[Customer Name] = s.[Customer Name] AND [pipekit_change] = 1);

-- all rows are written instead where staged rows share a key
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
SELECT TOP (1) 1 FROM [sales].[orders] WITH (TABLOCKX, HOLDLOCK);
UPDATE d SET d.[amount] = s.[amount], d.[updated_at] = s.[updated_at], d.[raw] = s.[raw] FROM [sales].[orders] d JOIN [pipekit_staging].[orders] s ON d.[order_id] = s.[order_id] AND d.[Customer Name] = s.[Customer Name];
INSERT INTO [sales].[orders] ([order_id], [Customer Name], [amount], [updated_at], [raw]) SELECT s.[order_id], s.[Customer Name], s.[amount], s.[updated_at], s.[raw] FROM [pipekit_staging].[orders] s WHERE NOT EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id] AND m.[Customer Name] = s.[Customer Name]);

-- hook on success, on warehouse
ANALYZE;

-- hook on failure, on erp
a;
b;

-- clean up, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
DROP TABLE IF EXISTS [pipekit_staging].[orders changes];

-- check: count: SELECT COUNT(*) FROM [pipekit_staging].[orders]
-- check: null_keys: SELECT COUNT(*) FROM [pipekit_staging].[orders] WHERE [order_id] IS NULL OR [Customer Name] IS NULL
-- check: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id], [Customer Name] FROM [pipekit_staging].[orders]) k
-- check: duplicate_sample: SELECT [order_id], [Customer Name] FROM [pipekit_staging].[orders] GROUP BY [order_id], [Customer Name] HAVING COUNT(*) > 1
-- check: matched: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id], [Customer Name] FROM [pipekit_staging].[orders]) s WHERE EXISTS (SELECT 1 FROM [sales].[orders] m WHERE m.[order_id] = s.[order_id] AND m.[Customer Name] = s.[Customer Name])
-- check: folded: SELECT [order_id], [Customer Name] FROM [pipekit_staging].[orders] GROUP BY [order_id], [Customer Name] HAVING MIN(([Customer Name] + N'x') COLLATE Latin1_General_100_BIN2) <> MAX(([Customer Name] + N'x') COLLATE Latin1_General_100_BIN2)
-- check: blurred: SELECT k.[order_id], MIN(k.[Customer Name]) FROM (SELECT d.[order_id], d.[Customer Name], (d.[Customer Name] + N'x') COLLATE Latin1_General_100_BIN2 AS e1, 1 AS of_dest FROM [sales].[orders] d WHERE EXISTS (SELECT 1 FROM [pipekit_staging].[orders] m WHERE m.[order_id] = d.[order_id] AND m.[Customer Name] = d.[Customer Name]) UNION ALL SELECT [order_id], [Customer Name], ([Customer Name] + N'x') COLLATE Latin1_General_100_BIN2 AS e1, 0 AS of_dest FROM [pipekit_staging].[orders]) k GROUP BY k.[order_id], k.e1 HAVING MIN(k.of_dest) = 1
-- decides: distinct_keys: SELECT COUNT(*) FROM (SELECT DISTINCT [order_id], [Customer Name] FROM [pipekit_staging].[orders] WHERE [order_id] IS NOT NULL AND [Customer Name] IS NOT NULL) k

-- ======== a key of text
-- pipekit plan of module orders: erp -> warehouse, strategy incremental
-- {since} = '2024-01-01' (resolver)

-- source query, on erp
SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('2024-01-01');

-- staging, on warehouse
DROP TABLE IF EXISTS [pipekit_staging].[orders];
CREATE TABLE [pipekit_staging].[orders] ([order_id] bigint, [Customer Name] nvarchar(40) COLLATE Latin1_General_100_BIN2, [amount] decimal(12,2), [updated_at] datetime2(6), [raw] varbinary(max));

-- merge, on warehouse, in one transaction; all rows are written: the destination is new
DECLARE @taken int; EXEC @taken = sp_getapplock @Resource = N'pipekit:dc008f4e0a687cbf95896cacb4940d2b', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 10000; IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1);
CREATE TABLE [sales].[orders] ([order_id] bigint NOT NULL, [Customer Name] nvarchar(40) COLLATE Latin1_General_100_BIN2 NOT NULL, [amount] decimal(12,2), [updated_at] datetime2(6), [raw] varbinary(max));
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
