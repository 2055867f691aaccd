"""Definitions, audit, databases and cancel below `/api`, without Dagster: `pipekit web` and `pipekit serve` share it."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import Any

import pytest

from pipekit_engine.config import load_config
from pipekit_engine.models import Connection
from pipekit_engine.security.secrets import Secrets
from pipekit_web.api.app import build_api
from pipekit_web.launching import Begun
from pipekit_web.server.auth import Users, users_file
from pipekit_web.server.middleware import Login
from pipekit_web.server.tokens import Tokens
from tests.web.conftest import Browser, Site


class Program:
    """A program with a token of some role."""

    def __init__(self, site: Site, role: str, token: str = "") -> None:
        self.site = site
        api, tokens = build_api(site.config, site.launcher), Tokens(site.config.database_url)
        self.app = Login(api, Users(users_file(site.config)), local_only=False, tokens=tokens)
        with site.store() as store:
            self.token = token or store.tokens.create(f"a-{role}", role)

    def ask(self, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers."""
        fields = {
            "authorization": f"Bearer {self.token}",
            **{key.replace("_", "-"): item for key, item in headers.items()},
        }
        raw = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            fields["content-type"] = "application/json"
        found = Browser(self.app).ask(method, target, headers=fields, body=raw)
        return found.status, json.loads(found.text or "null"), found.headers


@pytest.fixture
def editor(site: Site) -> Program:
    return Program(site, "editor")


NEW: dict[str, dict[str, Any]] = {
    "drivers": {"kind": "generic", "class": "a.B"},
    "connections": {"driver": "sqlite", "jdbc_url": "jdbc:sqlite:new.db", "password": "$NEW"},
    "modules": {"source": "src", "dest": "dw", "query": "SELECT 1 AS x", "dest_table": "n", "strategy": "full"},
    "groups": {"layers": [["items"], ["copy"]]},
    "schedules": {"group": "good", "cron": "0 4 * * *"},
    "triggers": {"group": "good", "kind": "watermark", "connection": "src", "sql": "SELECT 1"},
}


@pytest.mark.parametrize("kind", NEW)
def test_each_kind_is_made_read_changed_and_deleted(site: Site, editor: Program, kind: str) -> None:
    target = f"/api/{kind}/new"
    assert editor.ask("GET", target)[0] == 404
    status, planned, _ = editor.ask("PUT", f"{target}?plan=true", NEW[kind])
    assert (status, planned["saved"], planned["action"]) == (200, False, "create")
    assert editor.ask("GET", target)[0] == 404, "a plan saves nothing"
    status, saved, headers = editor.ask("PUT", target, NEW[kind])
    assert (status, saved["saved"], saved["action"]) == (201, True, "create")
    status, read, got = editor.ask("GET", target)
    assert (status, got["etag"]) == (200, headers["etag"])
    assert {key: read[key] for key in NEW[kind]} == NEW[kind]
    assert "new" in [item["name"] for item in editor.ask("GET", f"/api/{kind}")[1]]
    assert editor.ask("PUT", target, NEW[kind])[0] == 428, "which version?"
    status, same, _ = editor.ask("PUT", target, NEW[kind], if_match=got["etag"])
    assert (status, same["action"]) == (200, "none")
    assert editor.ask("PATCH", target, {"no_such": 1}, if_match="*")[0] == 422
    assert editor.ask("DELETE", target)[0] == 428
    assert editor.ask("DELETE", f"{target}?plan=true", if_match="*")[1]["saved"] is False
    assert editor.ask("DELETE", target, if_match=got["etag"])[1]["saved"]
    assert editor.ask("GET", target)[0] == 404
    entries = editor.ask("GET", f"/api/audit?kind={kind}&name=new")[1]
    assert [(item["action"], item["by"]) for item in entries] == [
        ("delete", "token:a-editor"),
        ("create", "token:a-editor"),
    ]


def test_a_patch_changes_what_it_names_and_null_is_the_default_again(editor: Program) -> None:
    status, saved, _ = editor.ask("PATCH", "/api/modules/copy", {"retry": 3, "tags": {"a": "1"}}, if_match="*")
    assert (status, saved["action"]) == (200, "change")
    assert any("retry" in line for line in saved["lines"])
    assert editor.ask("PATCH", "/api/modules/copy", {"retry": None, "tags": {"b": "2"}}, if_match="*")[0] == 200
    found = editor.ask("GET", "/api/modules/copy")[1]
    assert (found["retry"], found["tags"], found["query"]) == (0, {"a": "1", "b": "2"}, "SELECT 1 AS x")


def test_a_change_of_an_old_version_is_refused_and_both_are_told(editor: Program) -> None:
    old = editor.ask("GET", "/api/schedules/nightly")[2]["etag"]
    assert editor.ask("PATCH", "/api/schedules/nightly", {"cron": "0 3 * * *"}, if_match=old)[0] == 200
    for method, body in (("PATCH", {"cron": "0 4 * * *"}), ("DELETE", None)):
        status, told, _ = editor.ask(method, "/api/schedules/nightly", body, if_match=old)
        assert (status, told["theirs"]["cron"]) == (412, "0 3 * * *")
        assert "changed meanwhile" in told["error"]
        assert (told["yours"] or {}).get("cron") == (body or {}).get("cron")
    assert editor.ask("PUT", "/api/groups/gone", {"layers": [["copy"]]}, if_match=old)[0] == 412


def test_of_writers_with_the_same_version_one_wins(site: Site, editor: Program) -> None:
    etag = editor.ask("GET", "/api/modules/copy")[2]["etag"]
    statuses: list[int] = []

    def write(number: int) -> None:
        statuses.append(editor.ask("PATCH", "/api/modules/copy", {"retry": number}, if_match=etag)[0])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 412, 412, 412, 412]
    with site.store() as store:
        assert len(store.audit.list("modules", "copy")) == 2


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "says"),
    [
        ("PUT", "/api/modules/x", {**NEW["modules"], "running": True}, 422, "running"),
        ("PUT", "/api/modules/x", {**NEW["modules"], "name": "y"}, 422, "renamed"),
        ("PUT", "/api/modules/x", {**NEW["modules"], "source": "nowhere"}, 422, "nowhere"),
        ("PUT", "/api/modules/x", {**NEW["modules"], "query": "SELECT {y}"}, 422, "y"),
        ("PUT", "/api/modules/..", NEW["modules"], 422, "name"),
        ("PUT", "/api/modules/..%2fx", NEW["modules"], 422, "name"),
        ("PUT", "/api/modules/é", NEW["modules"], 422, "name"),
        ("PUT", "/api/modules/a/b", NEW["modules"], 404, "no /api"),
        ("PUT", "/api/modules/x", [1], 422, "body"),
        ("PATCH", "/api/modules/nope", {"retry": 1}, 404, "nope"),
        ("PATCH", "/api/modules/copy", [1], 422, "body"),
        ("PATCH", "/api/groups/good", {"last_fired_at": None, "runs": [1]}, 422, "runs"),
        ("PATCH", "/api/connections/dw", {"password": "hush4hush"}, 422, "$VAR"),
        ("PATCH", "/api/connections/dw", {"jdbc_url": "jdbc:postgresql://h/d?password=hush4hush"}, 422, "password"),
        ("PATCH", "/api/connections/dw", {"options": {"password": "hush4hush"}}, 422, "secret"),
        ("PATCH", "/api/schedules/nightly", {"cron": "0 25 * * *"}, 422, "hour 25"),
        ("DELETE", "/api/connections/src", None, 409, "used by"),
        ("GET", "/api/audit?knd=x", None, 400, "knd"),
        ("GET", "/api/introspect/nope/schemas", None, 404, "nope"),
        ("GET", "/api/introspect/dw/schemas", None, 409, "secrets set DW_PASSWORD"),
        ("POST", "/api/group-runs/99/cancel", None, 404, "99"),
        ("GET", "/metrics", None, 404, "no /metrics"),
    ],
)
def test_what_is_refused_is_told(
    site: Site, editor: Program, method: str, target: str, body: Any, status: int, says: str
) -> None:
    headers = {"if_match": "*"} if method in ("PATCH", "DELETE") else {}
    found, told, _ = editor.ask(method, target, body, **headers)
    assert (found, list(told)) == (status, ["error"]), told
    assert says in told["error"]
    assert "hush4hush" not in told["error"]
    with site.store() as store:
        assert {entry.action for entry in store.audit.list()} == {"create"}, "nothing was changed"


def test_who_may_what(site: Site, editor: Program) -> None:
    viewer, operator = Program(site, "viewer"), Program(site, "operator")
    body = {"retry": 1}
    for program, method, target, wanted in [
        (viewer, "GET", "/api/modules", 200),
        (viewer, "PATCH", "/api/modules/copy", 403),
        (viewer, "POST", "/api/modules/copy/run", 403),
        (viewer, "GET", "/api/introspect/src/schemas", 403),
        (operator, "PATCH", "/api/modules/copy", 403),
        (operator, "DELETE", "/api/modules/copy", 403),
        (operator, "GET", "/api/introspect/src/preview?table=x", 403),
        (operator, "POST", "/api/modules/copy/run", 202),
        (editor, "PATCH", "/api/modules/copy", 200),
    ]:
        status, told, _ = program.ask(method, target, body if method == "PATCH" else None, if_match="*")
        assert status == wanted, (target, told)
    assert site.launcher.wanted[0].by == "token:a-operator"


def test_a_connection_shows_no_secret(site: Site, editor: Program) -> None:
    url = "jdbc:postgresql://h/d?user=u&password=hush4hush"
    site.save(Connection(name="old", driver="postgresql", jdbc_url=url, options={"sslpassword": "hush4hush"}))
    for target in ("/api/connections", "/api/connections/old", "/api/audit"):
        assert "hush4hush" not in json.dumps(editor.ask("GET", target)[1])
    shown = editor.ask("GET", "/api/connections/old")[1]
    fields = {key: shown[key] for key in ("driver", "jdbc_url", "options")}
    assert editor.ask("PUT", "/api/connections/old", fields, if_match="*")[0] == 422, "stars are no password"


def test_runs_of_groups_their_members_and_their_cancel(site: Site, editor: Program) -> None:
    with site.store() as store:
        started = store.group_runs.start("good", triggered_by="schedule:nightly")
        assert started is not None
        member = store.runs.start("copy", triggered_by="schedule:nightly", group_run_id=started[0])
        assert member is not None
    (listed,) = editor.ask("GET", "/api/group-runs?group=good")[1]
    assert (listed["id"], listed["triggered_by"]) == (started[0], "schedule:nightly")
    shown = editor.ask("GET", f"/api/group-runs/{started[0]}")[1]
    assert [item["module"] for item in shown["members"]] == ["copy"]
    assert editor.ask("POST", f"/api/group-runs/{started[0]}/cancel")[:2] == (202, {"asked": True})
    with site.store() as store:
        assert store.group_runs.cancel_requested(started[0])
        assert store.runs.cancel_requested(member[0])


def test_a_log_follows_as_events(site: Site, editor: Program) -> None:
    run = site.add_run("copy", "success")
    found = Browser(editor.app).ask(
        "GET", f"/api/runs/{run}/events", headers={"authorization": f"Bearer {editor.token}"}
    )
    assert found.headers["content-type"].startswith("text/event-stream")
    assert 'event: log\ndata: "reading\\n"' in found.text
    assert 'event: ended\ndata: "success"' in found.text


def test_why_a_run_did_not_begin(site: Site) -> None:
    from pipekit_web.launching import ProcessLauncher

    launcher = ProcessLauncher(site.config)
    launcher._begun["t"] = Begun(problem="Module 'copy' is being run by another.")
    program = Program(site, "viewer")
    program.app._app.state.launcher = launcher
    status, told, _ = program.ask("GET", "/api/runs/t")
    assert (status, told["status"], told["error"]) == (200, "failure", "Module 'copy' is being run by another.")
    assert program.ask("GET", "/api/runs/other")[0] == 404


def test_a_save_is_written_back_into_the_files(site: Site) -> None:
    from pipekit_engine.definitions.pull import carry_out, plan_pull

    folder = site.folder / "definitions"
    with site.store() as store:
        carry_out(store, folder, plan_pull(store, folder))
    (site.folder / "pipekit.yaml").write_text("database: pipekit.db\nsecrets: secrets.env\ndefinitions: definitions\n")
    site.config = load_config(site.folder / "pipekit.yaml")
    saved = Program(site, "editor").ask("PATCH", "/api/modules/copy", {"retry": 4}, if_match="*")[1]
    (file,) = saved["files"]
    assert (file["file"], file["written"]) == ("modules/copy.yaml", True)
    assert "retry: 4" in (folder / "modules/copy.yaml").read_text()


def test_secrets_go_in_and_never_come_out(site: Site, editor: Program) -> None:
    assert editor.ask("PUT", "/api/secrets/DW_PASSWORD", {"value": "hush4hush"})[0] == 204
    named = {item["key"]: item for item in editor.ask("GET", "/api/secrets")[1]}
    assert named["DW_PASSWORD"] == {"key": "DW_PASSWORD", "is_set": True, "connections": ["dw"]}
    assert Secrets.load(site.config.secrets_file).resolve("$DW_PASSWORD") == "hush4hush"
    assert editor.ask("PUT", "/api/secrets/not-a-name", {"value": "x"})[0] == 400
    status, told, _ = editor.ask("PUT", "/api/secrets/X", {"value": ["hush4hush"]})
    assert (status, "hush4hush" in told["error"]) == (422, False)
    assert Program(site, "operator").ask("PUT", "/api/secrets/X", {"value": "x"})[0] == 403


def test_a_record_is_made_by_post_once(editor: Program) -> None:
    body = {**NEW["modules"], "name": "new"}
    assert editor.ask("POST", "/api/modules?plan=true", body)[:2][1]["saved"] is False
    status, saved, headers = editor.ask("POST", "/api/modules", body)
    assert (status, saved["action"], headers["location"]) == (201, "create", "/api/modules/new")
    assert headers["etag"] == editor.ask("GET", headers["location"])[2]["etag"]
    status, told, _ = editor.ask("POST", "/api/modules", body)
    assert (status, "already" in told["error"]) == (409, True)
    assert editor.ask("POST", "/api/modules", NEW["modules"])[0] == 422, "without a name"


def test_a_schedule_is_switched_by_an_operator_and_it_is_written_down(site: Site) -> None:
    operator = Program(site, "operator")
    for kind, name in (("schedules", "nightly"), ("triggers", "changed")):
        for enabled in (False, True):
            status, saved, _ = operator.ask("POST", f"/api/{kind}/{name}/switch", {"enabled": enabled})
            assert (status, saved["action"]) == (200, "change")
            assert operator.ask("GET", f"/api/{kind}/{name}")[1]["enabled"] is enabled
        assert operator.ask("POST", f"/api/{kind}/{name}/switch", {"enabled": True})[1]["action"] == "none"
    assert operator.ask("GET", "/api/audit?limit=1")[1][0]["by"] == "token:a-operator"
    assert operator.ask("POST", "/api/modules/copy/switch", {"enabled": False})[0] == 404
    assert Program(site, "viewer").ask("POST", "/api/schedules/nightly/switch", {"enabled": False})[0] == 403


def test_history_tells_both_versions_and_brings_one_back(site: Site, editor: Program) -> None:
    assert editor.ask("PATCH", "/api/modules/copy", {"retry": 3}, if_match="*")[0] == 200
    (change,) = editor.ask("GET", "/api/audit?limit=1")[1]
    whole = editor.ask("GET", f"/api/audit/{change['id']}")[1]
    assert (whole["before"].get("retry"), whole["after"]["retry"]) == (None, 3)
    target = f"/api/audit/{change['id']}/restore"
    assert editor.ask("POST", target)[0] == 428
    planned = editor.ask("POST", f"{target}?plan=true", if_match="*")[1]
    assert (planned["saved"], planned["action"]) == (False, "change")
    assert editor.ask("POST", target, if_match="*")[1]["saved"] is True
    assert editor.ask("GET", "/api/modules/copy")[1]["retry"] == 0
    # One that was deleted is made again.
    assert editor.ask("DELETE", "/api/schedules/nightly", if_match="*")[0] == 200
    (change,) = editor.ask("GET", "/api/audit?limit=1")[1]
    assert editor.ask("POST", f"/api/audit/{change['id']}/restore")[1]["action"] == "create"
    created = editor.ask("GET", "/api/audit?kind=schedules&name=nightly")[1][-1]
    assert editor.ask("POST", f"/api/audit/{created['id']}/restore", if_match="*")[0] == 404, "nothing was before"
    assert editor.ask("GET", "/api/audit/99999")[0] == 404


def test_locks_are_told_and_those_of_the_living_stay(site: Site) -> None:
    operator = Program(site, "operator")
    run = site.add_run("copy", "running")
    (lock,) = operator.ask("GET", "/api/locks")[1]
    assert (lock["what"], lock["name"], lock["dead"], lock["run_id"]) == ("module", "copy", False, run)
    status, told, _ = operator.ask("POST", "/api/modules/copy/unlock")
    assert (status, "alive" in told["error"]) == (409, True)
    assert operator.ask("POST", "/api/modules/items/unlock")[:2] == (200, {"unlocked": False})
    assert operator.ask("POST", "/api/modules/nope/unlock")[0] == 404


def test_lint_overview_search_and_cron(site: Site, editor: Program) -> None:
    site.add_run("items", "error", error="no such column: nmae")
    assert {item["level"] for item in editor.ask("GET", "/api/lint")[1]} <= {"error", "warning", "info"}
    shown = editor.ask("GET", "/api/overview")[1]
    assert (shown["counts"]["failed"], shown["failed"][0]["error"]) == (1, "no such column: nmae")
    assert [item["schedule"] for item in shown["next"]] == ["nightly"]
    assert [item["name"] for item in editor.ask("GET", "/api/search?q=nightly")[1]] == ["nightly"]
    told = editor.ask("GET", "/api/cron?cron=0%202%20*%20*%20*&timezone=Europe/Paris")[1]
    assert (len(told["next"]), told["problem"]) == (5, None)
    assert "hour 25" in editor.ask("GET", "/api/cron?cron=0%2025%20*%20*%20*")[1]["problem"]


def test_users_and_tokens_are_an_admins(site: Site, editor: Program) -> None:
    admin = Program(site, "admin")
    for target in ("/api/users", "/api/tokens"):
        assert editor.ask("GET", target)[0] == 403
    assert admin.ask("PUT", "/api/users/zoe", {"role": "viewer", "password": "a long password"})[0] == 200
    assert {"name": "zoe", "role": "viewer"} in admin.ask("GET", "/api/users")[1]
    assert admin.ask("PUT", "/api/users/max", {"role": "viewer"})[0] == 422, "without a password"
    assert admin.ask("PUT", "/api/users/admin", {"role": "viewer"})[0] == 422, "the only admin"
    assert admin.ask("DELETE", "/api/users/admin")[0] == 409
    assert admin.ask("DELETE", "/api/users/zoe")[0] == 204
    assert admin.ask("DELETE", "/api/users/zoe")[0] == 404
    status, made, _ = admin.ask("POST", "/api/tokens", {"name": "ci", "role": "viewer", "days": 30})
    assert status == 201
    assert admin.ask("POST", "/api/tokens", {"name": "ci"})[0] == 409
    program = Program(site, "viewer", made["token"])
    assert program.ask("GET", "/api/modules")[0] == 200
    listed = admin.ask("GET", "/api/tokens")[1]
    assert made["token"] not in json.dumps(listed)
    assert {item["name"]: item["role"] for item in listed}["ci"] == "viewer"
    assert admin.ask("DELETE", "/api/tokens/ci")[0] == 204
    assert program.ask("GET", "/api/modules")[0] == 401


def test_drivers_jars(site: Site, editor: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipekit_engine.databases.jars.install.WAYS", ())
    told = editor.ask("GET", "/api/drivers/sqlite/jars")[1]
    assert bool(told["jars"]) != bool(told["missing"])
    status, told, _ = editor.ask("POST", "/api/drivers/oracle/install")
    assert status == 200
    assert told["ok"] is False or "uses it" in told["text"]
    assert Program(site, "operator").ask("POST", "/api/drivers/oracle/install")[0] == 403


def test_definitions_of_a_text_are_saved_whole_or_not_at_all(editor: Program) -> None:
    text = "modules:\n  new: {source: src, dest: dw, query: SELECT 1 AS x, dest_table: n, strategy: full}\n"
    text += "groups:\n  good: {members: [items, copy, new]}\n"
    status, planned, _ = editor.ask("POST", "/api/definitions?plan=true", {"text": text})
    assert (status, planned["saved"], planned["versions"]["modules"]) == (200, False, {"new": ""})
    assert editor.ask("POST", "/api/definitions", {"text": text})[0] == 409, "which version of the group?"
    assert editor.ask("GET", "/api/modules/new")[0] == 404
    saved = editor.ask("POST", "/api/definitions", {"text": text, "versions": planned["versions"]})[1]
    assert saved["saved"] is True
    assert editor.ask("GET", "/api/groups/good")[1]["layers"][-1] == ["new"]
    assert editor.ask("POST", "/api/definitions", {"text": text})[1]["saved"] is False, "nothing to change"
    assert editor.ask("POST", "/api/definitions", {"text": "modules: [", "versions": {}})[0] == 422


@pytest.mark.usefixtures("java")
def test_what_asks_databases(site: Site, editor: Program) -> None:
    with sqlite3.connect(site.folder / "src.db") as connection:
        connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, at TEXT)")
        connection.execute("INSERT INTO items VALUES (1, 'one', '2026')")
    assert editor.ask("PUT", "/api/secrets/DW_PASSWORD", {"value": "unused"})[0] == 204
    assert editor.ask("POST", "/api/connections/src/test")[1]["ok"] is True
    trial = {"fields": {"jdbc_url": f"jdbc:sqlite:{site.folder}/none/x.db"}}
    assert editor.ask("POST", "/api/connections/src/test", trial)[1]["ok"] is False
    assert Program(site, "operator").ask("POST", "/api/connections/src/test", trial)[0] == 403
    target = "/api/introspect/src"
    assert editor.ask("POST", f"{target}/query", {"sql": "SELECT max(at) FROM items"})[1]["rows"] == [["2026"]]
    described = editor.ask("POST", f"{target}/describe", {"sql": "SELECT id, at FROM items"})[1]
    assert [item["name"] for item in described] == ["id", "at"]
    for asked in ("columns", "keys"):
        status, told, _ = editor.ask("GET", f"{target}/{asked}?table=nope")
        assert (status, "could not be read" in told["error"]) == (400, True)
        for name in ("a%1D", "a.b.c.d", "%22"):
            status, told, _ = editor.ask("GET", f"{target}/{asked}?table={name}")
            assert (status, "is not a table name" in told["error"]) == (400, True), told
    told = editor.ask("POST", "/api/modules/items/try", {"retry": 1})[1]
    assert (told["problem"], told["rows"]) == ("", [["1", "one", "2026"]])
    assert "INSERT INTO" in told["sql"]
    wanted = {"source": "src", "dest": "dw", "tables": [{"table": "items", "name": "new", "dest_table": "other"}]}
    planned = editor.ask("POST", "/api/wizard?plan=true", {**wanted, "group": "g", "cron": "0 2 * * *"})[1]
    assert [(row["name"], row["problem"], bool(row["strategy"])) for row in planned["tables"]] == [("new", "", True)]
    saved = editor.ask("POST", "/api/definitions", {key: planned[key] for key in ("text", "versions")})[1]
    assert saved["saved"] is True
    assert editor.ask("GET", "/api/schedules")[1][-1]["cron"] == "0 2 * * *"
