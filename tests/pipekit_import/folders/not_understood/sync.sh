#!/bin/bash
# grew over the years
API_PASSWORD='hunter2hunter2'
eval "$(ssh build@gateway cat /etc/etl/env)"
while true; do
    for t in $(python3 list_tables.py --changed); do
        if [ "$(uname -n)" = "etl1" ]; then
            jrunner -scu "$SRC" -scn "$U" -scp "$P" -sq "select * from $t" -dcu "$DST" -dcn "$U" -dcp "$P" -dt "tmp_$t"
        else
            ssh etl1 "jrunner ..."
        fi
        perl merge.pl "$t"
    done
    sleep 60
done
