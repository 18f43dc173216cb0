"""A power cut, simulated: what was not synced when the process died is gone.

What it cannot simulate: a disk that lies about its cache or tears a sector; a file system that keeps more than was
asked for (every real one does, so this is the worst case, but for writes that reach the disk out of order within one
file: here a file is either as it was at its last fsync or at the one before); a rename that survives without its
folder's fsync; and PostgreSQL, whose server is no child of ours (it is crashed by SIGQUIT instead).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

SOURCE = Path(__file__).parent / "data" / "powercut.c"


class PowerCut:
    """Processes that are started with :meth:`environment` lose what they did not sync in ``root`` at :meth:`cut`.

    Raises:
        LookupError: this system cannot do it; the message says why.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if not sys.platform.startswith("linux") or compiler is None:
            raise LookupError("the simulation of power cuts needs Linux and a C compiler")
        self.root = root
        self._kept = folder / "kept"
        self._kept.mkdir(parents=True)
        self._start = folder / "boot_id"
        self._start.write_text(f"{uuid.uuid4()}\n")
        self._library = folder / "powercut.so"
        command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LookupError(f"the simulation of power cuts does not compile here: {done.stderr[-300:]}")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process whose syncs count."""
        preloaded = {"LD_PRELOAD": str(self._library)}
        places = {"POWERCUT_ROOT": self.root, "POWERCUT_KEPT": self._kept, "POWERCUT_START": self._start}
        # What counts coverage would be counted, and cut, too.
        own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        return {**own, **preloaded, **{name: str(path) for name, path in places.items()}}

    def cut(self) -> None:
        """``root`` becomes what was synced of it; its processes have ended, and the machine has started anew.

        The folder itself is there for good.
        """
        self._start.write_text(f"{uuid.uuid4()}\n")
        lost = self.root.with_name(f"{self.root.name}.lost")
        self.root.rename(lost)
        listings = [path for path in self._kept.iterdir() if self._path_of(path) == str(self.root)]
        self.root.mkdir(mode=0o700)
        if listings:
            self._restore(max(listings, key=lambda path: path.stat().st_mtime_ns), self.root)
        shutil.rmtree(lost)
        # What is on the disk now has been synced: the next cut begins from here.
        for path in self._kept.iterdir():
            path.unlink()
        sync = "import os, sys\nfor path in sys.argv[1:]:\n    os.fsync(os.open(path, os.O_RDONLY))"
        everything = [self.root, *self.root.rglob("*")]
        subprocess.run([sys.executable, "-c", sync, *map(str, everything)], env=self.environment, check=True)

    def _restore(self, listing: Path, folder: Path) -> None:
        for line in listing.read_text("utf-8").splitlines()[1:]:
            kind, key, name = line.split(" ", 2)
            kept = self._kept / key
            if kind == "d":
                (folder / name).mkdir(mode=0o700)
                if kept.exists():
                    self._restore(kept, folder / name)
            elif kept.exists():
                shutil.copyfile(kept, folder / name)
            else:
                # The name was synced, the content never.
                (folder / name).touch()

    def _path_of(self, kept: Path) -> str:
        with kept.open("rb") as file:
            first = file.readline(5000)
        return first.decode("utf-8", "replace").rstrip("\n") if first.startswith(b"/") else ""
