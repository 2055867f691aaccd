"""Writes definitions as YAML that reads well and applies as no change.

A folder gets one file a kind, and one a module under `modules/`; SQL of several lines stands in block scalars; a field
with its default value is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from pipekit_engine.common.files import write_text
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import DEFINITION_KINDS, Column, DefinitionKind, Definitions, Driver, Group, Module, Record


def yaml_form(record: Record) -> dict[str, Any]:
    """The record as its YAML would say it, without its name and without defaults."""
    form = record.model_dump(by_alias=True, exclude_defaults=True, exclude={"name"}, mode="json")
    if isinstance(record, Module):
        for key in ("watermarks", "checks"):
            if key in form:
                form[key] = {item.pop("name"): item for item in form[key]}
        if record.columns:
            form["columns"] = [_column(column) for column in record.columns]
    if isinstance(record, Group):
        layers = form.pop("layers")
        members = [layer[0] if len(layer) == 1 else layer for layer in layers]
        form = {"members": members, **form}
    return form


def _column(column: Column) -> Any:
    form = column.model_dump(exclude_none=True)
    if column.dest_name == column.source_name:
        del form["dest_name"]
    return column.source_name if len(form) == 1 else form


def to_yaml(definitions: Definitions, kinds: Iterable[DefinitionKind] = DEFINITION_KINDS) -> str:
    """One YAML text with these kinds; a kind without records is left out."""
    document = {}
    for kind in kinds:
        records = definitions.of_kind(kind)
        if records:
            document[kind] = {name: _layout(yaml_form(record)) for name, record in records.items()}
    return _dump(document) if document else ""


def form_text(kind: DefinitionKind, name: str, form: dict[str, Any]) -> str:
    """One record from its form as `yaml_form` gives it; the form need not be a valid record's."""
    return _dump({kind: {name: _layout(form)}})


def written_form(record: Record) -> dict[str, Any]:
    """As `yaml_form`, with lists and mappings marked that stand in one line."""
    return _layout(yaml_form(record))


def dump_pair(key: str, value: Any) -> str:
    """`key: value` as lines of YAML; without the break after the last one."""
    return _dump({key: value}).removesuffix("\n")


def dump_in_line(value: Any) -> str:
    """A value in one line of YAML."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=True)
    return str(text).removesuffix("\n").removesuffix("\n...")


def export_files(definitions: Definitions) -> dict[str, str]:
    """Relative path -> text, for a folder."""
    files = {}
    for kind in DEFINITION_KINDS:
        if kind == "modules":
            for name, module in definitions.modules.items():
                one = Definitions.model_construct(None, modules={name: module})
                files[f"modules/{name}.yaml"] = to_yaml(one, ["modules"])
        elif text := to_yaml(definitions, [kind]):
            files[f"{kind}.yaml"] = text
    return files


def without_builtin_drivers(definitions: Definitions, builtin: Iterable[Driver]) -> Definitions:
    """Definitions whose drivers are only those that differ from what `pipekit init` registers by itself."""
    known = {driver.name: driver for driver in builtin}
    drivers = {name: driver for name, driver in definitions.drivers.items() if known.get(name) != driver}
    return definitions.model_copy(update={"drivers": drivers})


def write_export(definitions: Definitions, path: Path, *, force: bool = False) -> list[Path]:
    """Write into a folder, or into one file when the path ends in .yaml or .yml; returns the files.

    Raises ConfigurationError when YAML files are there already, unless `force`: then files of the same names are
    replaced.
    """
    if path.suffix in (".yaml", ".yml"):
        if path.exists() and not force:
            raise ConfigurationError(f"{path} exists; --force replaces it.")
        files = {path: to_yaml(definitions) or "{}\n"}
    else:
        if path.exists() and not path.is_dir():
            raise ConfigurationError(f"{path} is not a folder.")
        there = [*path.rglob("*.yaml"), *path.rglob("*.yml")] if path.exists() else []
        if there and not force:
            raise ConfigurationError(
                f"{path} holds YAML files already, such as {there[0].name}; --force replaces them."
            )
        files = {path / name: text for name, text in export_files(definitions).items()}
        strangers = sorted(set(there) - set(files))
        if strangers:
            names = ", ".join(str(file.relative_to(path)) for file in strangers[:5])
            raise ConfigurationError(
                f"{path} holds files that this export would not replace: {names}. Move them first."
            )
    try:
        for file, text in files.items():
            write_text(file, text)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or path}: cannot be written: {error.strerror}.") from None
    return list(files)


class _Line(list[Any]):
    """A list that is written in one line: [a, b]."""


class _LineMapping(dict[str, Any]):
    """A mapping that is written in one line: {a: b}."""


def _layout(form: dict[str, Any]) -> dict[str, Any]:
    """Choose which lists and mappings stand in one line."""
    result: dict[str, Any] = {}
    for key, value in form.items():
        if key in ("merge_key", "split_by", "members", "owners"):
            result[key] = _Line(_Line(item) if isinstance(item, list) else item for item in value)
        elif key == "columns":
            result[key] = [_LineMapping(item) if isinstance(item, dict) else item for item in value]
        elif key in ("options", "tags", "tls", "tunnel", "partition"):
            result[key] = _LineMapping(value)
        else:
            result[key] = value
    return result


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        # Lists are indented under their key.
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


#: Breaks that YAML 1.1 readers fold into a newline unless they are escaped.
_ODD_BREAKS = frozenset("\r\x85\u2028\u2029")


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = '"' if _ODD_BREAKS.intersection(text) else "|" if "\n" in text.strip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(_Line, lambda d, data: d.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True))
_Dumper.add_representer(
    _LineMapping, lambda d, data: d.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)
)


def _dump(document: Any) -> str:
    text = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=False
    )
    return str(text)
