"""Pages of the documentation site that are made from the code, so that they cannot lag behind it.

Comes in: mkdocs's events. Goes out: commands, settings, errors, the Python names, and the repository's own pages with
their links turned towards the site. Never: a file of the checkout written.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.testing import CliRunner

import mmsprep
from mmsprep import errors
from mmsprep.cli import app
from mmsprep.sender import account
from mmsprep.settings import ENVIRONMENT_PREFIX, Settings

_ROOT = Path(__file__).parent.parent.parent
_PAGES = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
    "profiles/README.md": "profiles.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made here."""
    made = {place: _own(source, place) for source, place in _PAGES.items()}
    made["reference/commands.md"] = "\n".join(_commands())
    made["reference/settings.md"] = "\n".join(_settings())
    made["reference/errors.md"] = _errors()
    made["reference/python.md"] = _python()
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """Links of the pages that are read on the repository's own site, too."""
    return _turned(markdown, page.file.src_uri) if "project/" not in page.file.src_uri else markdown


def on_page_content(html: str, **_: object) -> str:
    """Roles of reStructuredText that docstrings hold are left out; what they name stays."""
    return re.sub(r":(?:func|class|mod|meth|attr|data|exc):(?=<code|`)", "", html)


def _own(source: str, place: str) -> str:
    text = (_ROOT / source).read_text("utf-8")
    up = "../" * place.count("/")
    text = re.sub(r"\]\((?:\.\./)?docs/", f"]({up}", text)
    return _turned(text, place)


def _turned(text: str, place: str) -> str:
    up = "../" * place.count("/")
    for source, target in _PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)*{re.escape(source)}", f"]({up}{target}", text)
    # Source files are not part of the site.
    return re.sub(r"\[(`?[^\]]+`?)\]\((?:\.\./)*(?:mmsprep|benchmarks|tests)/[^)]*\)", r"\1", text)


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "What each command says of itself (`--help`).\n"
    for words, text in _helps():
        yield f"## `{' '.join(['mmsprep', *words])}`\n\n```text\n{text}\n```\n"


def _helps() -> Iterator[tuple[tuple[str, ...], str]]:
    for words in _paths(typer.main.get_command(app), ()):
        shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"})
        assert shown.exit_code == 0, (words, shown.output)
        yield words, "\n".join(line.rstrip() for line in shown.stdout.strip("\n").splitlines())


def _paths(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, found in getattr(command, "commands", {}).items():
        yield from _paths(found, (*words, name))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _settings() -> Iterator[str]:
    yield "# Settings and environment variables\n"
    yield "Every variable that mmsprep reads. The first table holds the limits of this machine, checked at the start.\n"
    yield "| variable | means | default | type |\n|---|---|---|---|"
    about, _, attributes = (inspect.getdoc(Settings) or "").partition("Attributes:\n")
    means = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE))
    for entry in dataclasses.fields(Settings):
        default = entry.default
        # As it may be typed: Python's numbers take such lines between their digits.
        shown = (
            f"`{default:_g}`" if isinstance(default, float) else f"`{default:_}`" if type(default) is int else default
        )
        variable, meant = f"{ENVIRONMENT_PREFIX}{entry.name.upper()}", _cell(_prose(means[entry.name]))
        yield f"| `{variable}` | {meant} | {shown!s} | {entry.type} |"
    yield f"\n{_prose(about)}\n"
    yield "## Variables that stand for an option\n"
    yield "| variable | option | means |\n|---|---|---|"
    root: Any = typer.main.get_command(app)
    for path, parameter in sorted(set(_with_variables(root, "mmsprep")), key=lambda row: (row[1].envvar, row[0])):
        names = (parameter.opts or [parameter.name])[-1]
        yield f"| `{parameter.envvar}` | `{path} {names}` | {_cell(str(getattr(parameter, 'help', '') or ''))} |"
    yield "\n## The account\n"
    yield _prose(inspect.getdoc(account) or "")


def _with_variables(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield from ((path, one) for one in command.params if one.envvar)
    if hasattr(command, "commands"):
        for name, found in command.commands.items():
            yield from _with_variables(found, f"{path} {name}")


def _prose(docstring: str) -> str:
    """A docstring's reStructuredText as the Markdown that it nearly is."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring).replace("``", "`")


def _errors() -> str:
    found = [
        one
        for _, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, errors.MmsprepError)
        and one.__module__ == errors.__name__
        and isinstance(one.exit_status, int)  # that of SeveralErrors is its first one's
    ]
    rows = []
    for one in sorted(found, key=lambda one: (one.exit_status, one.__name__)):
        first, *_ = (inspect.getdoc(one) or "").split("\n\n")
        rows.append(f"| `{one.__name__}` | `{one.code}` | {one.exit_status} | {_cell(_prose(first))} |")
    tree = _prose(inspect.getdoc(errors) or "").replace("::\n", "\n")
    return "\n".join(
        [
            "# Errors and exit statuses\n",
            tree,
            "\n## Each of them\n",
            "| class | code | status | means |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _python() -> str:
    names = [name for name in mmsprep.__all__ if name not in ("__version__", "MmsprepError")]
    functions = [name for name in names if inspect.isfunction(getattr(mmsprep, name))]
    values = [name for name in names if name not in functions]
    places = {name: f"mmsprep.{place}" for name, place in mmsprep._PLACES.items()}
    lines = ["# Python", "", "What `from mmsprep import ...` gives. Errors have [a page of their own](errors.md).", ""]
    for title, group in (("Functions", functions), ("Values", values)):
        lines += [f"## {title}", ""]
        for name in group:
            found = getattr(mmsprep, name)
            home = found.__module__ if inspect.isclass(found) or inspect.isfunction(found) else places[name]
            lines += [f"::: {home}.{name}", ""]
    return "\n".join(lines)
