"""What an import says: YAML to apply, drafts to finish, and a report of what could not be inferred."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Definitions
from pipekit_engine.security.redact import Redactor

if TYPE_CHECKING:
    from pipekit_import.events import Note
    from pipekit_import.infer import Proposal
    from pipekit_import.proposals import Import

REPORT = "import-report.md"


def redactor(result: Import) -> Redactor:
    """Removes the passwords that were found in the scripts from whatever is written."""
    return Redactor([secret.value for secret in result.secrets])


def files_of(result: Import) -> dict[str, str]:
    """Relative path -> text of all that an import writes.

    `connections.yaml`, `modules/*.yaml` and `groups.yaml` can be applied; `incomplete/*.yaml.draft` are for a person to finish
    (not applied, by their suffix).
    """
    definitions = result.definitions
    files: dict[str, str] = {}
    if definitions.connections:
        files["connections.yaml"] = to_yaml(definitions, ["connections"])
    for proposal in result.complete:
        assert proposal.module is not None
        one = Definitions.model_construct(None, modules={proposal.name: proposal.module})
        files[f"modules/{proposal.name}.yaml"] = _head(proposal) + to_yaml(one, ["modules"])
    if definitions.groups:
        files["groups.yaml"] = to_yaml(definitions, ["groups", "schedules"])
    for proposal in result.incomplete:
        files[f"incomplete/{proposal.name}.yaml.draft"] = _head(proposal) + _draft(proposal)
    files[REPORT] = report(result)
    clean = redactor(result).clean
    return {name: clean(text) for name, text in files.items()}


def _head(proposal: Proposal) -> str:
    lines = [f"# Imported from {proposal.script}."]
    lines += [f"# {'To decide: ' if note.blocking else ''}{note.spot}: {note.text}" for note in proposal.notes]
    return "".join(f"{line}\n" for line in lines)


def _draft(proposal: Proposal) -> str:
    import yaml

    fields = {key: value for key, value in proposal.fields.items() if value is not None}
    for key in ("source", "dest", "query", "dest_table", "strategy"):
        fields.setdefault(key, "?")
    if proposal.module is not None:
        one = Definitions.model_construct(None, modules={proposal.name: proposal.module})
        return to_yaml(one, ["modules"])
    return str(yaml.safe_dump({"modules": {proposal.name: fields}}, sort_keys=False, allow_unicode=True, width=10**6))


def report(result: Import) -> str:
    """The report, as Markdown."""
    complete, incomplete = result.complete, result.incomplete
    lines = [
        "# Import report",
        "",
        f"{len(complete)} module{_s(complete)} can be applied as they are, {len(incomplete)} need{_third(incomplete)} a person.",
        "",
    ]
    if result.secrets:
        lines += [
            "## Passwords in clear text",
            "",
            "Set each with `pipekit secrets set`, then change it: it was readable.",
            "",
        ]
        lines += [f"- {secret.spot}: {secret.name}" for secret in result.secrets]
        lines.append("")
    references = sorted({item.password for item in result.definitions.connections.values() if item.password})
    if references:
        lines += ["## Secrets to set", ""]
        lines += [f"- `pipekit secrets set {reference.lstrip('$')}`" for reference in references]
        lines.append("")
    for title, proposals in (("To be finished", incomplete), ("Complete", complete)):
        if proposals:
            lines += [f"## {title}", ""]
        for proposal in proposals:
            lines += [f"### {proposal.name} ({proposal.script})", "", _summary(proposal)]
            lines += [_bullet(note) for note in proposal.notes]
            lines.append("")
    if result.notes:
        lines += ["## Groups and schedules", "", *(_bullet(note) for note in result.notes), ""]
    return "\n".join(lines).rstrip() + "\n"


def _summary(proposal: Proposal) -> str:
    fields = proposal.fields
    if not fields:
        return "Nothing was understood of it."
    key = ", ".join(fields.get("merge_key") or [])
    marks = ", ".join(fields.get("watermarks") or {})
    parts = [f"{fields.get('source') or '?'} to {fields.get('dest') or '?'}: {fields.get('dest_table') or '?'}"]
    parts.append(f"strategy {fields.get('strategy') or '?'}" + (f" by {key}" if key else ""))
    parts += [f"watermark {marks}"] if marks else []
    return ", ".join(parts) + "."


def _bullet(note: Note) -> str:
    return f"- {note.spot}: {'**to decide:** ' if note.blocking else ''}{note.text}"


def _s(items: list[Any]) -> str:
    return "" if len(items) == 1 else "s"


def _third(items: list[Any]) -> str:
    return "s" if len(items) == 1 else ""


def as_json(result: Import) -> dict[str, Any]:
    """The import as JSON, passwords left out."""
    clean = redactor(result).clean

    def note_json(note: Note) -> dict[str, Any]:
        return {"file": note.spot.file, "line": note.spot.line, "text": clean(note.text), "blocking": note.blocking}

    return {
        "modules": [
            {
                "name": proposal.name,
                "script": proposal.script,
                "complete": proposal.complete,
                "strategy": proposal.fields.get("strategy"),
                "dest_table": proposal.fields.get("dest_table"),
                "notes": [note_json(note) for note in proposal.notes],
            }
            for proposal in result.proposals
        ],
        "groups": {name: list(group.members) for name, group in result.groups.items()},
        "schedules": {name: item.model_dump(exclude={"name"}) for name, item in result.schedules.items()},
        "secrets_in_clear": [{"file": s.spot.file, "line": s.spot.line, "name": s.name} for s in result.secrets],
        "notes": [note_json(note) for note in result.notes],
        "files": {name: text for name, text in files_of(result).items() if name != REPORT},
    }


def write_files(result: Import, folder: Path) -> list[Path]:
    """Write everything into a folder. Raises ConfigurationError when one of the files is there already."""
    files = {folder / name: text for name, text in files_of(result).items()}
    there = [path for path in files if path.exists()]
    if there:
        raise ConfigurationError(f"{there[0]} exists already: choose an empty folder for --output.")
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{error.filename or folder}: cannot be written: {error.strerror}.") from None
    return list(files)
