"""``nox``: each thing that has to pass, in an environment of its own; ``nox -l`` lists them."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests", "docs"]


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, spelling, project file, workflows: what is looked at before a commit, but for types."""
    session.install("-e", ".[dev]")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", env={"SKIP": "types"})


@nox.session
def types(session: nox.Session) -> None:
    """mypy over everything, and over what other systems run; pyright over what users import."""
    session.install("-e", ".[dev]")
    session.run("mypy")
    for other in ("win32", "darwin"):
        session.run("mypy", "--platform", other, "mmsprep")
    session.run("pyright", "--pythonpath", str(session.bin) + "/python", "tests/typing_of_the_api.py")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The tests, against the package as users install it."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Which branches the tests take, in cages, too, where they are told of through a pipe."""
    session.install("-e", ".[test]", "coverage>=7.10")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-p", "tests.counted", *session.posargs, success_codes=[0, 1])
    session.run("coverage", "combine")
    session.run("coverage", "report", "--skip-covered", "--sort", "cover")


@nox.session
def docs(session: nox.Session) -> None:
    """The site, strictly: a dead link is an error."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", "build", "--quiet")


@nox.session(venv_backend="none")
def lowest(session: nox.Session) -> None:
    """The lowest versions that pyproject.toml lets in."""
    session.run(".ci/lowest", external=True)


@nox.session(venv_backend="none")
def elsewhere(session: nox.Session) -> None:
    """Other Pythons, other users, fewer defences."""
    session.run(".ci/elsewhere", external=True)
