#!/bin/bash
BASE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for job in accounts balances; do
    ( cd $BASE/$job && bash run.sh ) || FAILED="$FAILED $job"
done
"$BASE/audit/run.sh"
[ -z "$FAILED" ] || exit 1
