"""The support bundle holds what helps, and no secret, wherever one stood."""

from __future__ import annotations

import json
import os
import stat
import tarfile
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from pipekit_engine.models import Connection, Module
from pipekit_engine.operations import support_bundle
from pipekit_engine.operations.support_bundle import LOG_TAIL, Scrubber, _tail_of
from pipekit_engine.store import Change, Store
from tests.cli.conftest import Project

#: One sentinel for each place where a password may stand. None of them may come out, whole or URL-encoded.
SECRETS = {
    "file": "sentinel/in@secrets file'1",
    "config": "sentinel-in-config-2",
    "mail": "sentinel-in-mail-3",
    "webhook": "https://hooks.example.org/services/T000SENTINEL4/B11/sentinelhook4",
    "url": "sentinel-in-url-5",
    "option": "sentinel-in-option-6",
    "query": "sentinel-in-query-7",
    "identified": "sentinel-in-sql-8",
    "environment": "sentinel-in-environment-9",
    "dagster": "sentinel-in-dagster-10",
    "log": "sentinel-in-log-11",
    "flag": "sentinel-in-flag-12",
    "header": "c2VudGluZWw6aW4taGVhZGVyLTEz",
    "lines": "sentinel-first-line-14\nsentinel-second-line-14",
}


def bundle(project: Project, *arguments: str, **environment: str) -> dict[str, str]:
    """Make a bundle; its files as text, by their name inside the folder."""
    target = project.folder / "bundle.tar.gz"
    target.unlink(missing_ok=True)
    done = project("support-bundle", str(target), *arguments, **environment)
    assert done.status == 0, done.err
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as archive:
        members = archive.getmembers()
        assert all(member.mode == 0o600 and member.isfile() for member in members)
        return {m.name.split("/", 1)[1]: archive.extractfile(m).read().decode() for m in members}  # type: ignore[union-attr]


def test_no_secret_leaves_wherever_it_stood(project: Project) -> None:
    s = SECRETS
    for key in ("file", "lines"):
        assert (
            project("secrets", "set", f"DW_{key.upper()}", stdin=s[key] + "\n", PIPEKIT_SECRETS="secrets.env").status
            == 0
        )
    (project.folder / "pipekit.yaml").write_text(
        "# a comment with sentinel-in-comment-15\n"
        "database: pipekit.db\nsecrets: secrets.env\n"
        f"alerts:\n  webhook: {s['webhook']}\n"
        f"  mail: {{host: localhost, username: me, password: {s['mail']}, sender: a@example.org, to: [b@example.org]}}\n"
    )
    home = project.folder / "dagster"
    (home / "run_output").mkdir(parents=True)
    (home / "dagster.yaml").write_text(
        f"storage: {{postgres: {{postgres_url: 'postgresql://etl:{s['config']}@db/x', password: {s['dagster']}}}}}\n"
    )
    (home / "run_output" / "1.log").write_text(f"connecting with {s['dagster']} and {s['config']}\n")
    (project.folder / "serve.log").write_text(
        f"jrunner --password {s['flag']}\nAuthorization: Basic {s['header']}\nplain line\n"
        f"got {s['environment']} and {quote(s['file'], safe='')}\n"
    )
    with Store.open(f"sqlite:///{project.folder}/pipekit.db") as store:
        connection = Connection(
            name="pg",
            driver="postgresql",
            jdbc_url=f"jdbc:postgresql://127.0.0.1:1/x?user=a&password={s['url']}",
            password="$DW_FILE",
            options={"trustStorePassword": s["option"]},
        )
        query = (
            f"SELECT * FROM dblink('host=h password={s['query']}', 'CREATE USER x IDENTIFIED BY \"{s['identified']}\"')"
        )
        module = Module(name="m", source="pg", dest="dw", query=query, dest_table="t", strategy="full")
        store.definitions.save(
            [Change("create", "connections", "pg", connection), Change("create", "modules", "m", module)]
        )
        begun = store.runs.start("m", triggered_by="manual")
        assert begun is not None
        store.runs.append_log(begun[0], f"driver says {s['log']!r} for pwd={s['log']}; option {s['option']}\n")
        store.runs.update(begun[0], source_sql=query)
        lines = s["lines"].split("\n")
        store.runs.finish(begun[0], "error", error=f"login with {s['file']} failed", stdout=lines[0], stderr=lines[1])

    parts = bundle(project, "--log", "serve.log", ORACLE_PASSWORD=s["environment"])
    everything = json.dumps(parts, ensure_ascii=False) + "".join(parts.values())
    for name, secret in s.items():
        pieces = secret.split("\n")
        for piece in pieces:
            for form in {piece, quote(piece, safe=""), json.dumps(piece)[1:-1], piece.replace("'", "''")}:
                # What a driver repeats of a password that nobody declared is known only where it looks like one.
                if name == "log":
                    assert f"pwd={form}" not in everything
                else:
                    assert form not in everything, name
    assert "sentinelhook4" not in everything
    assert "sentinel-in-comment-15" not in everything
    assert "$DW_FILE" in parts["definitions.yaml"]
    assert "plain line" in parts["logs/serve.log"]
    assert "host=h" in parts["definitions.yaml"]


def test_a_secret_of_another_place_is_taken_out(project: Project) -> None:
    place = project.folder / "credentials"
    place.mkdir()
    (place / "ELSEWHERE").write_text("sentinel-of-a-folder-16\n")
    (project.folder / "pipekit.yaml").write_text(
        "database: pipekit.db\nsecrets: secrets.env\nsecrets_from:\n  - folder: credentials\n"
    )
    (project.folder / "serve.log").write_text("the driver repeats sentinel-of-a-folder-16 here\n")
    with Store.open(f"sqlite:///{project.folder}/pipekit.db") as store:
        url = "jdbc:postgresql://127.0.0.1:1/x"
        made = [
            Connection(name="kept", driver="postgresql", jdbc_url=url, password="$ELSEWHERE"),
            Connection(name="lost", driver="postgresql", jdbc_url=url, password="$NOWHERE"),
        ]
        store.definitions.save([Change("create", "connections", item.name, item) for item in made])
    parts = bundle(project, "--log", "serve.log")
    assert "the driver repeats *** here" in parts["logs/serve.log"]
    assert "sentinel-of-a-folder-16" not in "".join(parts.values())
    assert "$NOWHERE" in parts["problems.txt"]


def test_it_holds_what_helps(shared: Project) -> None:
    parts = bundle(shared)
    about = json.loads(parts["about.json"])
    assert about["pipekit"]
    assert about["packages"]["sqlalchemy"]
    assert about["java"].startswith("/")
    state = json.loads(parts["state.json"])
    assert state["revision"]
    assert state["last_fired_at"] == {"nightly": None}
    assert parts["config.yaml"].startswith("database: pipekit.db")
    assert "ok       connection src: SQLite" in parts["doctor.txt"]
    runs = json.loads(parts["runs.json"])
    assert [run["module"] for run in runs] == ["broken", "items"]
    broken = parts[f"runs/{runs[0]['id']}-broken.txt"]
    assert "SELECT nope FROM items" in broken
    assert "--- error" in broken
    assert "modules:" in parts["definitions.yaml"]
    only = bundle(shared, "--runs", "1")
    assert len(json.loads(only["runs.json"])) == 1


def test_what_is_broken_does_not_stop_it(project: Project) -> None:
    (project.folder / "pipekit.db").write_bytes(b"no database" * 1000)
    parts = bundle(project, "--log", "missing.log")
    assert "state store" in parts["problems.txt"]
    assert "logs/missing.log: FileNotFoundError" in parts["problems.txt"]
    assert "problem  state store" in parts["doctor.txt"]
    again = project("support-bundle", "bundle.tar.gz")
    assert again.status == 2
    assert "--force" in again.err


def test_a_journal_that_may_not_be_read_is_said(
    project: Project, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `journalctl` that shows nothing, as to a user outside of its group, where the service is installed."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "journalctl").write_text("#!/bin/sh\n")
    (folder / "journalctl").chmod(0o755)
    monkeypatch.setattr(support_bundle, "_UNIT", folder / "journalctl")
    path = f"{folder}:{os.environ['PATH']}"
    done = project.look("support-bundle", "b.tar.gz", "--runs", "0", PATH=path)
    assert done.status == 0, done.err
    assert "journalctl --unit pipekit" in done.err
    (folder / "journalctl").write_text("#!/bin/sh\necho a line of the service\n")
    again = project.look("support-bundle", "b.tar.gz", "--runs", "0", "--force", PATH=path)
    assert "journal.txt" not in again.err
    with tarfile.open(project.folder / "b.tar.gz") as archive:
        assert any(name.endswith("/journal.txt") for name in archive.getnames())


def test_secrets_that_cannot_be_read_stop_it(project: Project) -> None:
    (project.folder / "secrets.env").write_text("DW='an open quote\n")
    done = project("support-bundle", "bundle.tar.gz")
    assert done.status == 2
    assert "secrets.env:1" in done.err
    assert not (project.folder / "bundle.tar.gz").exists()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=abc, x", "password=***, x"),
        ("Password: 'a b'", "Password: '***'"),
        ('{"api_key": "k"}', '{"api_key": "***"}'),
        ("ALTER USER x PASSWORD 'y'", "ALTER USER x PASSWORD '***'"),
        ("password: $DW_PASSWORD", "password: $DW_PASSWORD"),
        ("secrets: secrets.env", "secrets: secrets.env"),
        ("no secret here", "no secret here"),
        ("--token abcdef", "--token ***"),
        ("Bearer abcdefghijkl", "Bearer ***"),
        ("the password is wrong", "the password is wrong"),
        ("passwords: true", "passwords: true"),
        (r'"query": "x IDENTIFIED BY \"y\" z"', r'"query": "x IDENTIFIED BY \"***\" z"'),
        (r"{\"password\": \"y\"}", r"{\"password\": \"***\"}"),
        ("query: 'x PASSWORD ''y'' z'", "query: 'x PASSWORD ''***'' z'"),
    ],
)
def test_what_looks_like_a_password_goes(text: str, clean: str) -> None:
    assert Scrubber([]).clean(text) == clean


def test_a_log_that_is_cut_begins_with_a_whole_line(tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_text("half of a secret " * 20 + "\n" + "x" * (LOG_TAIL - 10) + "\n")
    assert _tail_of(file) == "x" * (LOG_TAIL - 10) + "\n"


def test_a_megabyte_without_a_blank_is_looked_through_at_once() -> None:
    """In no time that grows with the square of its length, which would be minutes."""
    began = time.monotonic()
    text = "a1" * 500_000
    assert Scrubber(["s3cret"]).clean(text) == text
    assert time.monotonic() - began < 60
