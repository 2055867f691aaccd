. ../etl.conf
jrunner -scu $CORE -scn $CORE_USER -scp $CORE_PW -sq pull.sql -dcu $DW -dcn $DW_USER -dcp $DW_PW -dt stage_accounts -c
psql "$PG" -f insert.sql
