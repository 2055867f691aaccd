#!/bin/sh
# nightly full reload of customers
HERE=`dirname $0`
: ${SRC_URL:="jdbc:sqlserver://crm01;databaseName=CRM;encrypt=false"}
jrunner -scu "$SRC_URL" -scn crm_reader -scp "$CRM_PASSWORD" \
  -sq $HERE/pull.sql \
  -dcu jdbc:postgresql://localhost/warehouse -dcn loader -dcp `cat /etc/etl/loader.pw` \
  -dt crm.customers -c -b
if [ $? -ne 0 ]; then
  logger -t etl "customers failed"
  exit 1
fi
PGPASSWORD=`cat /etc/etl/loader.pw` psql -q -h localhost -U loader warehouse <<SQL
vacuum analyze crm.customers;
refresh materialized view crm.customer_regions;
SQL
