#!/bin/bash
set -euo pipefail
cd "$(dirname "$0")"
. ../env.sh

LAST=$(psql -h "$DW_HOST" -U "$DW_USER" -d dw -At -c "select max(changed_at) from sales.orders")
if [ -z "$LAST" ]; then
    LAST='1900-01-01-00.00.00.000000'
fi
echo "$(date): orders since $LAST"

sed "s/@SINCE@/$LAST/" pull.sql > /tmp/orders.$$.sql
psql -h "$DW_HOST" -U "$DW_USER" -d dw -c "truncate table staging.orders"
jrunner -scu "$AS400_URL" -scn "$AS400_USER" -scp "$AS400_PW" -sq /tmp/orders.$$.sql \
        -dcu "$DW_URL" -dcn "$DW_USER" -dcp "$DW_PW" -dt staging.orders -t || { echo "orders failed" | mail -s etl dba@example.com; exit 1; }
psql -h "$DW_HOST" -U "$DW_USER" -d dw -v ON_ERROR_STOP=1 -f insert.sql
rm -f /tmp/orders.$$.sql
