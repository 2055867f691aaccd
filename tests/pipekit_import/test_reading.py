"""The parts of the importer by themselves: shell syntax, expansion, SQL around a load, styles that the folders do not show."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_import import Import, files_of, import_folder, syntax
from pipekit_import.infer import Proposal
from pipekit_import.interpreter import Interpreter
from pipekit_import.lexer import ShellSyntaxError
from pipekit_import.sqlread import read_statements, same_table
from pipekit_import.tree import Tree
from pipekit_import.values import Spot, shown

JRUNNER = "jrunner -scu jdbc:sqlite:a.db -sq 'SELECT id, at FROM s{where}' -dcu jdbc:postgresql://h/dw -dt {table}\n"


def _import(folder: Path, **files: str) -> Import:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return import_folder(folder)


def _one(folder: Path, script: str, **files: str) -> Proposal:
    result = _import(folder, load_dot_sh=script, **files)
    assert len(result.proposals) == 1, [proposal.name for proposal in result.proposals]
    return result.proposals[0]


def _load(where: str = "", table: str = "t") -> str:
    return JRUNNER.format(where=where, table=table)


def _printed(tmp_path: Path, script: str) -> str:
    """What `RESULT` is at the end of a script."""
    (tmp_path / "a.sh").write_text(script)
    interpreter = Interpreter(Tree(tmp_path), "a.sh", ("one", "two words"))
    interpreter.run()
    return shown(interpreter._variables.get("RESULT", ()))


EXPANSIONS = [
    ("A=x; RESULT=$A/${A}y", "x/xy"),
    ("A='$x'; RESULT=\"$A 'q' \\$z\"", "$x 'q' $z"),
    ("RESULT=${A:-d}${B:=e}$B", "dee"),
    ("F=/a/b/c.sql; RESULT=${F##*/}-${F%.sql}-${F%/*}", "c.sql-/a/b/c-/a/b"),
    ("A=a_b_c; RESULT=${A//_/-}", "a-b-c"),
    ("RESULT=`echo one`$(echo two)", "onetwo"),
    ("RESULT=$(echo $(echo deep))", "deep"),
    ("RESULT=$(printf '%s-%s' a b)", "a-b"),
    ("RESULT=$1+$#+$2", "one+2+two words"),
    ("f() { RESULT=$1; }; f three", "three"),
    ("for x in a b c; do RESULT=$RESULT$x; done", "${RESULT}abc"),
    ("RESULT=; for x in a b; do RESULT+=$x; done", "ab"),
    ("while read a b; do RESULT=$b; done <<END\n1 2 3\n4 5 6\nEND", "5 6"),
    ("while IFS=: read a b; do RESULT=$b; done <<END\n1:2\nEND", "2"),
    ("cat > f <<END\nx $1 \\$1\nEND\nRESULT=$(cat f)", "x one $1"),
    ("cat > f <<'END'\nx $1\nEND\nRESULT=$(<f)", "x $1"),
    ("RESULT=$(echo 's3 @T@' | sed 's/@T@/table/')", "s3 table"),
    ("RESULT=$(sed -e 's|a|b|g' <<< 'banana')", "bbnbnb"),
    ("case $1 in one|eins) RESULT=1;; *) RESULT=2;; esac", "1"),
    ("if true; then X=1; fi; RESULT=$UNSET", "${UNSET}"),
    ("RESULT=$(uname -n)", "$(uname -n)"),
    ("X=\\\n1; RESULT=$X # comment $X", "1"),
    ("RESULT=$(basename /x/y.sql .sql)$(dirname /x/y)", "y/x"),
    ('[ -z "$X" ] && X=5; RESULT=$X', "5"),
]


@pytest.mark.parametrize(("script", "expected"), EXPANSIONS, ids=[item[0] for item in EXPANSIONS])
def test_variables_and_words(script: str, expected: str, tmp_path: Path) -> None:
    assert _printed(tmp_path, script) == expected


@pytest.mark.parametrize(
    "script",
    [
        "if true; then",
        "for x in a; do",
        "echo 'open",
        'echo "open',
        "cat <<END\nnever",
        "a=(1 2)",
        "echo $(",
        "fi",
        "diff <(a) b",
    ],
)
def test_what_is_no_shell_says_where(script: str, tmp_path: Path) -> None:
    with pytest.raises(ShellSyntaxError) as caught:
        syntax.parse("\n\n" + script)
    assert caught.value.line >= 1
    proposal = _one(tmp_path, f"{_load()}{script}\n")
    assert not proposal.complete


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(alphabet="ab $(){}[]\"'`\\|&;<>\n=#!if then fi do done for in case esac EOF", max_size=80))
def test_no_text_makes_the_reader_fall_over(text: str) -> None:
    with suppress(ShellSyntaxError):
        syntax.parse(text)


STATEMENTS = [
    ("TRUNCATE TABLE a.b CASCADE", "clear", "a.b", "", ()),
    ("delete from t", "clear", "t", "", ()),
    ("DELETE FROM t WHERE (a, b) IN (SELECT a, b FROM s)", "delete_keys", "t", "s", ("a", "b")),
    ("DELETE FROM t USING s WHERE t.id = s.id AND t.n = s.n", "delete_keys", "t", "s", ("id", "n")),
    ("DELETE FROM t x WHERE EXISTS (SELECT 1 FROM s y WHERE y.id = x.id)", "delete_keys", "t", "s", ("id",)),
    ("DELETE t FROM t JOIN s USING (id)", "delete_keys", "t", "s", ("id",)),
    ("DELETE FROM t WHERE day >= '2024-01-01'", "delete_range", "t", "", ("day",)),
    ("DELETE FROM t WHERE day >= (SELECT min(day) FROM s)", "delete_range", "t", "s", ("day",)),
    ("INSERT INTO t SELECT * FROM s", "insert", "t", "s", ()),
    ("INSERT INTO t (a) SELECT a FROM s ON CONFLICT (a) DO UPDATE SET b = 1", "insert", "t", "s", ("a",)),
    ("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = s.a", "merge", "t", "s", ("id",)),
    ("UPDATE t SET a = s.a FROM s WHERE t.id = s.id", "update", "t", "s", ("id",)),
    ("CREATE TEMP TABLE IF NOT EXISTS s (id int)", "housekeeping", "s", "", ()),
    ("-- why\nBEGIN", "noise", "", "", ()),
    ("VACUUM t", "other", "", "", ()),
    ("DELETE FROM t WHERE a = 1 AND b LIKE 'x'", "delete_range", "t", "", ("a",)),
]


@pytest.mark.parametrize(("sql", "kind", "table", "other", "keys"), STATEMENTS, ids=[item[0] for item in STATEMENTS])
def test_statements(sql: str, kind: str, table: str, other: str, keys: tuple[str, ...]) -> None:
    (found,) = read_statements(sql, Spot("x.sql", 1), UNKNOWN)
    assert (found.kind, found.table, found.other, found.keys) == (kind, table, other, keys)


def test_statements_know_their_lines() -> None:
    found = read_statements(
        "\\set x 1\n-- first\nANALYZE a;\n\n  -- second\n  ANALYZE\n  b;\n", Spot("x.sql", 10), UNKNOWN
    )
    assert [(item.spot.line, item.kind) for item in found] == [(12, "other"), (15, "other")]


def test_names_of_tables() -> None:
    assert same_table("a.T", "t")
    assert same_table('"a"."t"', "A.t")
    assert not same_table("a.t", "b.t")
    assert not same_table("", "")
    assert not same_table('"a.t"', "t")


def test_each_database_s_own_spelling_is_read(tmp_path: Path) -> None:
    into = JRUNNER.replace("jdbc:postgresql://h/dw", "jdbc:mysql://h/dw")
    merge = "DELETE FROM t # WHERE a = 1\n; INSERT INTO t SELECT * FROM `stg_t`; UPDATE log SET a = 'it\\'s; DELETE FROM t'\n"
    script = into.format(where="", table="stg_t") + f"mysql -h h dw <<'X'\n{merge}X\n"
    proposal = _one(tmp_path, script)
    assert proposal.complete, proposal.notes
    assert (proposal.fields["dest_table"], proposal.fields["strategy"]) == ("t", "full")
    assert proposal.fields["hooks"] == [{"sql": "UPDATE log SET a = 'it\\'s; DELETE FROM t'"}]


def test_one_load_and_nothing_else_is_append(tmp_path: Path) -> None:
    proposal = _one(tmp_path, _load())
    assert proposal.fields["strategy"] == "append"
    assert any("every run adds all rows again" in note.text for note in proposal.notes)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("{load}psql -d dw -c 'INSERT INTO t SELECT id, upper(at) FROM stage_t'\n", "computes columns"),
        ("{load}psql -d dw -c 'INSERT INTO t (id, at) SELECT id, now() AS at FROM stage_t'\n", "computes columns"),
        ("{load}psql -d dw -c 'INSERT INTO t SELECT s.* FROM stage_t s JOIN x ON x.id = s.id'\n", "changes rows on the way"),
        ("{load}psql -d dw -c 'INSERT INTO t SELECT * FROM stage_t ON CONFLICT DO NOTHING'\n", "leaves old rows|names none"),
        ("{load}psql -d dw -c 'DELETE FROM t WHERE x = 1 AND y = 2' -c 'INSERT INTO t SELECT * FROM stage_t'\n", "more than one"),
        ("{load}", "looks like a table that is copied on"),
        ("psql -d dw -c 'UPDATE other SET a = 1'\n{load}psql -d dw -c 'INSERT INTO t SELECT * FROM stage_t'\n", "runs before"),
        ("{load}if [ $(date +%u) = 7 ]; then psql -d dw -c 'INSERT INTO t SELECT * FROM stage_t'; fi\n", "under a condition"),
        ("{load}python3 merge.py\n", "python3 is not read"),
        ("{load}psql -h h -d other -c 'INSERT INTO t SELECT * FROM stage_t'\n", "nothing was found that does"),
        ("{load}psql -h elsewhere -d dw -c 'INSERT INTO t SELECT * FROM stage_t'\n", "nothing was found that does"),
        ("{load}merge() {{ psql -d dw -c 'INSERT INTO t SELECT * FROM stage_t'; }}\n", "when this runs was not understood"),
        ("{load}psql -d dw -f nowhere.sql\n", "nowhere.sql is not here"),
        ("{load}psql -d dw <<X\n\\i nowhere.sql\nX\n", "nowhere.sql is not here"),
        ("{load}psql -d dw <<X\nSELECT 1 \\gexec\n\\! rm x\nX\n", "command of the client"),
        ("{load}sqlite3 dw.db <<X\n.import rows.csv t\nX\n", "command of the client"),
        ("{load}psql -d dw -c 'FROBNICATE t'\n", "is no SQL that is known"),
        (
            "jrunner -scu jdbc:sqlite:a.db -sq 'SELECT 1 AS a' -f csv | grep -v x | psql -d dw -c 'COPY t FROM stdin'\n",
            "grep changes rows on the way",
        ),
        (
            "D=$(psql -d dw -Atc 'SELECT max(at) FROM t' | cut -c1-10)\n"
            "jrunner -scu jdbc:sqlite:a.db -sq \"SELECT 1 AS a WHERE at >= '$D'\" -dcu jdbc:postgresql://h/dw -dt t\n",
            "cut changes the value on the way",
        ),
        ("{load}psql -d dw -c \"INSERT INTO t SELECT * FROM stage_t\" -c \"CALL done('$X')\"\n", "a value of the script"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_never_said_to_be_complete(script: str, reason: str, tmp_path: Path) -> None:
    import re

    proposal = _one(tmp_path, script.format(load=_load(table="stage_t")))
    assert not proposal.complete, proposal.fields
    assert re.search(reason, " / ".join(note.text for note in proposal.notes if note.blocking))


def test_logins_of_another_script_are_no_candidates(tmp_path: Path) -> None:
    other = "jrunner -scu jdbc:sqlite:a.db -sq 'SELECT 1 AS a' -f csv | psql -d dw -c 'COPY u FROM stdin'\n"
    result = _import(tmp_path, a_dot_sh=_load(), b_dot_sh=other)
    urls = {p.name: result.connections.found[p.fields["dest"]].jdbc_url for p in result.proposals}
    assert urls == {"t": "jdbc:postgresql://h/dw", "u": "jdbc:postgresql://127.0.0.1:5432/dw"}


def test_a_client_that_names_no_database_is_told(tmp_path: Path) -> None:
    proposal = _one(tmp_path, _load() + "psql -c 'ANALYZE t'\n")
    assert proposal.fields["hooks"] == [{"sql": "ANALYZE t"}]
    assert any(note.text == "psql names no database that is known here: dw is taken" for note in proposal.notes)


def test_files_that_sql_includes(tmp_path: Path) -> None:
    script = _load(table="stg_t") + "psql -h h dw <<X\n\\set ON_ERROR_STOP 1\n\\i merge.sql\nANALYZE t;\nX\n"
    merge = "-- by key\nDELETE FROM t USING stg_t s WHERE t.id = s.id;\nINSERT INTO t SELECT * FROM stg_t;\n"
    proposal = _one(tmp_path, script, merge_dot_sql=merge)
    assert proposal.complete, proposal.notes
    assert (proposal.fields["strategy"], proposal.fields["merge_key"]) == ("incremental", ["id"])
    assert proposal.fields["hooks"] == [{"sql": "ANALYZE t"}]


def test_copy_renames_by_position(tmp_path: Path) -> None:
    head = "jrunner -scu jdbc:sqlite:a.db -sq 'SELECT id, at FROM s' -f csv > /tmp/x.csv\n"
    copy = "psql -h h dw -c \"\\copy t (nr, at) from '/tmp/x.csv' csv header\"\n"
    proposal = _one(tmp_path, head + copy)
    assert proposal.complete, proposal.notes
    assert proposal.fields["columns"] == [{"source_name": "id", "dest_name": "nr"}, "at"]
    star = _one(tmp_path / "star", head.replace("id, at", "*") + copy)
    assert any("COPY names 2 columns" in note.text for note in star.notes if note.blocking)


def test_a_staging_schema_with_the_destination_s_name(tmp_path: Path) -> None:
    copy = "psql -h h dw -c 'delete from t' -c 'insert into t select * from stg.t' -c 'truncate stg.t'\n"
    proposal = _one(tmp_path, _load(table="stg.t") + copy)
    assert proposal.complete, proposal.notes
    assert (proposal.fields["dest_table"], proposal.fields["strategy"], proposal.fields.get("hooks")) == (
        "t",
        "full",
        None,
    )
    twice = _import(tmp_path / "twice", load_dot_sh=_load(table="stg.t") + _load(table="stg.t") + copy)
    assert [item.complete for item in twice.proposals] == [False, False]
    assert any("2 loads fill stg.t" in note.text for note in twice.proposals[0].notes)


def test_rows_through_a_pipe(tmp_path: Path) -> None:
    script = (
        "jrunner -scu jdbc:sqlite:a.db -sq 'SELECT 1 AS a' -f csv | tail -n +2 "
        "| psql -h h -d dw -c 'COPY x.t (a) FROM stdin CSV'\n"
    )
    proposal = _one(tmp_path, script)
    assert proposal.complete, proposal.notes
    assert (proposal.fields["dest_table"], proposal.fields["strategy"]) == ("x.t", "append")


def test_a_moment_is_no_batch_key(tmp_path: Path) -> None:
    script = (
        "S=$(psql -d dw -Atc 'SELECT max(updated_at) FROM t')\n"
        "psql -d dw -c \"DELETE FROM t WHERE updated_at >= '$S'\"\n"
        "jrunner -scu jdbc:sqlite:a.db -sq \"SELECT id, updated_at FROM s WHERE updated_at >= '$S'\" "
        "-dcu jdbc:postgresql://h/dw -dt t\n"
    )
    proposal = _one(tmp_path, script)
    assert not proposal.complete
    assert any("looks like a moment, not like a batch" in note.text for note in proposal.notes)


def test_branches_of_a_case_over_arguments(tmp_path: Path) -> None:
    script = f'case "$1" in\nfull) {_load(table="a")};;\ndaily) {_load(table="b")};;\nesac\n'
    result = _import(
        tmp_path, load_dot_sh=script, crontab="CRON_TZ=UTC\n0 1 * * 0 /x/load.sh full\n0 1 * * 1-6 /x/load.sh daily\n"
    )
    assert {proposal.name: proposal.complete for proposal in result.proposals} == {"a": True, "b": True}
    assert {name: group.members for name, group in result.groups.items()} == {"load": ("a",), "load_2": ("b",)}
    without = _import(tmp_path / "again", load_dot_sh=script)
    assert [proposal.complete for proposal in without.proposals] == [False]


def test_secrets_in_many_places(tmp_path: Path) -> None:
    script = """\
export PGPASSWORD=sentinel-1
DB_PWD="sentinel-2"
jrunner -scu 'jdbc:sqlserver://h;databaseName=x;user=u;password=sentinel-3' -sq 'SELECT 1 AS a' \\
    -dcu jdbc:postgresql://h/dw -dcn etl -dcp sentinel-4 -dt t
jrunner -scu jdbc:oracle:thin:scott/sentinel-5@h:1521:X -sq 'SELECT 1 AS a FROM dual' \\
    -dcu jdbc:postgresql://h/dw -dcn etl -dcp "$DB_PWD" -dt u
"""
    result = _import(tmp_path, load_dot_sh=script)
    found = {(secret.spot.line, secret.name) for secret in result.secrets}
    assert found == {(1, "PGPASSWORD"), (2, "DB_PWD"), (3, "password"), (4, "password"), (5, "password")}
    texts = "".join(files_of(result).values())
    assert "sentinel" not in texts
    assert "sentinel" not in repr(result.secrets)
    logins = sorted((item.username or "", item.password or "") for item in result.connections.found.values())
    assert logins == [("etl", "$DW_PASSWORD"), ("scott", "$H_PASSWORD"), ("u", "$X_PASSWORD")]


def test_crontabs(tmp_path: Path) -> None:
    crontab = """\
SHELL=/bin/bash
# m h dom mon dow command
@daily /opt/x/load.sh
5 4 * * sun root cd /opt/x; bash load.sh >/dev/null 2>&1
nonsense
0 0 * * * /usr/bin/backup
61 0 * * * /opt/x/load.sh
"""
    result = _import(tmp_path, load_dot_sh=_load(), my_dot_crontab=crontab)
    assert {name: item.cron for name, item in result.schedules.items()} == {
        "load-cron": "@daily",
        "load-cron-2": "5 4 * * sun",
    }
    notes = {note.spot.line: note.text for note in result.notes}
    assert notes[5] == "is no line of a crontab"
    assert notes[6] == "runs nothing of this folder: left out"
    assert "was left out" in notes[7]
    assert "names no time zone" in notes[3]


def test_an_empty_or_missing_folder(tmp_path: Path) -> None:
    from tests.cli.conftest import Project

    project = Project(tmp_path)
    (tmp_path / "empty").mkdir()
    done = project.look("import-scripts", "empty")
    assert (done.status, "no script was found that moves rows" in done.err) == (2, True)
    missing = project.look("import-scripts", "nowhere")
    assert (missing.status, "there is no such folder" in missing.err) == (2, True)


def test_the_command_s_output_and_statuses(tmp_path: Path) -> None:
    from tests.cli.conftest import Project

    project = Project(tmp_path)
    folders = Path(__file__).parent / "folders"
    whole = project.look("import-scripts", str(folders / "csv_prices"), "--json")
    assert (whole.status, [item["complete"] for item in whole.json["modules"]]) == (0, [True])
    partial = project.look("import-scripts", str(folders / "not_understood"), "--output", "out")
    assert (partial.status, "0 of 2 modules complete." in partial.err) == (1, True)
    assert "sync.sh:3: a password in clear text (API_PASSWORD)" in partial.err
    again = project.look("import-scripts", str(folders / "not_understood"), "--output", "out")
    assert (again.status, "exists already" in again.err) == (2, True)
    shown_text = project.look("import-scripts", str(folders / "csv_prices"))
    assert "# ---- modules/price_list.yaml" in shown_text.out
