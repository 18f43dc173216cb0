"""The imports keep to the plan: the order is written once, the edges stay at the edge."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mmsprep

_ROOT = Path(mmsprep.__file__).parent
_FOUNDATION = {"model", "errors", "formats", "codec_levels", "printable", "profile", "settings"}
_STAGES = {"intake", "sniff", "classify", "rewrap", "transcode", "fit", "verify", "message"}
_MODULES = sorted(path.relative_to(_ROOT) for path in _ROOT.rglob("*.py") if "_profiles" not in path.parts)


def _imports(module: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse((_ROOT / module).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _rooms(module: Path) -> set[str]:
    """The rooms of ours that a file enters: ``sniff``, ``transcode``, ``tools``, ..."""
    return {name.split(".")[1] for name in _imports(module) if name.startswith("mmsprep.")}


def _room(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", ["model.py", "errors.py", "printable.py"])
def test_values_and_errors_import_nothing_of_ours(module: str) -> None:
    assert not _rooms(Path(module))


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) in _STAGES], ids=str)
def test_a_stage_imports_no_other_stage(module: Path) -> None:
    allowed = _FOUNDATION | {"tools", _room(module)} | ({"output"} if _room(module) == "message" else set())
    assert _rooms(module) <= allowed


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) == "tools"], ids=str)
def test_the_edges_know_no_stage(module: Path) -> None:
    assert _rooms(module) <= _FOUNDATION | {"tools"}


@pytest.mark.parametrize("module", _MODULES, ids=str)
def test_only_one_place_starts_programs_and_only_the_command_line_knows_typer(module: Path) -> None:
    imports = _imports(module)
    if module != Path("tools/process.py"):
        assert "subprocess" not in imports
    if _room(module) != "cli":
        assert not any(name.split(".")[0] in ("typer", "click") for name in imports)


_CHILDREN = {"confine.py", "decoder_child.py"}
"""Programs of their own: what they write is read by a parent."""


@pytest.mark.parametrize("module", [path for path in _MODULES if path.name not in _CHILDREN], ids=str)
def test_what_is_shown_leaves_by_one_door(module: Path) -> None:
    """Strangers' text is made harmless there, so nothing may go round it."""
    calls = {
        ast.unparse(node.func)
        for node in ast.walk(ast.parse((_ROOT / module).read_text("utf-8")))
        if isinstance(node, ast.Call)
    }
    around = {"print", "typer.echo", "typer.secho", "typer.confirm", "typer.prompt", "Console", "PlainConsole"}
    around |= {
        f"sys.{stream}.{write}" for stream in ("stdout", "stderr") for write in ("write", "buffer.write", "writelines")
    }
    around |= {"Text.from_markup", "Text.from_ansi"} | ({"json.dumps"} if _room(module) == "cli" else set())
    assert module == Path("cli/printing.py") or not calls & around


@pytest.mark.parametrize("module", _MODULES, ids=str)
def test_nothing_stands_on_the_receiver_but_the_command_line(module: Path) -> None:
    if _room(module) not in ("receive", "cli"):
        assert "receive" not in _rooms(module)


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) == "receive"], ids=str)
def test_the_receiver_names_types_and_never_prepares(module: Path) -> None:
    assert _rooms(module) <= _FOUNDATION | {"receive", "tools", "mm7", "message", "sniff"}


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) == "batch"], ids=str)
def test_a_batch_stands_above_the_pipeline_and_its_edges_are_at_one_place_each(module: Path) -> None:
    assert not _rooms(module) & (_STAGES - {"message"})
    packages = {name.split(".")[0] for name in _imports(module)}
    owners = {"distributed": "executors.py", "fsspec": "storage.py", "sqlite3": "ledger.py", "watchfiles": "watch.py"}
    assert {owners[package] for package in packages & owners.keys()} <= {module.name}


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) != "sandbox"], ids=str)
def test_only_the_command_line_enters_the_sandbox(module: Path) -> None:
    assert _room(module) == "cli" or "sandbox" not in _rooms(module)


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) == "sandbox"], ids=str)
def test_the_sandbox_judges_by_itself(module: Path) -> None:
    """What builds a request must not also judge it."""
    assert not {"sender", "receive", "pipeline"} & _rooms(module)


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) == "sender"], ids=str)
def test_the_sender_prepares_nothing_and_has_one_place_for_http(module: Path) -> None:
    assert _rooms(module) <= {"errors", "message", "mm7", "model", "sender", "status", "tools", "__version__"}
    if module != Path("sender/http.py"):
        assert not any(name.split(".")[0] in ("httpx", "httpcore", "anyio", "socket") for name in _imports(module))


@pytest.mark.parametrize("module", ["pipeline.py", "run.py", "assemble.py", "rescue.py", "job.py", "output.py"])
def test_preparing_sends_nothing(module: str) -> None:
    assert not _rooms(Path(module)) & {"sender", "delivery"}


def test_help_starts_without_the_heavy_packages() -> None:
    code = (
        "import sys\nfrom mmsprep.cli import main\nsys.argv = ['mmsprep', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'PIL', 'pydub', 'ffmpeg', 'numpy', 'pymediainfo', 'mido', 'pillow_heif',"
        " 'httpx', 'sqlalchemy', 'starlette', 'uvicorn', 'jinja2'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "prepare" in done.stdout


def test_the_public_names_are_pinned() -> None:
    for name in mmsprep.__all__:
        assert getattr(mmsprep, name) is not None
    with pytest.raises(AttributeError):
        mmsprep.no_such_name  # noqa: B018
