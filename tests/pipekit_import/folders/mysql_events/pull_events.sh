#!/bin/bash
# Events of the last days; a day is loaded as a whole.
DAY=$(date -d '3 days ago' +%Y-%m-%d)
export PGHOST=10.0.0.5 PGDATABASE=analytics PGUSER=etl

psql -c "DELETE FROM web.events WHERE event_date >= '$DAY'"

jrunner -scu "jdbc:mysql://shop-db/shop?user=report&password=geheim123" -sq "
    SELECT e.id, DATE(e.created_at) AS event_date, e.kind, e.visitor, e.created_at
    FROM   events e
    WHERE  e.created_at >= '$DAY'
" -dcu "jdbc:postgresql://10.0.0.5/analytics" -dcn etl -dcp "$PGPASSWORD" -dt web.events

psql -c 'ANALYZE web.events' -c "CALL web.build_sessions()"
