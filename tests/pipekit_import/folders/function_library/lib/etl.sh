# sync NAME KEY TIMESTAMP: what changed, by key
WAREHOUSE=${WAREHOUSE:-jdbc:mariadb://mdb.example.com:3306/mart}

mart() { mariadb -h mdb.example.com -u mart -N mart "$@"; }

sync() {
    local name=$1 key=$2 stamp=$3
    local since=$(mart -e "SELECT COALESCE(MAX($stamp), '1970-01-01') FROM $name")
    mart -e "TRUNCATE TABLE ${name}_in"
    jrunner -scu "$HR" -scn hr_ro -scp "$HR_PW" \
            -sq "SELECT * FROM hr.$name WHERE $stamp >= TO_DATE('$since', 'YYYY-MM-DD HH24:MI:SS')" \
            -dcu "$WAREHOUSE" -dcn mart -dcp "$MART_PW" -dt ${name}_in
    [ $? -eq 0 ] || { echo "$name failed"; return 1; }
    mart <<SQL
START TRANSACTION;
DELETE d FROM $name d JOIN ${name}_in s ON d.$key = s.$key;
INSERT INTO $name SELECT * FROM ${name}_in;
COMMIT;
SQL
}
