. ../etl.conf
# the log of the core system is never changed, only appended to
NEXT=$(psql "$PG" -tAc "select coalesce(max(log_id), 0) + 1 from audit_log")
jrunner -scu $CORE -scn $CORE_USER -scp $CORE_PW -sq "select log_id, at, actor, what from core.audit where log_id >= $NEXT" -dcu $DW -dcn $DW_USER -dcp $DW_PW -dt audit_log
