. ../etl.conf
MAX_DAY=`psql "$PG" -t -A -c "SELECT MAX(bal_day) FROM balances"`
MAX_DAY=${MAX_DAY:-20200101}
export MAX_DAY
envsubst < pull.sql > work.sql
jrunner -scu $CORE -scn $CORE_USER -scp $CORE_PW -sq work.sql -dcu $DW -dcn $DW_USER -dcp $DW_PW -dt stage_balances -c
psql "$PG" -f insert.sql
