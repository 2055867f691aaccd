"""The secrets file: any value survives, the file's mode and owner stay, nothing shows a value."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipekit_engine.errors import SecretError
from pipekit_engine.security.secrets import Secrets, reference_key

SENTINEL = "s3ntinel-pa55"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.env"


def test_a_missing_file_holds_nothing(path: Path) -> None:
    secrets = Secrets.load(path)
    assert secrets.keys() == []
    with pytest.raises(SecretError, match=r"\$DW is not set: .* does not exist\. Set it with `pipekit secrets set DW`"):
        secrets.resolve("$DW")


def test_set_makes_a_private_file_and_resolves_both_forms(path: Path) -> None:
    secrets = Secrets.load(path)
    secrets.set("DW", SENTINEL)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secrets.resolve("$DW") == SENTINEL
    assert Secrets.load(path).resolve("${DW}") == SENTINEL


@settings(max_examples=150, deadline=None)
@given(values=st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), st.text(), max_size=4))
def test_any_text_survives_beside_any_other(values: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("secrets") / "secrets.env"
    for key, value in values.items():
        Secrets.load(path).set(key, value)
    loaded = Secrets.load(path)
    keys = loaded.keys()
    assert {key: loaded.resolve(f"${key}") for key in keys} == values


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "a b ",
        "#x",
        "a #b",
        "$HOME",
        "${HOME}",
        "'",
        '"',
        "\\",
        "a\\'",
        "a\nb=c\n",
        "\r\n",
        "\t",
        "ü漢😀",
        "\x00",
        "\\n",
    ],
)
def test_awkward_values_survive(path: Path, value: str) -> None:
    Secrets.load(path).set("A", value)
    Secrets.load(path).set("B", value)
    loaded = Secrets.load(path)
    assert (loaded.resolve("$A"), loaded.resolve("$B")) == (value, value)


def test_setting_keeps_comments_order_mode_and_the_other_keys(path: Path) -> None:
    path.write_text("# the warehouse\nDW=one  # why\n\nexport OPS='two'\nDW=again")
    path.chmod(0o640)
    Secrets.load(path).set("DW", "new")
    assert path.read_text() == "# the warehouse\nDW=new\n\nexport OPS='two'\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert Secrets.load(path).resolve("$OPS") == "two"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_stays(path: Path) -> None:
    path.write_text("A=1\n")
    os.chown(path, 12345, 23456)
    Secrets.load(path).set("A", "2")
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_a_symbolic_link_stays_one(path: Path) -> None:
    target = path.with_name("target.env")
    target.write_text("A=1\n")
    path.symlink_to(target)
    Secrets.load(path).set("A", "2")
    assert path.is_symlink()
    assert target.read_text() == "A=2\n"


def test_unset_removes_the_line(path: Path) -> None:
    path.write_text("# keep\nA=1\nB=2\n")
    secrets = Secrets.load(path)
    assert secrets.unset("A") is True
    assert secrets.unset("A") is False
    assert path.read_text() == "# keep\nB=2\n"
    assert secrets.keys() == ["B"]


def test_values_are_not_expanded_and_the_environment_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELSEWHERE", SENTINEL)
    path.write_text('A="${ELSEWHERE}"\n')
    secrets = Secrets.load(path)
    assert secrets.resolve("$A") == "${ELSEWHERE}"
    with pytest.raises(SecretError, match="ELSEWHERE is not set"):
        secrets.resolve("$ELSEWHERE")


def test_a_literal_is_refused_without_showing_it(path: Path) -> None:
    with pytest.raises(SecretError) as error:
        Secrets.load(path).resolve(SENTINEL)
    assert SENTINEL not in str(error.value)


def test_a_bad_line_is_named_by_number_only(path: Path) -> None:
    path.write_text(f"A=1\n\nB='{SENTINEL}\n")
    with pytest.raises(SecretError, match=r"secrets\.env:3: is not a KEY=value line") as error:
        Secrets.load(path)
    assert SENTINEL not in str(error.value)


def test_a_key_without_a_value_is_not_set(path: Path) -> None:
    path.write_text("A\nB=\n")
    secrets = Secrets.load(path)
    assert secrets.resolve("$B") == ""
    with pytest.raises(SecretError):
        secrets.resolve("$A")


def test_repr_shows_no_value(path: Path) -> None:
    secrets = Secrets.load(path)
    secrets.set("A", SENTINEL)
    assert SENTINEL not in repr(secrets)


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A B", "A=B", "Ä"])
def test_a_key_must_be_a_name(path: Path, key: str) -> None:
    with pytest.raises(SecretError, match="cannot name a secret"):
        Secrets.load(path).set(key, "x")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretError, match="cannot be"):
        Secrets.load(tmp_path / "file" / "secrets.env").set("A", "1")


def test_writers_in_many_processes_lose_nothing(path: Path) -> None:
    program = "import sys; from pipekit_engine.security.secrets import Secrets; Secrets.load(sys.argv[1]).set(sys.argv[2], 'x')"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(path), f"K{i}"]) for i in range(8)]
    assert all(writer.wait() == 0 for writer in writers)
    assert Secrets.load(path).keys() == [f"K{i}" for i in range(8)]


@pytest.mark.parametrize(("text", "key"), [("$A", "A"), ("${A_1}", "A_1"), ("A", None), ("$A$B", None), ("$1", None)])
def test_reference_key(text: str, key: str | None) -> None:
    assert reference_key(text) == key
