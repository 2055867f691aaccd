"""Secrets from folders, commands and the keyring: order, rotation, errors without values, redaction."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipekit_engine.config import Config, SecretSource
from pipekit_engine.errors import SecretError
from pipekit_engine.security import providers
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import Secrets


def secrets(folder: Path, *sources: dict[str, object]) -> Secrets:
    return Secrets.of(Config(secrets=folder / "secrets.env", secrets_from=[SecretSource(**item) for item in sources]))


def program(folder: Path, body: str) -> list[str]:
    (folder / "ask.py").write_text(f"import sys\n{body}")
    return [sys.executable, str(folder / "ask.py"), "{key}"]


def test_the_file_comes_first_then_the_others_in_order(tmp_path: Path) -> None:
    Secrets.load(tmp_path / "secrets.env").set("A", "of the file")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "A").write_text("of the folder")
    (tmp_path / "run" / "db-password").write_text("of a file\n")
    known = secrets(
        tmp_path, {"folder": tmp_path / "run"}, {"command": program(tmp_path, "print('of ' + sys.argv[1])")}
    )
    assert [known.resolve(f"${key}") for key in ("A", "DB_PASSWORD", "C")] == ["of the file", "of a file", "of C"]
    assert known.keys() == ["A", "DB_PASSWORD"]
    assert known.has("C")


def test_a_rotated_secret_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "K").write_text("old-value\n")
    known = secrets(tmp_path, {"folder": tmp_path})
    assert known.resolve("$K") == "old-value"
    (tmp_path / "K").write_text("new-value\n")
    assert known.resolve("$K") == "new-value"
    Secrets.load(tmp_path / "secrets.env").set("F", "first")
    assert known.resolve("$F") == "first"
    Secrets.load(tmp_path / "secrets.env").set("F", "second one")
    assert known.resolve("$F") == "second one"


def test_values_of_no_file_yet_are_laid_over_the_others(tmp_path: Path) -> None:
    """The wizard's new passwords; those of a folder were unknown to it."""
    (tmp_path / "K").write_text("of the folder")
    known = secrets(tmp_path, {"folder": tmp_path}).with_values({"N": "new"})
    assert [known.resolve(f"${key}") for key in ("K", "N")] == ["of the folder", "new"]
    assert not (tmp_path / "secrets.env").exists()


def test_what_was_read_is_redacted_everywhere(tmp_path: Path) -> None:
    there = Redactor()
    known = secrets(tmp_path, {"command": program(tmp_path, "print('s3ntinel-of-a-command')")})
    value = known.resolve("$K")
    assert there.clean(f"login {value} failed") == "login *** failed"
    assert "s3ntinel" not in repr(known)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('s3ntinel'); print('s3ntinel', file=sys.stderr); sys.exit(3)", "ended with status 3"),
        ("pass", "gave nothing"),
        ("sys.stdout.buffer.write(b'\\xff')", "no UTF-8"),
        ("import time; time.sleep(60)", "no answer within"),
    ],
)
def test_a_command_that_fails_is_told_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    monkeypatch.setattr(providers, "COMMAND_S", 2)
    with pytest.raises(SecretError, match=said) as error:
        secrets(tmp_path, {"command": program(tmp_path, body)}).resolve("$K")
    assert "s3ntinel" not in str(error.value)


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"/no/such/program cannot be run: No such file"):
        secrets(tmp_path, {"command": ["/no/such/program"]}).resolve("$K")


def test_nobody_has_it(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"\$K is not set: neither .*secrets\.env nor the folder .* has it"):
        secrets(tmp_path, {"folder": tmp_path}).resolve("$K")


def test_a_name_is_no_path(tmp_path: Path) -> None:
    """A reference is letters, digits and _: it leads to no other folder."""
    with pytest.raises(SecretError, match="must be given as"):
        secrets(tmp_path, {"folder": tmp_path / "run"}).resolve("$../K")


def test_systemds_credentials(tmp_path: Path) -> None:
    (tmp_path / "K").write_text("cred")
    source = [SecretSource(folder=Path("$CREDENTIALS_DIRECTORY"))]
    [found] = providers.providers(source, Path("/"), {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert found.get("K") == "cred"
    assert providers.providers(source, Path("/"), {}) == []


def test_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = secrets(tmp_path, {"keyring": "pipekit"})
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretError, match=r"pipekit\[keyring\]"):
        known.resolve("$K")
    ring = types.ModuleType("keyring")
    ring.get_password = lambda service, key: f"{service}/{key}" if key == "K" else None  # type: ignore[attr-defined]
    ring.errors = types.SimpleNamespace(KeyringError=RuntimeError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert known.resolve("$K") == "pipekit/K"
    assert not known.has("L")


def test_a_source_is_one_of_three() -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        SecretSource(folder=Path("/run/secrets"), keyring="x")


@pytest.mark.parametrize(
    "recipe",
    [
        "vault kv get -mount=secret -field={key} pipekit",
        "aws secretsmanager get-secret-value --secret-id pipekit/{key} --query SecretString --output text",
        "gcloud secrets versions access latest --secret={key}",
        "az keyvault secret show --vault-name NAME --name {key} --query value --output tsv",
        "pass show pipekit/{key}",
    ],
)
def test_the_recipes_of_the_docs_run(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each against a stand-in of its program that gives the secret for these arguments only; the docs show them so."""
    name, arguments = recipe.split(" ", 1)
    stand_in = tmp_path / "bin" / name
    stand_in.parent.mkdir()
    wanted = arguments.format(key="DW_PASSWORD")
    stand_in.write_text(f'#!/bin/sh\n[ "$*" = "{wanted}" ] && echo "of $0" || exit 1\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:/usr/bin:/bin")
    known = secrets(tmp_path, {"command": recipe.split()})
    assert known.resolve("$DW_PASSWORD") == f"of {stand_in}"
    assert known.state("OTHER") is None, "nobody was asked"
    page = (Path(__file__).parents[2] / "docs" / "howto" / "running.md").read_text(encoding="utf-8")
    assert recipe in page.replace(", ", " ").replace('"', "")
