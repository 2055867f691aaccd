"""Records refuse bad values by the field's name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipekit_engine.models import Connection, Module, Schedule


@pytest.mark.parametrize(
    "cron", ["0 2 * * *", "*/5 8-18 * * MON-FRI", "0 0 L * *", "0 0 * * 1#1", "@daily", "15,45 * 1 jan,jul *"]
)
def test_cron_text_that_fires(cron: str) -> None:
    assert Schedule(name="s", group="g", cron=cron).cron == cron


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "0 2 * * * *",
        "@reboot",
        "@every 5m",
        "61 * * * *",
        "0 0 31 4 *",
        "R 0 * * *",
        "0 0 1W * *",
        "H 2 * * *",
        "x",
    ],
)
def test_cron_text_that_does_not(cron: str) -> None:
    with pytest.raises(ValidationError, match="cron"):
        Schedule(name="s", group="g", cron=cron)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "EST5EDT4", "../etc/passwd", ""])
def test_time_zones_are_iana_names(zone: str) -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Schedule(name="s", group="g", cron="@daily", timezone=zone)


def test_a_password_is_a_reference_and_is_not_repeated() -> None:
    with pytest.raises(ValidationError, match="must be a \\$VAR reference") as caught:
        Connection(name="c", driver="sqlite", jdbc_url="jdbc:sqlite:x", password="hidden-word")
    messages = "; ".join(item["msg"] for item in caught.value.errors())
    assert "hidden-word" not in messages


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strategy": "upsert"}, "upsert needs a merge_key"),
        ({"dedupe": "error"}, "dedupe needs a merge_key"),
        ({"dedupe": "newest", "merge_key": "a"}, "must be none, error or 'latest by COLUMN'"),
        ({"strategy": "append", "max_shrink_percent": 5}, "max_shrink_percent is for strategy full"),
        ({"merge_key": "a, A"}, "names a column twice"),
        ({"parallel": 2, "resume_every": 5, "merge_key": "a"}, "does not go with split_by and parallel"),
        ({"querry": "x"}, "querry"),
    ],
)
def test_fields_of_a_module_fit_together(fields: dict[str, object], message: str) -> None:
    values = {"name": "m", "source": "s", "dest": "d", "query": "q", "dest_table": "t", "strategy": "full"}
    with pytest.raises(ValidationError, match=message):
        Module(**{**values, **fields})
