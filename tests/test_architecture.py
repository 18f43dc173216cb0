"""The imports keep to the plan: no circle, the order is written once, the edges stay at the edge."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import mmsprep
from mmsprep.formats import FORMATS

_ROOT = Path(mmsprep.__file__).parent
_FOUNDATION = {"model", "errors", "profile", "settings", "formats", "printable"}
_STAGES = {"intake", "classify", "rewrap", "division", "fit", "compare", "verify"}
_ORDER = {
    "order",
    "understand",
    "slides",
    "rescue",
    "reach",
    "foresee",
    "assemble",
    "running",
    "candidates",
    "__init__",
}
_MODULES = sorted(path.relative_to(_ROOT) for path in _ROOT.rglob("*.py") if "_profiles" not in path.parts)


def _name(module: Path) -> str:
    parts = module.with_suffix("").parts
    return ".".join(("mmsprep", *(parts[:-1] if parts[-1] == "__init__" else parts)))


_NAMES = {_name(module) for module in _MODULES}


@cache
def _imports(module: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function; of ours, the module that is meant."""
    found = set()
    for node in ast.walk(ast.parse((_ROOT / module).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & _NAMES
            if inside - _NAMES:
                found.add(node.module)
    return found


def _ours(module: Path) -> set[str]:
    return {name for name in _imports(module) if name == "mmsprep" or name.startswith("mmsprep.")}


def _rooms(module: Path) -> set[str]:
    """The rooms of ours that a file enters: ``sniff``, ``transcode``, ``tools``, ..."""
    return {name.split(".")[1] for name in _ours(module) if name != "mmsprep"}


def _room(module: Path) -> str:
    return module.parts[0].removesuffix(".py")


def _in(room: str) -> list[Path]:
    found = [path for path in _MODULES if _room(path) == room]
    assert found, room
    return found


def test_no_imports_run_in_a_circle() -> None:
    # The package's own public names are looked up when they are asked for.
    graph = {_name(module): _ours(module) - {"mmsprep"} for module in _MODULES if module != Path("__init__.py")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_no_rooms_stand_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module in _MODULES:
        if len(module.parts) > 1 or module.stem not in ("__init__", "__main__"):
            graph.setdefault(_room(module), set()).update(_rooms(module) - {_room(module)})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_top_stays_small() -> None:
    assert len([module for module in _MODULES if len(module.parts) == 1]) <= 10


@pytest.mark.parametrize("module", ["reasons.py", "errors.py", "printable.py"])
def test_what_everybody_uses_imports_nothing_of_ours(module: str) -> None:
    assert not _rooms(Path(module))


def test_the_vocabulary_is_one_place_to_import_from() -> None:
    """The reasons are a part of it that is long enough for a file of its own."""
    assert _rooms(Path("model.py")) == {"reasons"}
    assert [path for path in _MODULES if "reasons" in _rooms(path)] == [Path("model.py")]


@pytest.mark.parametrize("module", _in("formats"), ids=str)
def test_formats_know_values_and_errors_alone(module: Path) -> None:
    assert _rooms(module) <= {"formats", "model", "errors"}


@pytest.mark.parametrize("module", [*_in("pipeline"), *_in("sniff"), *_in("transcode"), *_in("tools")], ids=str)
def test_what_can_be_done_with_a_format_stands_in_its_row(module: Path) -> None:
    """A list of formats outside ``formats/`` is one more place to think of when a format is added."""
    for node in ast.walk(ast.parse((_ROOT / module).read_text("utf-8"))):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            named = [one.value for one in node.elts if isinstance(one, ast.Constant) and one.value in FORMATS]
            assert len(named) < 3 or len(named) < len(node.elts), f"line {node.lineno}: {named}"


@pytest.mark.parametrize("module", [path for path in _in("pipeline") if path.stem in _STAGES], ids=str)
def test_a_stage_imports_no_other_stage(module: Path) -> None:
    assert _rooms(module) <= _FOUNDATION | {"tools", "pipeline", "sniff", "hearing", "seeing"}
    beside = {name.split(".")[2] for name in _ours(module) if name.startswith("mmsprep.pipeline.")}
    assert beside <= {"verify": {"classify", "compare"}, "fit": {"division", "asking"}}.get(module.stem, set())
    assert "sniff" not in _rooms(module) or module.stem == "verify"


@pytest.mark.parametrize(
    "module", [path for path in _in("pipeline") if path.stem not in _STAGES and path.stem not in _ORDER], ids=str
)
def test_only_what_serves_the_order_joins_stages(module: Path) -> None:
    beside = {name.split(".")[2] for name in _ours(module) if name.startswith("mmsprep.pipeline.")}
    assert len(beside & _STAGES) <= 1


@pytest.mark.parametrize("module", [*_in("sniff"), *_in("transcode")], ids=str)
def test_sniffing_and_transcoding_know_no_order(module: Path) -> None:
    assert _rooms(module) <= _FOUNDATION | {"tools", "hearing", "seeing", _room(module)}


@pytest.mark.parametrize("module", _in("message"), ids=str)
def test_a_message_knows_neither_how_it_was_made_nor_where_it_goes(module: Path) -> None:
    assert _rooms(module) <= _FOUNDATION | {"message", "tools"}


@pytest.mark.parametrize("module", _in("tools"), ids=str)
def test_the_edges_know_no_stage(module: Path) -> None:
    assert _rooms(module) <= _FOUNDATION | {"tools"}


@pytest.mark.parametrize("module", _in("pipeline"), ids=str)
def test_preparing_sends_nothing(module: Path) -> None:
    assert not _rooms(module) & {"sender", "delivery", "receive", "sandbox", "batch", "cli", "hook"}


@pytest.mark.parametrize("module", _MODULES, ids=str)
def test_only_one_place_starts_programs_and_only_the_command_line_knows_typer(module: Path) -> None:
    imports = _imports(module)
    if module != Path("tools/process.py"):
        assert "subprocess" not in imports
    if _room(module) != "cli":
        assert not any(name.split(".")[0] in ("typer", "click", "rich") for name in imports)


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
def test_nothing_stands_on_the_receiver_or_the_command_line(module: Path) -> None:
    if _room(module) not in ("receive", "tracking", "campaign", "cli"):
        assert "receive" not in _rooms(module)
    if _room(module) in ("receive", "sender", "delivery", "pipeline"):
        assert not {"tracking", "campaign"} & _rooms(module)
    if _room(module) not in ("__main__", "cli"):
        assert "cli" not in _rooms(module)


@pytest.mark.parametrize("module", _in("receive"), ids=str)
def test_the_receiver_names_types_and_never_prepares(module: Path) -> None:
    assert _rooms(module) <= _FOUNDATION | {"receive", "tools", "mm7", "message", "sniff"}


@pytest.mark.parametrize("module", _in("batch"), ids=str)
def test_a_batch_stands_above_the_pipeline_and_its_edges_are_at_one_place_each(module: Path) -> None:
    assert not _rooms(module) & {"sniff", "transcode"}
    beside = {name.split(".")[2] for name in _ours(module) if name.startswith("mmsprep.pipeline.")}
    assert beside <= {"job", "intake"}
    packages = {name.split(".")[0] for name in _imports(module)}
    owners = {"distributed": "executors.py", "fsspec": "storage.py", "sqlite3": "ledger.py", "watchfiles": "watch.py"}
    assert {owners[package] for package in packages & owners.keys()} <= {module.name}


@pytest.mark.parametrize("module", [path for path in _MODULES if _room(path) != "sandbox"], ids=str)
def test_only_the_command_line_enters_the_sandbox(module: Path) -> None:
    assert _room(module) in ("cli", "testing") or "sandbox" not in _rooms(module)


@pytest.mark.parametrize("module", _in("sandbox"), ids=str)
def test_the_sandbox_judges_by_itself(module: Path) -> None:
    """What builds a request must not also judge it."""
    assert not {"sender", "receive", "pipeline"} & _rooms(module)


@pytest.mark.parametrize("module", _in("sender"), ids=str)
def test_the_sender_prepares_nothing_and_has_one_place_for_http(module: Path) -> None:
    assert _rooms(module) <= {"errors", "message", "mm7", "model", "printable", "sender", "tools"}
    if module.parent != Path("sender/http"):
        assert not any(name.split(".")[0] in ("httpx", "httpcore", "anyio", "socket") for name in _imports(module))


def test_help_starts_without_the_heavy_packages() -> None:
    code = (
        "import sys\nfrom mmsprep.cli import main\nsys.argv = ['mmsprep', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'PIL', 'ffmpeg', 'numpy', 'pymediainfo', 'mido',"
        " 'httpx', 'sqlalchemy', 'starlette', 'uvicorn', 'jinja2'}\n"
        "heavy &= set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "prepare" in done.stdout


_ASKS_A_WORKER = {"mmsprep.tools.process", "mmsprep.tools.workers", "mmsprep.tools.workspace", "tempfile"}


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            "from mmsprep.cli.commands import commands; commands(['prepare'])",
            {"mmsprep.cli.sandbox", "mmsprep.cli.inbox"},
        ),
        ("import mmsprep.cli", {"typer", "rich", "msgspec", "PIL"}),
        (
            "import mmsprep.transcode.image.pixels, mmsprep.transcode.image.viewing",
            {"numpy", "urllib.request", "tomllib"} | _ASKS_A_WORKER,
        ),
        (
            "import mmsprep.pipeline.verify, mmsprep.sniff.recognise",
            {"numpy", "mmsprep.pipeline.order", "mido", "ffmpeg", "mmsprep.formats.ogg"} | _ASKS_A_WORKER,
        ),
        (
            "import mmsprep.pipeline.order",
            {"numpy", "rich", "ffmpeg", "mmsprep.sniff.recordings", "mmsprep.formats.ogg"},
        ),
    ],
)
def test_what_a_photo_waits_for_loads_no_more_than_it_needs(code: str, unwanted: set[str]) -> None:
    """A command is one of its kind, its worker starts before anything else, and decodes without numpy."""
    code += f"\nimport sys\nsys.exit(str(found) if (found := {unwanted!r} & sys.modules.keys()) else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_public_names_are_pinned() -> None:
    for name in mmsprep.__all__:
        assert getattr(mmsprep, name) is not None
    with pytest.raises(AttributeError):
        mmsprep.no_such_name  # noqa: B018


def test_words_that_mean_something_to_callers_mean_one_thing() -> None:
    """Rooms that do the same from two sides once had an ``Account``, a ``Door``, a ``Ledger`` each."""
    found: dict[str, list[Path]] = {}
    for module in _MODULES:
        for node in ast.parse((_ROOT / module).read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(module)
    once = ("Account", "Door", "Incoming", "Ledger", "Source", "WireRequest", "Attachment", "Message", "Receipt")
    for name in (*once, "Delivery", "Content", "Unreadable"):
        assert len(found[name]) == 1, found[name]
    sandbox = import_module("mmsprep.sandbox")
    for old, new in (("Account", "Login"), ("Content", "SubmittedContent"), ("Delivery", "PushDelivery")):
        with pytest.warns(DeprecationWarning, match=new):
            assert getattr(sandbox, old) is getattr(sandbox, new)
