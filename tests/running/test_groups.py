"""Group runs: order, failures, parallel members, one lock, truthful ends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.config import AlertsConfig, RetentionConfig
from pipekit_engine.errors import ConfigurationError, GroupLocked, NotFoundError, RunCancelled
from pipekit_engine.running.events import RunEvent
from pipekit_engine.store import schema
from tests.running.workbench import Workbench


def three(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,), (2,)])
    bench.module("a", dest_table="a")
    bench.module("bad", dest_table="b", query="SELECT nothing FROM t")
    bench.module("c", dest_table="c")


def test_a_failed_member_does_not_stop_the_others(bench: Workbench) -> None:
    three(bench)
    bench.module("off", dest_table="d", enabled=False)
    bench.group(("a",), ("bad", "off"), ("c",))
    result = bench.engine.run_group("g")
    assert [(run.module, run.status) for run in result.runs] == [("a", "success"), ("bad", "error"), ("c", "success")]
    assert result.skipped == ["off"]
    assert result.record.status == "error"
    assert (result.record.error or "").startswith("bad: The query of module bad failed on connection src")
    assert {run.group_run_id for run in result.runs} == {result.record.id}
    assert bench.store.leases.all() == []


def test_on_failure_stop(bench: Workbench) -> None:
    three(bench)
    bench.group(("bad",), ("a",), ("c",), on_failure="stop")
    result = bench.engine.run_group("g")
    assert [(run.module, run.status) for run in result.runs] == [("bad", "error")]
    assert result.skipped == ["a", "c"]


def test_dry_run(bench: Workbench) -> None:
    three(bench)
    bench.group(("a",), ("c",))
    result = bench.engine.run_group("g", dry_run=True)
    assert result.record.status == "dry_run"
    assert {run.status for run in result.runs} == {"dry_run"}


def test_layers_are_barriers_and_members_of_one_run_side_by_side(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    for name in "abcd":
        bench.connect(f"dst_{name}", "sqlite", f"jdbc:sqlite:{bench.folder}/{name}.db")
        bench.module(name, dest=f"dst_{name}")
    bench.group(("a", "b"), ("c", "d"), max_parallel=2)
    together = threading.Barrier(2, timeout=120)

    def meet(event: RunEvent) -> None:
        if event.kind == "phase" and event.phase == "stage":
            together.wait()

    result = bench.engine.run_group("g", on_event=meet)
    assert result.record.status == "success"
    ends = {run.module: run.finished_at for run in result.runs}
    starts = {run.module: run.started_at for run in result.runs}
    first_end = max(end for name, end in ends.items() if name in "ab" and end)
    assert min(starts["c"], starts["d"]) >= first_end


def test_a_source_that_does_not_answer_holds_nobody_up(bench: Workbench) -> None:
    """Members open their connections side by side, though they share a JVM."""
    bench.source("CREATE TABLE t (id INTEGER)")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        bench.connect("mute", "postgresql", f"jdbc:postgresql://127.0.0.1:{mute.getsockname()[1]}/x", "u", "p")
        bench.module("a", source="mute")
        bench.module("b")
        bench.group(("a", "b"), max_parallel=2)
        runs = {run.module: run for run in bench.engine.run_group("g").runs}
    assert (runs["a"].status, runs["b"].status) == ("error", "success")
    assert "could not be opened" in (runs["a"].error or "")
    assert runs["b"].finished_at < runs["a"].finished_at


def test_a_long_staging_leaves_its_destination_file_to_other_writers(bench: Workbench) -> None:
    """Staging lives in a file of its own; SQLite's locks must not reach from there into the destination."""
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,)])
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n"
    bench.module("slow", query=endless, dest_table="slow")
    bench.module("quick", dest_table="quick")
    staging, cancel = threading.Event(), threading.Event()

    def seen(event: RunEvent) -> None:
        if event.kind == "progress":
            staging.set()

    def slow() -> None:
        with bench.engine.session_pool() as pool, contextlib.suppress(RunCancelled):
            bench.engine.run("slow", sessions=pool, on_event=seen, cancel=cancel)

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        assert staging.wait(120)
        assert bench.run("quick").rows_inserted == 1, "and no busy timeout"
        assert thread.is_alive(), "it is staging still"
    finally:
        cancel.set()
        thread.join()


def test_a_connections_limit_holds(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.connect("narrow", "sqlite", f"jdbc:sqlite:{bench.folder}/narrow.db", max_parallel=1)
    for name in "ab":
        bench.module(name, dest="narrow", dest_table=name)
    bench.group(("a", "b"), max_parallel=2)
    result = bench.engine.run_group("g")
    (first, second) = sorted(result.runs, key=lambda run: run.started_at)
    assert first.finished_at is not None
    assert second.started_at >= first.finished_at


def test_it_never_overlaps_itself(bench: Workbench) -> None:
    three(bench)
    bench.group(("a",))
    with bench.engine.group_run("g", triggered_by="manual"), pytest.raises(GroupLocked, match="never overlaps itself"):
        bench.engine.run_group("g")
    assert bench.engine.run_group("g").record.status == "success"
    with pytest.raises(NotFoundError):
        bench.engine.run_group("nobody")


def test_a_locked_member_is_an_error_of_the_group(bench: Workbench) -> None:
    three(bench)
    bench.group(("a",), ("c",))
    bench.store.leases.acquire("module", "a")
    result = bench.engine.run_group("g")
    assert result.record.status == "error"
    assert "a: Module 'a' is being run by" in (result.record.error or "")
    assert [run.module for run in result.runs] == ["c"]


@pytest.mark.parametrize("on_failure", ["continue", "stop"])
def test_a_cancel_that_another_process_asks_for_ends_all_members(bench: Workbench, on_failure: str) -> None:
    three(bench)
    bench.group(("a",), ("c",), on_failure=on_failure)
    asked: list[bool] = []

    def ask(event: RunEvent) -> None:
        if event.phase == "stage" and not asked:
            number = bench.store.group_runs.list()[0].id
            asked.append(bench.engine.cancel_group(number))
            time.sleep(1.2)  # two looks of whoever watches for it

    with pytest.raises(RunCancelled):
        bench.engine.run_group("g", on_event=ask)
    record = bench.store.group_runs.list()[0]
    assert (asked, record.status) == ([True], "cancelled")
    assert [(run.module, run.status) for run in bench.store.runs.list()] == [("a", "cancelled")], "no other one begins"
    assert not bench.engine.cancel_group(record.id), "it has ended"
    with pytest.raises(NotFoundError):
        bench.engine.cancel_group(record.id + 1)


def test_cancel(bench: Workbench) -> None:
    three(bench)
    bench.group(("a",), ("c",))
    cancel = threading.Event()

    def stop(event: RunEvent) -> None:
        if event.phase == "verify":
            cancel.set()

    with pytest.raises(RunCancelled):
        bench.engine.run_group("g", on_event=stop, cancel=cancel)
    record = bench.store.group_runs.list()[0]
    assert record.status == "cancelled"
    assert [(run.module, run.status) for run in bench.store.runs.list()] == [("a", "cancelled")]
    assert bench.store.leases.all() == []


def test_overrides_reach_the_members_that_declare_them(bench: Workbench) -> None:
    three(bench)
    bench.module(
        "w",
        dest_table="w",
        query="SELECT * FROM t WHERE id >= {since}",
        watermarks={"since": ("src", "SELECT 9", None)},
    )
    bench.group(("a",), ("w",))
    result = bench.engine.run_group("g", watermarks={"since": "2"})
    assert [run.rows_read for run in result.runs] == [2, 1]
    with pytest.raises(ConfigurationError, match=r"no watermark 'sinse'\. Did you mean 'since'"):
        bench.engine.run_group("g", watermarks={"sinse": "2"})
    assert len(bench.store.group_runs.list()) == 1


class Listener:
    """A webhook's other end: keeps what is posted, and answers with an error from the second post on."""

    def __init__(self) -> None:
        posts: list[str] = []
        self.posts = posts

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posts.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(500 if len(posts) > 1 else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Hook)
        self.alerts = AlertsConfig(webhook=f"http://127.0.0.1:{self._server.server_port}/hook")
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def listener(bench: Workbench) -> Iterator[Listener]:
    listener = Listener()
    bench.engine.config = bench.engine.config.model_copy(update={"alerts": listener.alerts})
    yield listener
    listener.close()


def test_who_is_told_of_a_failure(bench: Workbench, listener: Listener) -> None:
    """A failing alert never fails a run."""
    three(bench)
    bench.group(("bad",), ("a",))
    for _ in range(2):
        assert bench.engine.run_group("g").record.status == "error"
    assert len(listener.posts) == 2
    assert "bad" in listener.posts[0]


def test_a_group_whose_process_died_is_a_failed_group(bench: Workbench, listener: Listener) -> None:
    three(bench)
    bench.group(("a",))
    started = bench.store.group_runs.start("g", triggered_by="manual")
    assert started is not None
    me = ProcessName.current()
    with bench.store._database.write() as connection:
        connection.execute(schema.grp.update().values(running_owner=str(ProcessName(me.host, me.boot, me.pid, "1"))))
    bench.engine.recover()
    assert bench.store.group_runs.get(started[0]).status == "error"
    assert len(listener.posts) == 1
    assert bench.engine.run_group("g").record.status == "success"
    assert len(listener.posts) == 1


def test_retention_forgets_old_runs_after_a_group_run(bench: Workbench) -> None:
    three(bench)
    bench.group(("a",))
    config = bench.engine.config
    bench.engine.run_group("g")
    bench.engine.config = config.model_copy(update={"retention": RetentionConfig(runs="1h")})
    bench.engine.run_group("g")
    assert len(bench.store.runs.list()) == 2
    bench.engine.config = config.model_copy(update={"retention": RetentionConfig(runs="0h")})
    with bench.engine.group_run("g", triggered_by="manual"):
        pass
    assert bench.store.runs.list() == []
