#!/bin/bash
set -e
OUT=/tmp/prices.csv
SINCE=$(psql -qAt -d shop -c 'select max(valid_from) from price_list')
jrunner -scu jdbc:sqlserver://erp\;databaseName=ERP -scn ro -scp "$ERP_PW" \
    -sq "SELECT ItemNo AS item_no, ValidFrom AS valid_from, Price AS price FROM dbo.Price WHERE ValidFrom >= '${SINCE:-2015-01-01}'" -f csv > $OUT

psql -v ON_ERROR_STOP=1 -d shop <<SQL
CREATE TEMP TABLE new_prices (item_no text, valid_from date, price numeric);
\copy new_prices from '$OUT' with (format csv, header true)
MERGE INTO price_list p
USING new_prices n ON (p.item_no = n.item_no AND p.valid_from = n.valid_from)
WHEN MATCHED THEN UPDATE SET price = n.price
WHEN NOT MATCHED THEN INSERT (item_no, valid_from, price) VALUES (n.item_no, n.valid_from, n.price);
SQL
rm $OUT
