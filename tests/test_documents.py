"""The documents say what the code says: settings, tables, commands, links."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
from dotenv import dotenv_values

from volsurf_app.cli import app
from volsurf_app.documents import command_line, data_dictionary, env_example
from volsurf_resources.settings import Settings
from volsurf_tables.catalogue import TABLES

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()


def test_env_example_is_up_to_date():
    assert (ROOT / ".env.example").read_text() == env_example()


def test_env_example_gives_the_defaults(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where no .env of the tester's own is read
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    assert set(dotenv_values(ROOT / ".env.example")) == {n.upper() for n in Settings.model_fields}
    copied, plain = Settings(_env_file=ROOT / ".env.example"), Settings(_env_file=None)
    assert copied == plain
    assert copied.for_market("crypto") == plain.for_market("crypto")


def test_every_setting_has_a_meaning():
    assert all(field.description for field in Settings.model_fields.values())


def test_data_dictionary_is_up_to_date():
    assert (ROOT / "docs/data_dictionary.md").read_text() == data_dictionary()


def test_data_dictionary_names_every_column():
    said = data_dictionary()
    for table in TABLES:
        assert f"## {table.name}" in said
        assert all(re.search(rf"\| \**{c.name}\** \|", said) for c in table.columns)


def commands(
    group: click.Command, path: tuple[str, ...] = ()
) -> dict[tuple[str, ...], click.Command]:
    found = {path: group}
    for name, command in getattr(group, "commands", {}).items():
        found |= commands(command, (*path, name))
    return found


def written_commands() -> list[list[str]]:
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words for words in lines if words and Path(words[0]).name == "volsurf"]


@pytest.mark.parametrize("words", written_commands(), ids=" ".join)
def test_every_command_of_the_readme_exists(words):
    known = commands(typer.main.get_command(app))
    path = tuple(words[1:])
    while path and path not in known:
        path = path[:-1]
    command = known[path]
    assert path, words
    assert not isinstance(command, click.Group), words
    options = {option for parameter in command.params for option in parameter.opts}
    given = [word for word in words if word.startswith("--")]
    assert set(given) <= options


def test_the_command_reference_is_up_to_date():
    assert (ROOT / "docs/command_line.md").read_text() == command_line()


def test_every_command_stands_in_the_reference():
    said = command_line()
    for path, command in commands(typer.main.get_command(app)).items():
        if path and not hasattr(command, "commands"):
            assert f"## volsurf {' '.join(path)}\n" in said, path
            assert command.help, path


def test_every_decision_is_listed():
    listed = (ROOT / "docs/decisions/index.md").read_text()
    notes = sorted((ROOT / "docs/decisions").glob("0*.md"))[1:]
    for note in notes:
        title = note.read_text().splitlines()[0].removeprefix("# ")
        assert f"* [{title}]({note.name})" in listed


@pytest.mark.slow
def test_the_site_builds_without_a_broken_link(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "command_line/index.html").exists()


def test_every_make_target_of_the_readme_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)\b", README)) - {"it"} <= targets | {"test"}
    assert {"demo", "ui", "test"} <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_constraints_are_pins_and_nothing_else():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", pin) for pin in pins)
    assert not any(pin.lower().startswith("volsurf") for pin in pins)
