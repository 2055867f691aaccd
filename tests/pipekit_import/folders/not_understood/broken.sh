#!/bin/bash
tables=(a b c)
jrunner -scu "$SRC" -sq "select 1" -dcu "$DST" -dt x
if [ 1 = 1 ]; then
