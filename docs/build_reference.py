"""Writes docs/reference/ from the code: commands, keys, tables, statuses, errors, events, the REST interface.

    python docs/build_reference.py           # writes the pages
    python docs/build_reference.py --check   # says which pages are not current; exit status 1 if any

Texts that the code does not hold stand in docs/reference/notes.yaml. Every command, option, key, table and status must have one
or the other: what has none is listed as an error, so that nothing new stays undocumented.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

FOLDER = Path(__file__).parent / "reference"
#: Its table of certificates stands between these lines.
VERIFIED = Path(__file__).parent / "verified.md"
BEGIN, END = "<!-- certificates: made by `python docs/build_reference.py` from docs/certificates -->", "<!-- end -->"
HEAD = "<!-- Made by `python docs/build_reference.py` from the code and notes.yaml; not to be edited by hand. -->\n"


class Notes:
    """The texts of notes.yaml, and which of them were used."""

    def __init__(self) -> None:
        self._texts: dict[str, dict[str, str]] = yaml.safe_load((FOLDER / "notes.yaml").read_text(encoding="utf-8"))
        self._used: set[tuple[str, str]] = set()
        self.problems: list[str] = []

    def get(self, section: str, key: str, own: str | None = None) -> str:
        """The note of a key, else the code's `own` text; a problem when there is neither."""
        text = self._texts[section].get(key)
        if text is not None:
            self._used.add((section, key))
        elif not own:
            self.problems.append(f"{section}: {key} has no description; add one in the code or in notes.yaml")
        return " ".join((text or own or "").split())

    def text(self, key: str) -> str:
        """A whole passage of a page, as it stands in notes.yaml."""
        self._used.add(("text", key))
        return self._texts["text"][key]

    def finish(self) -> list[str]:
        """All problems: what lacks a text, and texts for what is not there."""
        unused = [
            f"notes.yaml: {section}.{key} describes nothing that there is"
            for section, texts in self._texts.items()
            for key in texts
            if (section, key) not in self._used
        ]
        return [*self.problems, *unused]


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# The command line


def walk(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All commands with their full names, such as `runs list`."""
    children = getattr(command, "commands", None)
    if (children is not None and name and getattr(command, "invoke_without_command", False)) or children is None:
        yield name, command
    for child, item in (children or {}).items():
        if not item.hidden:
            yield from walk(item, f"{name} {child}".strip())


def commands() -> tuple[Any, dict[str, Any]]:
    """The root command and all others by their full names."""
    from typer.main import get_command

    from pipekit_engine.cli.main import app

    root = get_command(app)
    return root, dict(walk(root))


def option_names(parameter: Any) -> list[str]:
    """`--limit`, `-n`; nothing for an argument."""
    return [name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-")]


def cli_page(notes: Notes) -> str:
    """docs/reference/cli.md"""
    root, found = commands()
    page = HEAD + notes.text("cli")
    page += "\n## Exit statuses\n\n" + _exit_table()
    page += "## Options of all commands\n\nThey stand before the command: `pipekit --config FILE run orders`.\n\n"
    page += table(("option", "meaning"), [_parameter_row(item)[:2] for item in root.params if option_names(item)])
    panels: dict[str, list[str]] = {}
    for name in found:
        first = root.commands[name.split()[0]]
        panels.setdefault(first.rich_help_panel or "More", []).append(name)
    for panel, names in panels.items():
        page += f"\n## {panel}\n"
        for name in names:
            page += "\n" + _command(name, found[name], notes)
    return page


def _exit_table() -> str:
    from pipekit_engine import errors

    def tree(kind: type[errors.PipekitError]) -> Iterator[type[errors.PipekitError]]:
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                yield child
                yield from tree(child)

    meanings = {
        0: "success",
        1: "the run failed",
        2: "usage, configuration or definitions; nothing was changed",
        3: "somebody else is running it",
        130: "cancelled",
    }
    rows = [("0", meanings[0], "")]
    by_status: dict[int, list[str]] = {}
    for kind in tree(errors.PipekitError):
        by_status.setdefault(kind.exit_status, []).append(f"`{kind.__name__}`")
    for status, kinds in sorted(by_status.items()):
        rows.append((str(status), meanings[status], ", ".join(kinds)))
    text = table(("status", "meaning", "errors of the Python API that end so"), rows)
    text += "\nEach error says what to do next:\n\n"
    described = [(f"`{kind.__name__}`", " ".join((kind.__doc__ or "").split())) for kind in tree(errors.PipekitError)]
    return text + table(("error", "what it means"), described) + "\n"


def _command(name: str, command: Any, notes: Notes) -> str:
    arguments = [item for item in command.params if not option_names(item)]
    usage = " ".join(_argument(item) for item in arguments)
    text, _, said = (command.help or "").partition("Exit status:")
    if not text.strip():
        notes.problems.append(f"cli: {name} has no help")
    page = (
        f"### pipekit {name}\n\n```text\npipekit {name}{' [OPTIONS]' if len(arguments) < len(command.params) else ''}"
    )
    page += f"{' ' + usage if usage else ''}\n```\n\n"
    page += "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n")) + "\n\n"
    rows = [_parameter_row(item) for item in command.params]
    for item, row in zip(command.params, rows, strict=True):
        if not row[1]:
            notes.problems.append(f"cli: {name}: {item.name} has no help")
    if rows:
        page += table(("argument or option", "meaning", "default"), rows) + "\n"
    status = " ".join(said.split()).rstrip(".") or notes.get("exit", name)
    return page + f"Exit status: {status}.\n"


def _argument(item: Any) -> str:
    word = (item.metavar or item.name).upper()
    word += "..." if item.nargs == -1 else ""
    return word if item.required else f"[{word}]"


def _parameter_row(item: Any) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in option_names(item))
    if not names:
        names = f"`{_argument(item)}`"
    elif not getattr(item, "is_flag", False):
        names = names.removesuffix("`") + f" {item.metavar or item.name.upper()}`"
    meaning = " ".join((item.help or "").split())
    if item.multiple and "repeatable" not in meaning.lower() and "given again" not in meaning:
        meaning += " May be given several times."
    default = item.default
    shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
    return names, meaning, shown


# Definitions and configuration


def definitions_page(notes: Notes) -> str:
    """docs/reference/definitions.md"""
    from pipekit_engine.definitions.schema import definitions_schema
    from pipekit_engine.models import DEFINITION_KINDS, singular

    schema = definitions_schema()
    page = HEAD + notes.text("definitions")
    parts = [(kind, singular(kind), f"`{kind}`") for kind in DEFINITION_KINDS]
    inner = {"modules": ("watermark", "hook", "check", "column", "Partition"), "connections": ("Tls", "Tunnel")}
    for kind, name, title in parts:
        page += f"\n## {title}\n\n{notes.get('kinds', kind)}\n\n" + _keys(schema["$defs"][name], kind, notes)
        for part in inner.get(kind, ()):
            page += f"\n### A {part.lower()} of a {name}\n\n{notes.get('kinds', part)}\n\n"
            page += _keys(schema["$defs"][part], part, notes)
    return page


def _keys(schema: dict[str, Any], where: str, notes: Notes) -> str:
    rows = []
    for key, form in schema["properties"].items():
        needed = "needed" if key in schema["required"] else _default(form)
        text = notes.get("definitions", f"{where}.{key}", form.get("description"))
        rows.append((f"`{key}`", _type(form), needed, text))
    return table(("key", "value", "default", "meaning"), rows)


def _default(form: dict[str, Any]) -> str:
    return f"`{json.dumps(form['default'])}`".replace('"', "") if "default" in form else ""


def _type(form: dict[str, Any]) -> str:
    if "enum" in form:
        return ", ".join(f"`{item}`" for item in form["enum"])
    if "anyOf" in form:
        return " or ".join(dict.fromkeys(_type(item) for item in form["anyOf"]))
    if "$ref" in form:
        return "its keys"
    kind = form.get("type", "text")
    if isinstance(kind, list):
        return "text"
    limits = [f"from {form['minimum']:g}"] if "minimum" in form else []
    limits += [f"more than {form['exclusiveMinimum']:g}"] if "exclusiveMinimum" in form else []
    limits += [f"to {form['maximum']:g}"] if "maximum" in form else []
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "array": "list",
        "object": "mapping",
        "null": "nothing",
    }
    return " ".join([words[kind], *limits])


def config_page(notes: Notes) -> str:
    """docs/reference/config.md"""
    page = HEAD + notes.text("config") + "\n"
    return page + table(("key", "value", "default", "meaning"), list(_config_rows(notes)))


def config_keys(model: Any = None, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every key of the configuration in dotted form, with its field and the section it opens, if any."""
    from pydantic import BaseModel

    from pipekit_engine.config import Config

    for name, field in (model or Config).model_fields.items():
        if field.exclude:
            continue
        kinds = [field.annotation, *get_args(field.annotation)]
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        yield f"{prefix}{name}", field, section
        if section is not None:
            yield from config_keys(section, f"{prefix}{name}.")


def _config_rows(notes: Notes) -> Iterator[tuple[str, ...]]:
    from pipekit_engine.config import Config

    forms = {"": Config.model_json_schema()}
    definitions = forms[""].get("$defs", {})
    for key, field, section in config_keys():
        parent, _, name = key.rpartition(".")
        if section is not None:
            if key in ("alerts.mail",):
                yield f"`{key}`", "mapping", "", notes.get("config", key)
            forms[key] = definitions[section.__name__]
            continue
        form = forms[parent]["properties"][name]
        default = "needed" if field.is_required() else _plain_default(field)
        options = [item for item in form.get("anyOf", []) if item.get("type") != "null"]
        yield f"`{key}`", _type(options[0] if options else form), default, notes.get("config", key, field.description)


def _plain_default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    value = [str(item) for item in value] if isinstance(value, list) else value
    return f"`{json.dumps(value)}`" if isinstance(value, (list, bool, int, float)) else f"`{value}`"


# The store, runs and events


def store_page(notes: Notes) -> str:
    """docs/reference/store.md"""
    from pipekit_engine.records.statuses import RunStatus
    from pipekit_engine.store.schema import metadata

    page = HEAD + notes.text("store")
    statuses = [(f"`{name}`", notes.get("statuses", name)) for name in get_args(RunStatus)]
    page += "\n## Statuses\n\nOf module runs and group runs alike.\n\n" + table(("status", "meaning"), statuses)
    page += "\n" + notes.text("statuses") + "\n## Phases\n\n" + notes.text("phases") + "\n"
    page += table(("phase", "what happens"), [(f"`{name}`", notes.get("phases", name)) for name in phases(notes)])
    page += "\n## Tables\n"
    for item in metadata.tables.values():
        page += f"\n### {item.name}\n\n{notes.get('tables', item.name)}\n\n"
        page += table(("column", "type", ""), [_column(column) for column in item.columns])
    return page


def phases(notes: Notes) -> list[str]:
    """The phases in their order, from the docstring of the module that runs them."""
    from pipekit_engine.running import module_run as run

    match = re.search(r"^    (lock, .+)$", run.__doc__ or "", re.MULTILINE)
    if match is None:
        notes.problems.append("phases: pipekit_engine.running.module_run no longer lists them")
        return []
    return match[1].split(", ")


def _column(column: Any) -> tuple[str, str, str]:
    notes = ["key"] if column.primary_key else [] if column.nullable else ["not null"]
    notes += [f"of {key.target_fullname}" for key in column.foreign_keys]
    kind = re.sub(r"\(\d+\)", "", str(column.type)).lower()
    words = {"varchar": "text", "datetime": "time", "bigint": "integer"}
    return f"`{column.name}`", words.get(kind, kind), ", ".join(notes)


def events_page(notes: Notes) -> str:
    """docs/reference/events.md"""
    from pipekit_engine.models import GroupRunRecord, RunRecord
    from pipekit_engine.running.alerts import failure_payload
    from pipekit_engine.running.events import RunEvent

    page = HEAD + notes.text("events") + "\n"
    page += table(
        ("field", "meaning"),
        [(f"`{field.name}`", notes.get("events", field.name)) for field in dataclasses.fields(RunEvent)],
    )
    page += "\n" + notes.text("alerts") + "\n"
    when = "2026-01-02T02:00:00+00:00"
    both = {"status": "error", "triggered_by": "schedule:1", "started_at": when, "finished_at": when}
    group = GroupRunRecord.model_validate({"id": 7, "group": "nightly", "error": "orders: The merge into …", **both})
    run = RunRecord.model_validate(
        {"id": 41, "module": "orders", "phase": "merge", "rows_read": 120, "error": "The merge into …", **both}
    )
    payload = failure_payload(group, [run], "pipekit: group nightly failed (1 of 1 modules) …")
    page += f"```json\n{json.dumps(payload, indent=2, ensure_ascii=False)}\n```\n"
    return page + "\n" + notes.text("after_alerts")


def rest_page(notes: Notes) -> str:
    """docs/reference/rest.md"""
    from pipekit_engine.config import Config
    from pipekit_web.api.app import build_api, describe_api

    api = describe_api(build_api(Config(), None))
    page = HEAD + notes.text("rest") + "\n"
    rows = []
    for path, methods in api["paths"].items():
        for method, form in methods.items():
            asked = [f"`{item['name']}`" for item in form.get("parameters", []) if item["in"] == "query"]
            statuses = ", ".join(sorted(form["responses"]))
            rows.append((f"`{method.upper()} {path}`", form["summary"], ", ".join(asked), statuses))
    page += table(("request", "answer", "query parameters", "statuses"), rows)
    page += "\n## The body of a run request\n\nAll of it may be left out.\n\n"
    fields = api["components"]["schemas"]["RunOptions"]["properties"]
    page += table(("key", "value", "meaning"), [(f"`{k}`", _type(f), f["description"]) for k, f in fields.items()])
    return page + "\n" + notes.text("after_rest")


def databases_page(notes: Notes) -> str:
    """docs/reference/databases.md"""
    from pipekit_engine.databases.dialects import catalogue, get_dialect, kinds

    page = HEAD + notes.text("databases") + "\n"
    drivers = [
        (
            dialect.label,
            f"`{dialect.kind}`",
            f"`{driver.coordinate(driver.version)}`, {driver.licence}",
            ", ".join(f"`{name}`" for name in driver.files),
            f"`{driver.class_name}`",
            f"`{driver.url}`",
        )
        for dialect, driver in catalogue()
    ]
    promises = []
    for kind in kinds():
        dialect = get_dialect(kind)
        able = dialect.capabilities
        longest = f"{able.max_identifier_length} {able.identifier_unit}"
        case = {"lower": "lower case", "upper": "upper case", "keep": "kept"}[able.syntax.unquoted_case]
        flags = [able.transactional_ddl, able.transactional_truncate, able.row_values]
        promises.append((dialect.label, longest, case, *("yes" if flag else "no" for flag in flags), able.bulk_path))
    page += table(("database", "kind", "driver and licence", "jars looked for", "class", "URL"), drivers)
    page += "\n" + notes.text("promises") + "\n"
    heads = (
        "database",
        "longest name",
        "unquoted names",
        "DDL rolls back",
        "TRUNCATE rolls back",
        "row values",
        "rows get in by",
    )
    page += table(heads, promises) + "\n" + notes.text("oldest_drivers") + "\n"
    page += table(
        ("driver", "from version", "an older one is refused, or what is known of it"),
        [
            (
                f"`{driver.artifact}`",
                driver.oldest or "any",
                f"refused: {driver.older}" if driver.oldest else driver.older,
            )
            for _, driver in catalogue()
        ],
    )
    page += "\n" + notes.text("tls") + "\n" + _tls_table() + "\n" + notes.text("advices") + "\n"
    # Two kinds may share what they say.
    said: dict[str, list[str]] = {}
    for kind in kinds():
        for advice in get_dialect(kind).advices:
            said.setdefault(advice.text, []).append(get_dialect(kind).label)
    return page + "\n".join(f"- **{', '.join(labels)}**: {text}" for text, labels in said.items()) + "\n"


def _tls_table() -> str:
    """What each mode of `tls` becomes for each driver that has it."""
    from pipekit_engine.databases.dialects import get_dialect, kinds

    rows, seen = [], set()
    for dialect in map(get_dialect, kinds()):
        for class_name, ways in dialect.ways_in.items():
            if class_name in seen or not ways.tls:
                continue
            seen.add(class_name)
            newest = ways.tls[0]
            modes = "; ".join(
                f"{mode}: {', '.join(f'`{name}={value}`' for name, value in settings.items()) or 'nothing'}"
                for mode, settings in newest.modes.items()
            )
            files = " ".join(f"`{name}`" for name in (*newest.ca, *newest.key)) or "no files"
            through = "yes" if ways.socket_factory or ways.host_name else "no"
            rows.append((dialect.label, f"`{class_name}`", modes, files, through, ways.verified))
    heads = (
        "database",
        "driver",
        "mode becomes",
        "ca, cert and key go by",
        "verify-full through a tunnel",
        "verified on",
    )
    return table(heads, rows)


def lint_page(notes: Notes) -> str:
    """docs/reference/lint.md"""
    from pipekit_engine.lint import RULES

    rows = [(f"`{rule.code}`", rule.level, rule.title) for rule in RULES.values()]
    return HEAD + notes.text("lint") + "\n" + table(("code", "level", "what it finds"), rows)


PAGES = {
    "lint.md": lint_page,
    "databases.md": databases_page,
    "cli.md": cli_page,
    "definitions.md": definitions_page,
    "config.md": config_page,
    "store.md": store_page,
    "events.md": events_page,
    "rest.md": rest_page,
}


def build() -> tuple[dict[str, str], list[str]]:
    """All pages by file name, and what is wrong."""
    notes = Notes()
    pages = {name: make(notes) for name, make in PAGES.items()}
    return pages, notes.finish()


def certificates() -> str:
    """The table of docs/verified.md: what each report in docs/certificates says."""
    rows = []
    for path in sorted((FOLDER.parent / "certificates").glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        by_outcome = {"held": [], "refused": [], "broken": []}
        for item in report["findings"]:
            by_outcome[item["outcome"]].append(f"{item['subject']}: {item['name']}")
        facts = ", ".join(f"{name} {value}" for name, value in report["facts"].items() if len(value) < 40)
        rows.append(
            (
                f"{report['product']} {report['product_version']}",
                f"`{report['kind']}`",
                f"{report['driver']} {report['driver_version']}",
                facts,
                str(len(by_outcome["held"])),
                "; ".join(by_outcome["refused"]),
                "; ".join(by_outcome["broken"]) or "nothing",
                f"{report['certified_at']}, {report['pipekit']}",
            )
        )
    heads = ("database", "kind", "driver", "its settings", "held", "refused", "broken", "when, by pipekit")
    return table(heads, rows)


def verified_page() -> str:
    """docs/verified.md with its table of certificates made anew."""
    text = VERIFIED.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{certificates()}{END}{after}"


def main(arguments: list[str]) -> int:
    """Write or check the pages."""
    pages, problems = build()
    stale = [name for name, text in pages.items() if _read(FOLDER / name) != text]
    if VERIFIED.read_text(encoding="utf-8") != (verified := verified_page()):
        if arguments == ["--check"]:
            problems.append("docs/verified.md is not current; run `python docs/build_reference.py`")
        else:
            VERIFIED.write_text(verified, encoding="utf-8")
            print("wrote docs/verified.md")
    if arguments == ["--check"]:
        problems += [f"docs/reference/{name} is not current; run `python docs/build_reference.py`" for name in stale]
    else:
        for name in stale:
            (FOLDER / name).write_text(pages[name], encoding="utf-8")
            print(f"wrote docs/reference/{name}")
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
