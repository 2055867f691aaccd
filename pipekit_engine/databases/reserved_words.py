"""Words that cannot be names without quotes."""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text: a list that people can read and sort."""
    return frozenset(text.split())


#: Words that at least one of the larger databases reserves, so that nobody meets them by surprise. A word too many costs a
#: pair of quotes; the common column names that only one kind reserves (`date`, `number`, `comment`) stand in that
#: kind's own list.
RESERVED = words(
    """
    add all alter analyse analyze and any array as asc asymmetric authorization before begin between bigint binary
    both by call cascade case cast change char character check clob collate collation column commit condition
    connect constraint continue convert create cross cube current current_catalog current_date current_path
    current_role current_schema current_time current_timestamp current_user cursor database databases day_hour
    deallocate dec decimal declare default deferrable delayed delete desc describe deterministic distinct
    distinctrow div do drop dual dynamic each else elseif enclosed end end-exec escape escaped except exclusive exec
    execute exists exit explain external false fetch filter float for force foreign freeze from full fulltext
    function generated get global grant group grouping groups having high_priority hour_minute if ignore ilike
    immediate in index infile initially inner inout insensitive insert int int1 int2 int3 int4 int8 integer
    intersect interval into is isnull iterate join keys kill lateral leading leave left like limit linear lines load
    localtime localtimestamp lock long longblob longtext loop low_priority match mediumblob mediumint mediumtext
    merge minus mod modifies natural nchar new no no_write_to_binlog nocheck not notnull null nullif numeric
    nvarchar of off offset old on only open optimize option optionally or order out outer outfile over overlaps
    parameter partition placing precision prepare primary procedure purge range read reads real recursive references
    regexp release rename repeat replace require resignal restrict return returning revoke right rlike rollback
    rollup row row_number rows save schema schemas select sensitive separator session_user set show signal similar
    smallint some spatial specific sql sqlexception sqlstate sqlwarning ssl start starting static straight_join
    submultiset symmetric system_user table tablesample terminated then time_zone tinyblob tinyint tinytext to top
    trailing trigger true truncate undo union unique unknown unlock unnest unsigned until update usage use user
    using utc_date utc_time utc_timestamp value values varbinary varchar varchar2 varcharacter variadic varying
    verbose view when where while window with within without write xor year_month zerofill
    """
)
