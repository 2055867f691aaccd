#!/usr/bin/env bash
source "${BASH_SOURCE%/*}/lib/etl.sh" 2>/dev/null || . ./lib/etl.sh
HR=jdbc:oracle:thin:@hr-db:1521:HRPROD
sync employees employee_id last_update
sync departments department_id last_update
