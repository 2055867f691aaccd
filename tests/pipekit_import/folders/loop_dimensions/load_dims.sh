#!/bin/sh
# All small tables, replaced as a whole.
cd `dirname "$0"`
. ./settings.env
while read table source; do
    case $table in \#*|"") continue ;; esac
    echo "loading $table"
    jrunner -scu "$SRC" -scn "$SRC_USER" -scp "$SRC_PASS" -sq "select * from $source" \
        -dcu "$DST" -dcn "$DST_USER" -dcp "$DST_PASS" -dt stg.$table -c || exit 1
    psql -d "$DST_DB" <<-EOT
	begin;
	delete from dim.$table;
	insert into dim.$table select * from stg.$table;
	commit;
	EOT
done < tables.txt
