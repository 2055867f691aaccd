"""The session protocol at the level of lines: what it takes, what it refuses, in which order it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.jars import jar
from tests.jrunner.conftest import LineSession, OddDrivers

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) FROM n"
FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def open_sqlite(line_session: LineSession, name: str, path: Path | str = ":memory:") -> None:
    line_session.send(
        id=f"open {name}", op="open", connection=name, kind="sqlite", jars=[jar("sqlite")], url=f"jdbc:sqlite:{path}"
    )
    assert line_session.answer(f"open {name}")["event"] == "result"


def test_ready_comes_first(line_session: LineSession) -> None:
    assert line_session.ready["event"] == "ready"
    assert line_session.ready["protocol"] == 1
    assert line_session.ready["pid"] == line_session.process.pid
    assert line_session.ready["version"] == "0.1.0"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"garbage", "line is not JSON"),
        (b'{"id":1,"op":"quit"', "unexpected end"),
        (b'{"id":1,"id":2,"op":"quit"}', 'key "id" twice'),
        (b"[1,2]", "not a JSON object"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"op":"quit"}', "'id' must be"),
        (b'{"id":1.5,"op":"quit"}', "'id' must be"),
        (b"[" * 5000, "nested too deep"),
        (b'{"id":1,"op":"\x01"}', "control character"),
        (b'{"id":01,"op":"quit"}', "must not begin with 0"),
    ],
)
def test_a_bad_line_is_an_error_and_the_session_goes_on(line_session: LineSession, line: bytes, message: str) -> None:
    line_session.send_bytes(line)
    event = line_session.next()
    assert event["event"] == "error"
    assert event["id"] is None
    assert event["error"]["code"] == "protocol"
    assert message in event["error"]["message"]
    line_session.send(id=2, op="close")
    assert line_session.answer(2)["closed"] == []


@pytest.mark.parametrize(
    ("request_fields", "message"),
    [
        ({}, "field 'op' is missing"),
        ({"op": "explode"}, "unknown op 'explode'; there are open, query"),
        ({"op": "query", "connection": "a", "sql": "SELECT 1", "max_row": 3}, "unknown field 'max_row'"),
        ({"op": "query", "connection": "a"}, "field 'sql' is missing"),
        ({"op": "query", "connection": 5, "sql": "x"}, "field 'connection' must be a text"),
        ({"op": "query", "connection": "a", "sql": "x", "max_rows": -1}, "field 'max_rows' must be a whole number"),
        ({"op": "execute", "connection": "a", "statements": "DROP"}, "field 'statements' must be a list of objects"),
        ({"op": "execute", "connection": "a", "statements": [{"sq": "x"}]}, "field 'statements[0].sql' is missing"),
        ({"op": "describe", "connection": "a"}, "either 'sql' or 'table'"),
        ({"op": "migrate", "source": "a", "dest": "a", "sql": "x", "table": "t"}, "must be two connections"),
        ({"op": "metadata", "connection": "a", "what": "secrets"}, "must be schemas, tables, columns, keys or indexes"),
        ({"op": "cancel", "target": None}, "field 'target' must be"),
    ],
)
def test_a_bad_request_names_the_field(line_session: LineSession, request_fields: dict[str, Any], message: str) -> None:
    open_sqlite(line_session, "a")
    line_session.send(id="x", **request_fields)
    event = line_session.answer("x")
    assert event["error"]["code"] == "protocol"
    assert message in event["error"]["message"]


def test_a_connection_that_is_not_open(line_session: LineSession) -> None:
    line_session.send(id=1, op="query", connection="nowhere", sql="SELECT 1")
    assert line_session.answer(1)["error"] == {
        "phase": "query",
        "code": "not_open",
        "message": "connection 'nowhere' is not open",
    }


def test_a_line_that_is_too_long_is_skipped(line_session: LineSession) -> None:
    line_session.send_bytes(b'{"id":1,"op":"' + b"x" * (33 << 20) + b'"}')
    assert "longer than" in line_session.next()["error"]["message"]
    line_session.send(id=2, op="close")
    assert line_session.answer(2)["event"] == "result"


def test_text_of_all_unicode_survives(line_session: LineSession) -> None:
    text = "".join(map(chr, range(1, 0x250))) + "😀 \u2028\u2029\ufeff\uffff 𝔘 e\u0301 \U0010ffff"
    open_sqlite(line_session, "a")
    quoted = text.replace("'", "''")
    line_session.send_bytes(
        json.dumps(
            {"id": 1, "op": "query", "connection": "a", "sql": f"SELECT '{quoted}'"}, ensure_ascii=False
        ).encode()
    )
    assert line_session.answer(1)["rows"] == [[text]]
    assert line_session.lines[-1].count(b"\n") == 1


def test_requests_on_one_connection_keep_their_order(line_session: LineSession) -> None:
    open_sqlite(line_session, "a")
    line_session.send(id=0, op="execute", connection="a", statements=[{"sql": "CREATE TABLE t (i)"}])
    for number in range(1, 51):
        line_session.send(
            id=number, op="execute", connection="a", statements=[{"sql": f"INSERT INTO t VALUES ({number})"}]
        )
    line_session.send(id=51, op="query", connection="a", sql="SELECT i FROM t ORDER BY rowid", max_rows=100)
    for number in range(51):
        line_session.answer(number)
    assert [int(row[0]) for row in line_session.answer(51)["rows"]] == list(range(1, 51))


def test_connections_work_side_by_side(line_session: LineSession) -> None:
    open_sqlite(line_session, "slow")
    open_sqlite(line_session, "fast")
    line_session.send(id="slow", op="query", connection="slow", sql=FOREVER)
    line_session.send(id="fast", op="query", connection="fast", sql="SELECT 42")
    assert line_session.answer("fast")["rows"] == [["42"]]
    line_session.send(id="stop", op="cancel", target="slow")
    assert line_session.answer("stop")["cancelled"] is True
    assert line_session.answer("slow")["error"]["code"] == "cancelled"


def test_an_id_may_not_be_used_twice_at_once(line_session: LineSession) -> None:
    open_sqlite(line_session, "a")
    line_session.send(id=1, op="query", connection="a", sql=FOREVER)
    line_session.send(id=1, op="query", connection="a", sql="SELECT 1")
    assert "in flight already" in line_session.answer(1)["error"]["message"]


def test_a_cancelled_request_that_waits_answers_at_once(line_session: LineSession) -> None:
    open_sqlite(line_session, "a")
    line_session.send(id=1, op="query", connection="a", sql=FOREVER)
    line_session.send(id=2, op="query", connection="a", sql="SELECT 2")
    line_session.send(id=3, op="cancel", target=2)
    assert line_session.answer(3)["cancelled"] is True
    assert line_session.answer(2)["error"]["code"] == "cancelled"
    line_session.send(id=4, op="cancel", target=1)
    assert line_session.answer(4)["cancelled"] is True
    assert line_session.answer(1)["error"]["code"] == "cancelled"
    line_session.send(id=5, op="query", connection="a", sql="SELECT 5")
    assert line_session.answer(5)["rows"] == [["5"]]


def test_cancel_of_nothing_says_so(line_session: LineSession) -> None:
    line_session.send(id=1, op="cancel", target=99)
    assert line_session.answer(1)["cancelled"] is False


def test_progress_comes_about_every_second(line_session: LineSession) -> None:
    open_sqlite(line_session, "a")
    line_session.send(id=1, op="query", connection="a", sql=FOREVER)
    for number in (1, 2):
        event = line_session.next()
        assert event["event"] == "progress"
        assert event["elapsed_ms"] >= 1000 * number, "no more often, so that readers are not flooded"


def test_quit_lets_requests_finish(line_session: LineSession) -> None:
    open_sqlite(line_session, "a")
    line_session.send(id=1, op="query", connection="a", sql=SLOW)
    line_session.send(id=2, op="quit")
    assert line_session.answer(1)["rows"] == [["3000000"]]
    assert line_session.answer(2)["event"] == "result"
    assert line_session.process.wait(60) == 0


def test_a_chatty_driver_breaks_nothing_and_tells_no_secret(line_session: LineSession, odd_drivers: OddDrivers) -> None:
    request = odd_drivers.request("odd", "chat", password="s3ntinel-pw").to_json()
    line_session.send(id=1, **request)
    error = line_session.answer(1)["error"]
    assert error["code"] == "connect"
    assert error["sqlstate"] == "28000"
    assert error["vendor_code"] == 7
    assert "no more to say, ***" in error["message"]
    line_session.send(id=2, op="quit")
    line_session.answer(2)
    assert line_session.process.stderr is not None
    said = line_session.process.stderr.read()
    assert b"from" in said
    assert b"logging in with password ***" in said
    assert b"s3ntinel-pw" not in said + b"".join(line_session.lines)


def test_causes_are_followed(line_session: LineSession, odd_drivers: OddDrivers) -> None:
    line_session.send(id=1, **odd_drivers.request("odd", "fail").to_json())
    error = line_session.answer(1)["error"]
    assert error["message"] == "connecting to jdbc:odd:fail failed: outer"
    assert error["cause"] == ["the next one", "the cause of it all"]


def test_a_driver_that_misses_classes_is_a_driver_error(line_session: LineSession, odd_drivers: OddDrivers) -> None:
    line_session.send(id=1, **odd_drivers.request("odd", "error").to_json())
    error = line_session.answer(1)["error"]
    assert error["code"] == "driver"
    assert "some/other/Library" in error["message"]
