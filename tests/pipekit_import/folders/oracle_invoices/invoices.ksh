#!/usr/bin/ksh
# A window: from the last invoice that we have up to now, by Oracle's own clock.
typeset DB="psql -At postgresql://etl@pg1/dw"
ORA="jdbc:oracle:thin:@//ora1:1521/FIN"

FROM_TS=$($DB -c "select coalesce(max(modified)::text, '2000-01-01 00:00:00') from fin.invoices")
UPTO_TS=$(jrunner -scu "$ORA" -scn FINRO -scp env:FIN_PW -sq "select to_char(systimestamp, 'YYYY-MM-DD HH24:MI:SS') from dual" -f tsv --no-header | tail -1)
export FROM_TS UPTO_TS

cat > /tmp/inv.sql <<END
select invoice_id, customer_id, currency, total, modified
from fin.invoices
where modified >= timestamp '$FROM_TS'
  and modified <  timestamp '${UPTO_TS}'
END

$DB <<'END'
create table if not exists stage.invoices (like fin.invoices);
truncate stage.invoices;
END

if jrunner -scu "$ORA" -scn FINRO -scp env:FIN_PW -sq /tmp/inv.sql -dcu jdbc:postgresql://pg1/dw -dcn etl -dcp env:DW_PW -dt stage.invoices
then
    $DB <<'END'
insert into fin.invoices (invoice_id, customer_id, currency, total, modified)
select distinct on (invoice_id) invoice_id, customer_id, currency, total, modified
from stage.invoices
order by invoice_id, modified desc
on conflict (invoice_id) do update set
    customer_id = excluded.customer_id, currency = excluded.currency,
    total = excluded.total, modified = excluded.modified;
END
else
    print -u2 "invoices failed"
    exit 1
fi
