"""Files of strangers are opened at one place: no links in folders, no way out, no wait, no swap between two looks."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmsprep import Job, prepare, prepare_many
from mmsprep.delivery import key_of
from mmsprep.errors import Damaged, MmsprepError, NotFound, ToolError, Unreadable
from mmsprep.model import Attachment
from mmsprep.pipeline.intake import take_in
from mmsprep.settings import Settings
from mmsprep.tools import ffmpeg, untrusted
from mmsprep.tools.isolation import isolated
from mmsprep.tools.mediainfo import read_tracks
from mmsprep.tools.untrusted import (
    Found,
    content_of,
    list_untrusted,
    open_attachment,
    open_untrusted,
    read_bytes,
    read_untrusted,
)
from mmsprep.tools.workspace import Workspace

pytestmark = pytest.mark.posix("links and named pipes")

SECRET = b"a stranger's diary, which must not leave this machine"


@pytest.fixture(autouse=True)
def nothing_waits() -> Iterator[None]:
    """Whoever waits for a pipe that nobody writes to is woken after a minute, and fails."""

    def woken(*_: object) -> None:
        raise TimeoutError("waited for a pipe")

    before = signal.signal(signal.SIGALRM, woken)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["openat2", "walk", "look twice"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The three ways to open below a folder: Linux's call, step by step, and where neither is there."""
    name: str = request.param
    if name == "openat2":
        if sys.platform != "linux":
            pytest.skip("Linux alone has it")
    else:
        monkeypatch.setattr(untrusted, "_openat2", lambda: None)
        monkeypatch.setattr(untrusted, "_STEPS_BY_DESCRIPTOR", name == "walk")
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a stranger packed it, beside a secret."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/diary.txt").write_bytes(SECRET)
    inside = tmp_path / "in"
    (inside / "sub").mkdir(parents=True)
    (inside / "plain.txt").write_bytes(b"plain")
    (inside / "sub/deep.txt").write_bytes(b"deep")
    return inside


def _make(path: Path, kind: str) -> None:
    """Something in ``path``'s place that is no file of the folder's own."""
    match kind:
        case "link out":
            path.symlink_to(path.parent.parent / "secret.txt")
        case "relative link out":
            path.symlink_to("../secret.txt")
        case "link inside":
            path.symlink_to("plain.txt")
        case "broken link":
            path.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(path.parent.parent / "pipe")
            path.symlink_to("../pipe")
        case "link to a device":
            path.symlink_to("/dev/zero")


KINDS = ("link out", "relative link out", "link inside", "broken link", "pipe", "link to a pipe", "link to a device")


def test_a_file_in_its_folder_is_opened_at_any_depth(folder: Path, way: str) -> None:
    assert read_untrusted(Found(folder, "plain.txt"), "x", 100) == b"plain"
    assert read_untrusted(Found(folder, "sub/deep.txt"), "x", 100) == b"deep"
    assert [name for name, _ in list_untrusted(folder, "", "x")] == ["plain.txt", "sub"]
    assert [name for name, _ in list_untrusted(folder, "sub", "x")] == ["deep.txt"]
    assert way


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_of_the_folder_is_refused_at_once(folder: Path, kind: str, way: str) -> None:
    _make(folder / "odd", kind)
    with pytest.raises(Unreadable, match="symbolic link" if "link" in kind else "not a regular file"):
        open_untrusted(Found(folder, "odd"), "odd")
    assert way


@pytest.mark.parametrize("name", ["../secret.txt", "sub/../../secret.txt", "..", "", ".", "/etc/passwd", "sub/.."])
def test_no_name_leads_out_of_the_folder(folder: Path, name: str, way: str) -> None:
    with pytest.raises(MmsprepError):
        open_untrusted(Found(folder, name), "odd")
    if name not in ("", "."):
        with pytest.raises(MmsprepError):
            list_untrusted(folder, name, "odd")
    assert way


def test_a_folder_on_the_way_that_is_a_link_is_refused(folder: Path, way: str) -> None:
    (folder / "door").symlink_to("../elsewhere")
    (folder / "inner").symlink_to("sub")
    for name in ("door", "inner"):
        file = f"{name}/{'diary' if name == 'door' else 'deep'}.txt"
        with pytest.raises(Unreadable, match="symbolic link"):
            open_untrusted(Found(folder, file), "odd")
        with pytest.raises(Unreadable, match="symbolic link"):
            list_untrusted(folder, name, "odd")
    assert way


def test_a_link_that_takes_the_place_of_a_file_after_the_look_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look says "a regular file"; what is opened is a link, a pipe, or behind a folder that became a link."""
    look = os.lstat

    def swapped(attack: Callable[[], None]) -> Callable[..., os.stat_result]:
        def looked(path: Any, **options: Any) -> os.stat_result:
            status = look(path, **options)
            monkeypatch.setattr(os, "lstat", look)
            attack()
            return status

        return looked

    def link() -> None:
        (folder / "plain.txt").unlink()
        (folder / "plain.txt").symlink_to("../secret.txt")

    def pipe() -> None:
        (folder / "plain.txt").unlink()
        os.mkfifo(folder / "plain.txt")

    def door() -> None:
        (folder / "sub").rename(folder / "was")
        (folder.parent / "elsewhere/deep.txt").write_bytes(SECRET)
        (folder / "sub").symlink_to("../elsewhere")

    for openat2 in (True, False):
        for attack, name in ((link, "plain.txt"), (pipe, "plain.txt"), (door, "sub/deep.txt")):
            for one in ("plain.txt", "sub/deep.txt", "sub", "was/deep.txt", "was"):
                path = folder / one
                if path.is_symlink() or path.exists():
                    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
            (folder / "sub").mkdir()
            (folder / "plain.txt").write_bytes(b"plain")
            (folder / "sub/deep.txt").write_bytes(b"deep")
            with monkeypatch.context() as patched:
                if not openat2:
                    patched.setattr(untrusted, "_openat2", lambda: None)
                monkeypatch.setattr(os, "lstat", swapped(attack))
                with pytest.raises(Unreadable):
                    open_untrusted(Found(folder, name), "odd")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EAGAIN])
def test_where_openat2_is_forbidden_the_walk_does_it(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(untrusted, "_openat2", lambda: refused)
    assert read_untrusted(Found(folder, "sub/deep.txt"), "x", 100) == b"deep"
    _make(folder / "odd", "link out")
    with pytest.raises(Unreadable, match="symbolic link"):
        open_untrusted(Found(folder, "odd"), "odd")


def test_a_path_of_the_callers_own_may_be_a_link_but_no_pipe(folder: Path) -> None:
    _make(folder / "mine", "link out")
    assert read_untrusted(folder / "mine", "mine", 100) == SECRET
    link = folder.parent / "link to the folder"
    link.symlink_to(folder)
    assert read_untrusted(Found(link, "plain.txt"), "x", 100) == b"plain"
    _make(folder / "pipe", "pipe")
    for path in (folder / "pipe", folder, Path("/dev/zero")):
        with pytest.raises(Unreadable, match="not a regular file"):
            open_untrusted(path, "odd")


def test_no_more_is_read_than_was_allowed(folder: Path) -> None:
    assert read_untrusted(folder / "plain.txt", "x", 5) == b"plain"
    with pytest.raises(Unreadable, match="longer"):
        read_untrusted(folder / "plain.txt", "x", 4)


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_folder_to_prepare_it_is_refused_by_name_and_the_others_go_on(
    folder: Path, kind: str, settings: Settings
) -> None:
    _make(folder / "odd.txt", kind)
    (folder / "linked folder").symlink_to("../elsewhere")
    attachments, problems = take_in([folder], settings)
    assert [Path(one.name).name for one in attachments] == ["plain.txt"]
    assert [problem.name for problem in problems] == [str(folder / "odd.txt")]
    with pytest.raises(Unreadable, match="odd"):
        prepare([folder])
    message = prepare([folder], on_error="skip")
    assert [part.data for part in message.parts] == [b"plain"]


def test_a_folder_given_as_a_link_and_a_file_given_as_a_link_are_what_the_caller_means(
    folder: Path, settings: Settings
) -> None:
    (folder.parent / "album").symlink_to(folder)
    (folder.parent / "note.txt").symlink_to("in/plain.txt")
    attachments, problems = take_in([folder.parent / "album", folder.parent / "note.txt"], settings)
    assert not problems
    assert [read_bytes(one) for one in attachments] == [b"plain", b"plain"]


SWAPS = ("link", "file", "pipe", "gone", "longer")


def _swap(path: Path, swap: str) -> None:
    """Another file in the place of one that was looked at."""
    if swap == "longer":
        with path.open("ab") as file:
            file.write(b"more")
        return
    path.unlink()
    if swap == "link":
        path.symlink_to(path.parent.parent / "secret.txt")
    elif swap == "file":
        path.write_bytes(SECRET)
    elif swap == "pipe":
        os.mkfifo(path)


@pytest.mark.parametrize("swap", SWAPS)
@pytest.mark.parametrize("given", ["folder", "path"])
def test_a_file_swapped_between_look_and_read_is_refused_at_every_door(
    folder: Path, swap: str, given: str, settings: Settings, workspace: Workspace
) -> None:
    wanted = folder if given == "folder" else folder / "plain.txt"
    (attachment,), _ = take_in([wanted], settings)
    path = workspace.path_of(attachment)
    _swap(folder / "plain.txt", swap)
    for door in (
        lambda: read_bytes(attachment),
        lambda: open_attachment(attachment),
        lambda: content_of(attachment),
        lambda: workspace.open(path),
        lambda: ffmpeg.run(workspace, ffmpeg.safe_input(path, "wav").output("pipe:1", f="null")),
    ):
        with pytest.raises((NotFound, Unreadable)) as caught:
            door()
        assert caught.value.name == attachment.name


def test_a_clip_swapped_for_a_link_after_the_look_never_reaches_ffmpeg(
    tmp_path: Path, sample_media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swap falls between the last check and ffmpeg's own opening: it reads what was open already."""
    clip, other = tmp_path / "clip.mp4", tmp_path / "other.mp4"
    clip.write_bytes((sample_media / "formats/mute.mp4").read_bytes())
    other.write_bytes((sample_media / "formats/ready.3gp").read_bytes())
    with Workspace(Settings()) as workspace:
        (attachment,), _ = take_in([clip], workspace.settings)
        path = workspace.path_of(attachment)
        start = workspace.processes.run

        def late(argv: list[str], **options: Any) -> Any:
            clip.unlink()
            clip.symlink_to(other)
            return start(argv, **options)

        monkeypatch.setattr(workspace.processes, "run", late)
        output = ffmpeg.safe_input(path, "mp4")["v:0"].output("pipe:1", f="framemd5", c="copy")
        swapped = ffmpeg.run(workspace, output).stdout
        monkeypatch.undo()
        plain = ffmpeg.run(
            workspace,
            ffmpeg.safe_input(sample_media / "formats/mute.mp4", "mp4")["v:0"].output("pipe:1", f="framemd5", c="copy"),
        ).stdout
    if sys.platform == "linux":
        assert swapped == plain


@pytest.mark.parametrize("other", ["link", "pipe"])
def test_a_clip_that_is_swapped_tells_a_worker_nothing_of_another_file(
    tmp_path: Path, sample_media: Path, other: str
) -> None:
    clip, private = tmp_path / "clip.mp4", tmp_path / "private.mp4"
    clip.write_bytes((sample_media / "formats/mute.mp4").read_bytes())
    private.write_bytes((sample_media / "formats/clip.mp4").read_bytes())
    with Workspace(Settings()) as workspace:
        (attachment,), _ = take_in([clip], workspace.settings)
        assert len(isolated(workspace, read_tracks, attachment)) == 2
        clip.unlink()
        if other == "link":
            clip.symlink_to(private)
        else:
            os.mkfifo(clip)
        with pytest.raises(Unreadable, match=r"replaced|regular"):
            isolated(workspace, read_tracks, attachment)


def test_the_mark_of_a_file_does_not_hinder_an_attachment_without_one(folder: Path) -> None:
    attachment = Attachment(0, "x", 5, path=folder / "plain.txt")
    assert read_bytes(attachment) == b"plain"


def test_what_a_send_is_known_by_is_read_from_the_same_files(folder: Path) -> None:
    _make(folder / "odd.txt", "link out")
    assert key_of(Job(attachments=(folder,))) == key_of(Job(attachments=(folder / "plain.txt",)))


def test_many_jobs_refuse_links_in_their_folders_too(folder: Path) -> None:
    _make(folder / "odd.txt", "link out")
    (outcome,) = prepare_many([Job(attachments=(folder,))], executor="serial")
    assert isinstance(outcome.error, Unreadable)  # type: ignore[union-attr]


# What children leave in the temporary folder.


@pytest.mark.parametrize("kind", ["link out", "pipe", "link to a device", "folder", "nothing"])
def test_what_a_taken_over_child_leaves_is_no_way_to_other_files(
    workspace: Workspace, kind: str, tmp_path: Path
) -> None:
    made = workspace.new_path(".wav")
    (tmp_path / "secret.txt").write_bytes(SECRET)
    match kind:
        case "link out":
            made.symlink_to(tmp_path / "secret.txt")
        case "pipe":
            os.mkfifo(made)
        case "link to a device":
            made.symlink_to("/dev/zero")
        case "folder":
            made.mkdir()
    for door in (workspace.open, workspace.read):
        with pytest.raises(ToolError, match="no usable file"):
            door(made)
    with pytest.raises(ToolError, match="no usable file"):
        ffmpeg.run(workspace, ffmpeg.safe_input(made, "wav").output("pipe:1", f="null"))
    if kind == "nothing":
        assert workspace.size_bytes(made) == 0
    else:
        with pytest.raises(ToolError, match="no usable file"):
            workspace.size_bytes(made)


def test_nothing_is_written_through_a_link_that_a_child_has_laid(workspace: Workspace, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    taken = int(workspace.new_path(".x").stem)
    for number in range(taken + 1, taken + 4):
        (workspace.new_path(".x").parent / f"{number + 3}.in").symlink_to(victim)
    for _ in range(4):
        try:
            workspace.put(b"data", ".in")
        except MmsprepError as error:
            assert "temporary folder" in str(error)
    assert victim.read_bytes() == b"precious"


_EVIL = r"""#!{python}
import os, sys
for word in sys.argv[1:]:
    if word in ("-version", "-encoders", "-filters"):
        os.execv({real!r}, [{real!r}, *sys.argv[1:]])
for before, word in zip(sys.argv, sys.argv[1:]):
    path = word.removeprefix("file:")
    if "/mmsprep-" in path and before != "-i":
        if os.path.lexists(path):
            os.unlink(path)
        {act}
"""


@pytest.mark.parametrize("act", ["os.mkfifo(path)", "os.symlink({secret!r}, path)", "os.symlink('/dev/zero', path)"])
@pytest.mark.parametrize("sample", ["formats/song.flac", "formats/clip.mp4", "formats/prores.mov"])
def test_an_ffmpeg_that_was_taken_over_ends_in_an_error_about_the_file(
    act: str, sample: str, tmp_path: Path, sample_media: Path, settings: Settings
) -> None:
    """Its outputs are pipes, or links to a recording of the user's: neither a wait nor a word of it."""
    secret = tmp_path / "private.wav"
    secret.write_bytes((sample_media / "formats/float.wav").read_bytes())
    evil = tmp_path / "ffmpeg"
    act = act.replace("{secret!r}", repr(str(secret)))
    evil.write_text(_EVIL.format(python=sys.executable, real=ffmpeg.executable(settings), act=act))
    evil.chmod(0o700)
    with pytest.raises((Damaged, ToolError)):
        prepare([sample_media / sample], settings=replace(settings, ffmpeg=str(evil)))
    assert stat.S_ISREG(secret.lstat().st_mode)
