"""An attachment is its place among what was given, never its name: uploads of phones are all called image.jpg."""

from __future__ import annotations

import copy
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from grain import grain
from PIL import Image, ImageDraw

from mmsprep import Job, Message, Prepared, Progress, forecast, inspect, pre_send, prepare, prepare_many, split
from mmsprep.batch import Batch, run_batch
from mmsprep.cli.documents import inspection_document
from mmsprep.errors import AttachmentError, Damaged, InputError, NotFound, SeveralErrors, TooManyAttachments, UsageError
from mmsprep.message.document import document
from mmsprep.model import Action, Kind
from mmsprep.pipeline.intake import AttachmentInput
from mmsprep.profile import load_profile, profile_names
from mmsprep.settings import Settings

_NAME = "image.jpg"
_RED, _GREEN, _BLUE = (220, 30, 30), (30, 190, 30), (40, 40, 220)


def jpeg(colour: tuple[int, int, int], width: int = 100, height: int = 80, noise: int = 0) -> bytes:
    """A picture whose colour tells which one it is."""
    image = Image.new("RGB", (width, height), colour)
    if noise:
        # Blotches as wide as a photo has detail, as a photo has: what is finer costs more than any message carries.
        blotches = grain((width // 8, height // 8), 120).resize((width, height)).convert("RGB")
        image = Image.blend(image, blotches, noise / 100)
    ImageDraw.Draw(image).line((0, 0, width, height), fill="white", width=3)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def broken(colour: tuple[int, int, int], width: int = 100) -> bytes:
    """A JPEG whose headers are fine, and whose pixels do not decode."""
    data = bytearray(jpeg(colour, width))
    tables = data.find(b"\xff\xc4")
    data[tables + 5 : tables + 21] = bytes([255] * 16)
    return bytes(data)


def colour_of(data: bytes) -> str:
    """Which of red, green and blue there is most of."""
    with Image.open(io.BytesIO(data)) as image:
        pixel = image.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return "rgb"[pixel.index(max(pixel))]


def colours(message: Message) -> str:
    """What is shown, in order."""
    shown = sorted((place, colour_of(part.data)) for part in message.parts for place in part.shown_at)
    assert [place for place, _ in shown] == list(range(len(shown)))
    return "".join(colour for _, colour in shown)


@pytest.mark.parametrize("name", profile_names())
def test_different_pictures_of_one_name_all_go_once_and_in_order(name: str) -> None:
    """Kept as they are, encoded anew, and both in one message."""
    kept = [(_NAME, jpeg(_RED, 96)), (_NAME, jpeg(_BLUE, 112)), (_NAME, jpeg(_GREEN, 80))]
    large = [(_NAME, jpeg(colour, 1500, 1100, noise=30)) for colour in (_RED, _BLUE, _GREEN)]
    for given, expected in ((kept, "rbg"), (large, "rbg"), ([kept[0], large[1], kept[2]], "rbg")):
        message = prepare(given, profile=name)
        assert colours(message) == expected
        assert [part.indexes for part in message.parts] == [(0,), (1,), (2,)]
        assert not any("same" in warning for warning in message.warnings)


@pytest.mark.parametrize("name", profile_names())
def test_equal_pictures_are_the_same_whatever_they_are_called(name: str) -> None:
    message = prepare([("a.jpg", jpeg(_RED)), (_NAME, jpeg(_BLUE)), (_NAME, jpeg(_RED))], profile=name)
    assert colours(message) == "rbr"
    shares = load_profile(name).message.share_duplicates
    assert [part.indexes for part in message.parts] == ([(0, 2), (1,)] if shares else [(0,), (1,), (2,)])
    assert any("same" in warning for warning in message.warnings)


@pytest.mark.parametrize("name", ["smsglobal", "megapixel"])
@pytest.mark.parametrize("bad", [broken(_BLUE), b"\xff\xd8\xff\xe0 no picture", b"%PDF-1.7\n" + bytes(200), b""])
def test_a_sound_attachment_outlives_its_damaged_namesake(bad: bytes, name: str) -> None:
    """Damage that shows in the headers, in decoding, or only when the part is read back."""
    given = [(_NAME, bad), (_NAME, jpeg(_RED)), (_NAME, bad), ("b.jpg", jpeg(_GREEN))]
    message = prepare(given, text="Hi", on_error="skip", profile=name)
    assert colours(message) == "rg"
    assert [part.indexes for part in message.parts] == [(1,), (3,)]
    assert [(one.index, one.name) for one in message.rejected] == [(0, _NAME), (2, _NAME)]
    with pytest.raises((SeveralErrors, AttachmentError)) as caught:
        prepare(given, profile=name)
    errors: Any = getattr(caught.value, "errors", (caught.value,))  # reading parts back ends at the first
    assert [error.index for error in errors] == [0, 2][: len(errors)]
    assert all(str(error).startswith(f"image.jpg (attachment {error.index + 1}): ") for error in errors)


def test_each_of_two_damaged_twins_is_told() -> None:
    """They share one part, so one look finds both."""
    given = [("a.jpg", broken(_RED)), ("b.jpg", broken(_RED)), ("c.jpg", jpeg(_GREEN))]
    message = prepare(given, on_error="skip", profile="megapixel")
    assert [one.name for one in message.rejected] == ["a.jpg", "b.jpg"]
    assert colours(message) == "g"


def test_a_missing_file_keeps_its_place_beside_a_namesake(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / _NAME).write_bytes(jpeg(_RED))
    given: list[AttachmentInput] = [tmp_path / "gone" / _NAME, tmp_path / "there" / _NAME, ("b.jpg", jpeg(_BLUE))]
    message = prepare(given, on_error="skip")
    assert [one.index for one in message.rejected] == [0]
    assert [part.indexes for part in message.parts] == [(1,), (2,)]
    found = inspect(given)
    assert [one.index for one in found] == [0, 1, 2]
    assert [type(one.error) for one in found] == [NotFound, type(None), type(None)]
    assert [one["index"] for one in inspection_document(found, load_profile("smsglobal"))["files"]] == [0, 1, 2]


def test_documents_carry_the_index_beside_the_name() -> None:
    given = [(_NAME, b""), (_NAME, jpeg(_RED)), (_NAME, jpeg(_BLUE)), (_NAME, jpeg(_RED))]
    report = document(prepare(given, on_error="skip", profile="megapixel"))
    assert [(one["index"], one["path"]) for one in report["rejected"]] == [(0, _NAME)]
    assert [part["indexes"] for part in report["parts"]] == [[1, 3], [2]]
    assert [part["source"]["index"] for part in report["parts"]] == [1, 2]
    assert [part["shown_at"] for part in report["parts"]] == [[0, 2], [1]]
    predicted = document(forecast(Job(attachments=given, on_error="skip", profile="megapixel")))
    assert [part["indexes"] for part in predicted["parts"]] == [[1, 3], [2]]


def test_a_priority_means_one_attachment_and_never_a_namesake(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / _NAME).write_bytes(jpeg(_RED, 1500, 1100, noise=25))
    paths = [tmp_path / "a" / _NAME, tmp_path / "b" / _NAME]
    for favoured, key in ((0, 0), (1, 1), (1, str(paths[1])), (0, paths[0])):
        qualities = [part.quality for part in prepare(paths, limit_bytes=120_000, priorities={key: 2}).parts]  # type: ignore[arg-type]
        assert qualities[favoured] > qualities[1 - favoured]
    with pytest.raises(UsageError, match=r"fits several attachments \(0: .*, 1: .*index"):
        prepare(paths, priorities={_NAME: 5})
    with pytest.raises(UsageError, match="none of the attachments"):
        prepare(paths, priorities={2: 5})
    mixed: dict[str | int, float] = {"y": 2, 1: 3}
    assert prepare(["x/y", str(paths[0])], on_error="skip", priorities=mixed).rejected[0].index == 0


def test_a_name_just_as_given_comes_before_the_end_of_another_path(tmp_path: Path) -> None:
    (tmp_path / _NAME).write_bytes(jpeg(_BLUE, 1500, 1100, noise=25))
    given: list[AttachmentInput] = [tmp_path / _NAME, (_NAME, jpeg(_RED, 1500, 1100, noise=25))]
    first, second = prepare(given, limit_bytes=120_000, priorities={_NAME: 2}).parts
    assert second.quality > first.quality


def test_several_messages_carry_every_namesake_once() -> None:
    given = [(_NAME, jpeg(colour, 1500, 1100, noise=60)) for colour in (_RED, _GREEN, _BLUE, _RED)]
    given.insert(2, (_NAME, broken(_RED)))
    messages = split(Job(attachments=given, limit_bytes=30_000, on_error="skip", text="Hi"))
    assert len(messages) > 1
    assert [index for message in messages for part in message.parts for index in part.indexes] == [0, 1, 3, 4]
    assert "".join(map(colours, messages)) == "rgbr"
    assert {one.index for message in messages for one in message.rejected} == {2}


def test_a_message_of_a_split_whose_only_picture_is_damaged_is_left_out() -> None:
    large = jpeg(_RED, 1500, 1100, noise=95)
    damaged = bytearray(jpeg(_BLUE, 330, 250, noise=95))
    tables = damaged.find(b"\xff\xc4")
    damaged[tables + 5 : tables + 21] = bytes([255] * 16)
    messages = split(Job(attachments=[(_NAME, large), (_NAME, bytes(damaged))], limit_bytes=60_000, on_error="skip"))
    assert [colours(message) for message in messages] == ["r"]
    assert {one.index for message in messages for one in message.rejected} == {1}


def test_namesakes_that_are_too_long_are_cut_or_become_posters(sample_media: Path) -> None:
    clip = (sample_media / "message" / "IMG_0415.MOV").read_bytes()
    assert clip
    given = [(_NAME, clip), (_NAME, jpeg(_RED)), (_NAME, clip + b"\0\0\0\x08free")]
    message = prepare(given, limit_bytes=20_000, poster=True, trim=True)
    assert [part.indexes for part in message.parts] == [(0,), (1,), (2,)]
    assert colour_of(message.parts[1].data) == "r"
    assert all(part.kind in (Kind.IMAGE, Kind.VIDEO) for part in message.parts)


@pytest.mark.parametrize("name", ["smsglobal", "megapixel"])
def test_the_hook_gives_each_namesake_back_in_its_place(name: str) -> None:
    given = [(_NAME, jpeg(_RED, 96)), (_NAME, jpeg(_BLUE, 112)), (_NAME, jpeg(_RED, 96))]
    outgoing: dict[str, Any] = {"to": "61409317436", "text": "Hi", "attachments": given}
    ready = pre_send(outgoing, profile=name)
    assert [colour_of(data) for _, data in ready["attachments"]] == ["r", "b", "r"]


@pytest.mark.parametrize("executor", ["serial", "local"])
def test_jobs_side_by_side_keep_namesakes_apart(executor: str) -> None:
    given = [(_NAME, jpeg(_RED)), (_NAME, broken(_BLUE)), (_NAME, jpeg(_GREEN))]
    jobs = [Job(attachments=given, profile=name, on_error="skip", text="x") for name in ("smsglobal", "megapixel")]
    failing = Job(attachments=given)
    *made, failed = prepare_many([*jobs, failing], executor=executor, worker_count=1)
    for outcome in made:
        assert isinstance(outcome, Prepared)
        assert colours(outcome.message) == "rg"
        assert [one.index for one in outcome.message.rejected] == [1]
    assert isinstance(failed.error, Damaged) and failed.error.index == 1  # type: ignore[union-attr]


def test_a_row_of_a_batch_keeps_namesakes_apart(tmp_path: Path) -> None:
    for folder, data in (("a", jpeg(_RED)), ("b", broken(_BLUE)), ("c", jpeg(_GREEN))):
        (tmp_path / "in" / folder).mkdir(parents=True)
        path = tmp_path / "in" / folder / _NAME
        path.write_bytes(data)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    manifest = tmp_path / "rows.csv"
    manifest.write_text(f"id,files,text\nall,a/{_NAME};b/{_NAME};c/{_NAME},Hi\n")
    batch = Batch(
        source=str(tmp_path / "in"),
        target=str(tmp_path / "out"),
        each=str(manifest),
        on_error="skip",
        profile="megapixel",
    )
    (outcome,) = run_batch(batch, executor="serial")
    assert outcome.made is not None, outcome.error
    assert [one["index"] for one in outcome.made.rejected] == [1]
    assert [part["indexes"] for part in outcome.made.parts] == [[0], [2]]


def test_errors_keep_their_index_between_processes() -> None:
    error = NotFound("a.jpg", "there is no such file", 3, True)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (twin.name, twin.problem, twin.index, str(twin)) == (
            "a.jpg",
            "there is no such file",
            3,
            "a.jpg (attachment 4): there is no such file",
        )
    assert InputError("a.jpg", "is bad").index is None


def test_progress_names_the_place_and_never_runs_backwards() -> None:
    steps: list[Progress] = []
    given: list[Any] = [(_NAME, jpeg(_RED, 1500, 1100, noise=60)), (_NAME, b""), (_NAME, jpeg(_BLUE)), b""]
    prepare(given, on_error="skip", progress=steps.append, limit_bytes=50_000)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert {step.index for step in steps} == {0, 2}
    assert steps[-1].done == 1.0


def _album(count: int) -> list[tuple[str, bytes]]:
    return [(_NAME, jpeg((place * 4, 90, 200 - place * 3), 900 + place, 700)) for place in range(count)]


@pytest.mark.parametrize("name", ["smsglobal", "megapixel"])
@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_too_many_are_refused_before_all_of_them_are_decoded(name: str, on_error: Any) -> None:
    steps: list[Progress] = []
    job = Job(attachments=_album(50), profile=name, on_error=on_error, limit_bytes=100_000)
    settings = Settings(jobs=2)
    for ask in (forecast, lambda job, **more: prepare(job.attachments, **more, profile=name, on_error=on_error)):
        steps.clear()
        with pytest.raises(TooManyAttachments, match="50 attachments"):
            ask(job, settings=settings, progress=steps.append)
        assert sum(step.stage == "open" for step in steps) <= 16
    if name == "smsglobal" and on_error == "fail":
        assert not steps
    with pytest.raises(TooManyAttachments):
        pre_send({"text": "", "attachments": _album(50)}, profile=name)


def test_what_is_left_out_or_shared_does_not_count() -> None:
    allowed = load_profile("megapixel").message.max_attachments
    message = prepare([*_album(allowed), *_album(10)], profile="megapixel")
    assert len(message.parts) == allowed and len(colours(message)) == allowed + 10
    damaged = [(_NAME, broken(_RED, 1500)), (_NAME, b""), (_NAME, b"\xff\xd8\xff\xe0 no picture"), (_NAME, b"%PDF-1.7")]
    message = prepare([*damaged[1:], damaged[0], *_album(allowed - 1), *damaged[1:2]], on_error="skip", text="x")
    assert len(message.parts) == allowed - 1 and len(message.rejected) == 5
    assert all(part.action in Action for part in message.parts)
