BEGIN;
-- replace what was changed
DELETE FROM sales.orders WHERE order_no IN (SELECT order_no FROM staging.orders);
INSERT INTO sales.orders SELECT * FROM staging.orders;
COMMIT;
ANALYZE sales.orders;
