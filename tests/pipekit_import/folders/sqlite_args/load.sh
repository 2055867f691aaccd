#!/bin/sh
# load.sh TABLE KEY: what changed since last time, by key
TABLE=$1
KEY=$2
[ -n "$KEY" ] || { echo "usage: load.sh TABLE KEY" >&2; exit 2; }
DB=warehouse.db
SINCE=$(sqlite3 $DB "SELECT max(changed_at) FROM $TABLE")
[ -n "$SINCE" ] || SINCE="2000-01-01 00:00:00"

sqlite3 $DB "DELETE FROM stage_$TABLE"
jrunner -scu jdbc:sqlite:shop.db -sq "SELECT * FROM $TABLE WHERE changed_at >= '$SINCE'" -dcu jdbc:sqlite:$DB -dt stage_$TABLE || exit 1

sqlite3 $DB <<SQL
BEGIN;
DELETE FROM $TABLE WHERE $KEY IN (SELECT $KEY FROM stage_$TABLE);
INSERT INTO $TABLE SELECT * FROM stage_$TABLE;
COMMIT;
SQL
sqlite3 $DB "ANALYZE $TABLE"
