"""Documents written from the code: the data dictionary, the command line, `.env.example`.

Belongs here: turning declarations (tables, commands, settings) into text, written into the current
folder by `python -m volsurf_app.documents`; a test fails when they are out of date.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal, get_args, get_origin

from volsurf_resources.settings import DEFAULTS_OF, Settings
from volsurf_tables.catalogue import TABLES
from volsurf_tables.table import Column, Table

_WIDTH = 98


def data_dictionary() -> str:
    """Return the data dictionary in Markdown: every column of every table."""
    lines = [
        "# Data dictionary",
        "",
        "Written from `volsurf_tables` by `python -m volsurf_app.documents`; do not edit.",
        "",
        "| table | group | rows are | key |",
        "|---|---|---|---|",
    ]
    for table in TABLES:
        link = f"[`{table.name}`](#{table.name})"
        lines.append(f"| {link} | {table.group} | {table.meaning} | {', '.join(table.key)} |")
    for table in TABLES:
        lines += _section(table)
    return "\n".join(lines) + "\n"


def _section(table: Table) -> Iterator[str]:
    yield from ("", f"## {table.name}", "", f"{table.meaning} Schema version {table.version}.", "")
    yield from ("| column | type | unit | meaning |", "|---|---|---|---|")
    for column in table.columns:
        name = f"**{column.name}**" if column.name in table.key else column.name
        meaning = f"{column.meaning}{_limits(column)}"
        yield f"| {name} | {column.dtype} | {column.unit} | {meaning} |"


def _limits(column: Column) -> str:
    if column.one_of:
        return f" One of {', '.join(column.one_of)}."
    if column.low is not None and column.high is not None:
        return f" From {column.low:g} to {column.high:g}."
    if column.low is not None:
        return f" At least {column.low:g}."
    return "" if column.high is None else f" At most {column.high:g}."


def command_line() -> str:
    """Return the reference of the command line in Markdown: every command with its options."""
    import typer

    from volsurf_app.cli import app

    lines = [
        "# Command line",
        "",
        "Written from `volsurf_app.cli` by `python -m volsurf_app.documents`; do not edit.",
        "",
        "Exit code 0: done; 1: something failed, the output says what and why; 2: bad arguments.",
    ]
    return "\n".join([*lines, *_commands(typer.main.get_command(app), "volsurf")]) + "\n"


def _commands(command: Any, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner:
        for word, each in inner.items():
            yield from _commands(each, f"{name} {word}")
        return
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = " ".join(map(_word, arguments))
    yield from ("", f"## {name}", "", f"`{name} {words}`".replace(" `", "`"), "")
    yield " ".join((command.help or "").split())
    if command.params:
        yield from ("", "| argument | meaning | default |", "|---|---|---|")
    for each in command.params:
        written = [_word(each)] if each in arguments else each.opts
        flags = ", ".join(f"`{word}`" for word in written)
        meaning = " ".join((getattr(each, "help", "") or "").split())
        meaning = re.sub(r"([|\[])", r"\\\1", meaning)
        default = "" if each.default is None or each.required else f"`{_written(each.default)}`"
        yield f"| {flags} | {meaning} | {default} |"


def _word(argument: Any) -> str:
    word = (argument.metavar or argument.name).strip("[]{}.").upper()
    word += "..." if argument.nargs < 0 else ""
    return word if argument.required else f"[{word}]"


def env_example() -> str:
    """Return a `.env` that lists every setting with its meaning and default."""
    lines = [
        "# Every setting of Volsurf. Copy to .env and change what you need: the environment",
        "# overrides .env, which overrides the default. An empty value means the default; a value",
        "# holds for both markets, New York and coins.",
    ]
    for name, field in Settings.model_fields.items():
        words = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        meaning = f"{field.description} One of {', '.join(words)}." if words else field.description
        value = _written(field.default)
        if name in DEFAULTS_OF["crypto"]:  # a value would be that of both markets
            of_coins = _written(DEFAULTS_OF["crypto"][name])
            meaning, value = f"{meaning} Empty for {value}, of coins {of_coins}.", ""
        lines += ["", *(f"# {line}" for line in wrap(meaning or "", _WIDTH))]
        lines.append(f"{name.upper()}={value}")
    return "\n".join(lines) + "\n"


def _written(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default)


def main() -> None:
    """Write the documents into the current folder."""
    Path("docs").mkdir(exist_ok=True)
    Path("docs/command_line.md").write_text(command_line())
    Path("docs/data_dictionary.md").write_text(data_dictionary())
    Path(".env.example").write_text(env_example())


if __name__ == "__main__":
    main()
