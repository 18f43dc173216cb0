"""Texts: whatever the encoding, clean UTF-8 with the words unharmed."""

from __future__ import annotations

import codecs
import re
import struct
import unicodedata
from random import Random

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mmsprep import pre_send
from mmsprep.errors import Damaged, Empty, TypeNotAllowed, UsageError
from mmsprep.formats.text import clean, decode
from mmsprep.model import Action, Attachment, Rendition
from mmsprep.pipeline import prepare
from mmsprep.pipeline.classify import classify
from mmsprep.profile import Profile
from mmsprep.sniff import sniff
from mmsprep.tools.workspace import Workspace
from mmsprep.transcode.text import cleaned, open_source

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f \U0001f1e6\U0001f1fa 1\ufe0f\u20e3"


def characters(data: bytes) -> tuple[str, str]:
    found = decode(data)
    assert found is not None
    return found


def rendered(data: bytes, profile: Profile, workspace: Workspace) -> Rendition:
    """The text as it would be sent."""
    attachment = Attachment(0, "note.txt", len(data), data=data)
    info = sniff(attachment, workspace.settings, workspace)
    plan = classify("note.txt", info, profile)
    source = open_source(attachment, info, plan, profile, workspace)
    assert [point.quality for point in source.curve().points] == [100]
    assert source.curve().points[0].size_bytes == source.render(1).size_bytes
    return source.render(10)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain", "ascii"),
        ("Grüße \U0001f600", "utf-8"),
        ("Grüße \U0001f600", "utf-8-sig"),
        ("Grüße \U0001f600", "utf-16"),
        ("Grüße \U0001f600", "utf-32"),
        ("Hello", "utf-16-le"),
        ("Hello, world", "utf-16-be"),
        ("Привет, мир 1", "utf-16-le"),
        ("明天的会议十点开始,请准时参加。\n", "utf-16-be"),
        ("Hello", "utf-32-le"),
        ("café", "latin-1"),
        ("Ça va? Être ou ne pas être", "latin-1"),
        ("Prix: 10 € – l’été", "cp1252"),
        ("El niño comió piñas. ¿Cómo estás? ¡Adiós!", "cp1252"),
        ("Zażółć gęślą jaźń", "cp1250"),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", "cp1250"),
        ("Привет", "cp1251"),
        ("Привет", "koi8-r"),
        ("Schöne Grüße vom See", "cp850"),
        ("Größe: süß, schön", "mac_roman"),
        ("Schöne Grüße vom See! Die Fähre fährt um neun, wir treffen uns im Café.", "cp850"),
        ("Schöne Grüße vom See! Die Fähre fährt um neun, wir treffen uns im Café.", "mac_roman"),
        ("Spotkajmy się jutro przy łódce", "iso8859-2"),
        ("Příští vlak jede až večer", "cp852"),
        ("Привет! Как дела?", "cp866"),
        ("Утром будет холодно", "iso8859-5"),
        ("Привіт! Їдемо в суботу", "koi8_u"),
        ("สวัสดีครับ ขอบคุณมาก", "cp874"),
        ("Labrytas, ačiū už žinutę", "cp1257"),
        ("Καλημέρα, τι κάνεις σήμερα;", "cp1253"),
        ("Yarın görüşürüz, şimdilik hoşça kal", "cp1254"),
        ("שלום, מה שלומך היום?", "cp1255"),
        ("مرحبا كيف حالك اليوم", "cp1256"),
        ("こんにちは", "shift_jis"),
        ("明日の会議は十時からです。", "euc_jp"),
        ("明日の会議", "iso2022_jp"),
        ("你好", "gb18030"),
        ("明天的會議十點開始,請準時參加。", "big5"),
        ("안녕하세요. 내일 회의는 열 시에 시작합니다.", "euc_kr"),
    ],
)
def test_any_encoding_becomes_utf8(text: str, encoding: str, profile: Profile, workspace: Workspace) -> None:
    """Short texts of every common encoding are read right and sent as UTF-8 without a BOM."""
    rendition = rendered(text.encode(encoding), profile, workspace)
    assert rendition.data.decode("utf-8").replace("\r\n", "\n") == text
    assert not rendition.data.startswith(b"\xef\xbb\xbf")
    assert (rendition.format, rendition.content_type) == ("text", "text/plain")
    assert characters(text.encode(encoding))[0] == text


def test_a_long_text_is_told_by_where_it_is_not_ascii() -> None:
    """The first foreign letter may stand far behind; East Asian text may be one long line."""
    for text, encoding in (
        ("Nothing but plain words here. " * 3_000 + "Schöne Grüße!", "cp1252"),
        ("土曜日は湖に行きます。フェリーは九時に出発します。" * 1_000, "cp932"),
        ("星期六我们去湖边。渡船九点钟出发。\n" * 1_000, "gb18030"),
    ):
        assert characters(text.encode(encoding))[0] == text


def test_what_is_clean_is_kept_bit_for_bit(profile: Profile, workspace: Workspace) -> None:
    """UTF-8 with the right line ends is not touched."""
    data = f"Hi {FAMILY}\r\nÜ\r\n".encode()
    rendition = rendered(data, profile, workspace)
    assert (rendition.data, rendition.action) == (data, Action.KEEP)


def test_line_ends_are_the_profile_s(profile: Profile, workspace: Workspace) -> None:
    """Every kind of line end becomes the one that the profile asks for."""
    data = "a\nb\r\nc\rd\u2028e".encode()
    assert rendered(data, profile, workspace).data == b"a\r\nb\r\nc\r\nd\r\ne"
    unix = msgspec.structs.replace(profile, text=msgspec.structs.replace(profile.text, line_ends="lf"))
    assert rendered(data, unix, workspace).data == b"a\nb\nc\nd\ne"


def test_control_characters_go_and_emoji_stay() -> None:
    """Terminal escapes, zero bytes and stray BOMs go; joiners, variation selectors and flags stay."""
    assert clean(f"\x1b[1;31mred\x1b[0m \x07a\x00b\ufeff{FAMILY}\tc", "lf") == f"red ab{FAMILY}\tc"


def test_accents_are_composed() -> None:
    """A letter and its separate accent become one character."""
    assert clean("cafe\u0301", "lf") == "café"


@pytest.mark.parametrize("data", [bytes(range(256)) * 4, b"\x00\x01\x02\x03" * 20, b"\xff\xfe\x00"])
def test_binary_is_no_text(data: bytes) -> None:
    """What is no text is not taken for one."""
    assert decode(data) is None


@given(st.text(max_size=200))
def test_cleaning_is_final_and_loses_no_letter(text: str) -> None:
    """Cleaning twice changes nothing more; what is left is valid UTF-8 in NFC; letters and emoji all survive.

    Ideographs that are compatible with others stay as they are, which NFC would not leave them.
    """
    assert clean(clean(text, "lf"), "lf") == clean(text, "lf")
    text = re.sub("[\uf900-\ufaff\U0002f800-\U0002fa1f]", "", text)
    for line_ends in ("lf", "crlf"):
        once = clean(text, line_ends)
        assert clean(once, line_ends) == once
        assert unicodedata.is_normalized("NFC", once)
        once.encode("utf-8")
    if "\x1b" not in text:
        letters = [char for char in unicodedata.normalize("NFC", text) if char.isalnum()]
        kept = [char for char in clean(text, "lf") if char.isalnum()]
        assert kept == letters


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1, max_size=100))
def test_utf8_is_never_taken_for_anything_else(text: str) -> None:
    """Valid UTF-8 is UTF-8, however strange its words."""
    decoded, encoding = characters(text.encode("utf-8"))
    assert encoding in ("ascii", "utf-8", "utf-8-sig")
    assert clean(decoded, "lf") == clean(text, "lf")


WRITINGS = {
    "greek": "Τα λέμε αύριο το πρωί στις εννέα",
    "russian": "Встречаемся у пристани.",
    "hebrew": "נפגש מחר בתשע בבוקר",
    "arabic": "نلتقي غدا في التاسعة صباحا",
    "thai": "พรุ่งนี้เจอกันเก้าโมงเช้าที่ริมทะเลสาบ",
    "hindi": "कल सुबह नौ बजे झील के पास मिलते हैं।",
    "tamil": "நாளை காலை ஒன்பது மணிக்கு",
    "georgian": "შევხვდეთ ხვალ დილით ცხრა საათზე",
    "armenian": "Հանդիպենք վաղը առավոտյան",
    "amharic": "ነገ ጠዋት ሦስት ሰዓት ሐይቁ አጠገብ",
    "khmer": "ជួបគ្នាស្អែកម៉ោងប្រាំបួនព្រឹក",
    "lao": "ພົບກັນມື້ອື່ນເກົ້າໂມງເຊົ້າ",
    "burmese": "မနက်ဖြန် မနက်ကိုးနာရီမှာ",
    "javanese": "ꦱꦸꦒꦼꦁ ꦲꦺꦤ꧀ꦗꦁ",
    "yi": "ꀉꀊꀋꀌ ꀍꀎꀏ",
    "chinese": "星期六我们去湖边。渡船九点钟出发，请等我们。",
    "taiwanese": "星期六我們去湖邊，渡船九點鐘出發",
    "japanese": "土曜日は湖に行きます。",
    "kana": "ありがとうございます",
    "korean": "토요일에 호수에 가요.",
    "vietnamese": "Hẹn gặp lại vào chín giờ sáng mai bên hồ nhé!",
    "emoji": "😀🎉👍🏽🇦🇺",
    "mixed": "OK 好的 OK",
}


@given(
    st.sampled_from(sorted(WRITINGS)),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be", "utf-16"]),
    st.integers(1, 3),
    st.sampled_from(["", "\n", " 9", "!"]),
)
def test_unicode_is_read_in_every_writing_with_or_without_a_mark(
    writing: str, encoding: str, times: int, end: str
) -> None:
    text = (WRITINGS[writing] + end) * times
    assert characters(text.encode(encoding))[0] == text


def noise(kind: str, count: int, seed: int) -> bytes:
    """Four times ``count`` bytes: samples, numbers, compressed bytes."""
    dice = Random(seed)
    return {
        "bytes": lambda: dice.randbytes(4 * count),
        "upper half": lambda: bytes(dice.randrange(128, 256) for _ in range(4 * count)),
        "samples": lambda: struct.pack(f"<{2 * count}h", *(dice.randrange(-3000, 3000) for _ in range(2 * count))),
        "floats": lambda: struct.pack(f"<{count}f", *(dice.gauss(0, 1) for _ in range(count))),
        "numbers": lambda: struct.pack(f"<{count}I", *(dice.randrange(1 << 31) for _ in range(count))),
    }[kind]()


@given(
    st.sampled_from(["bytes", "upper half", "samples", "floats", "numbers"]),
    st.integers(24, 2_000),
    st.integers(0, 1 << 30),
)
def test_noise_is_not_taken_for_a_text(kind: str, size: int, seed: int) -> None:
    """No encoding makes a language of it; what begins with a BOM says of itself that it is a text."""
    data = noise(kind, size // 4, seed)
    assume(not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)))
    assert decode(data) is None or (size < 64 and kind == "upper half")


@pytest.mark.parametrize("kind", ["bytes", "samples", "floats", "numbers"])
def test_hardly_any_short_noise_is_taken_for_a_text(kind: str) -> None:
    """Two dozen bytes are few to tell by: not one in a thousand passes (of floats one in a hundred would, by letters
    alone)."""
    assert sum(decode(noise(kind, 6, seed)) is not None for seed in range(1000)) <= 1


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("<html><body><p>Привет</p></body></html>", "cp1251"),
        ('{"text":"Привет, как дела?","to":"+7900"}', "cp1251"),
        ("a|b|c\nä|ö|ü\n", "cp1252"),
        ("<li>één</li><li>drieëntwintig</li>", "cp1252"),
        ("$name = 'Ελλάδα'; // ελληνικά\n", "cp1253"),
        ("~*~ С днём рождения! ~*~", "cp1251"),
        ("<<< Жду ответа >>>", "cp1251"),
        ("50% скидка на всё! код: #ЛЕТО+20", "cp1251"),
        ("*** 50% خصم ***", "cp1256"),
        ("© 2024 Müller & Söhne™", "cp1252"),
        ("(я) 5м", "cp1251"),
        ("10€/m²", "cp1252"),
        ("Schöne Grüße\vaus Köln\vund für Öffner\väußerst süß", "cp1252"),
        ("Élève né à l'été,\fpage deux: forêt, hôtel.\fpage trois: où ça?", "cp1252"),
    ],
)
def test_signs_between_words_make_no_noise_of_a_text(text: str, encoding: str) -> None:
    assert characters(text.encode(encoding))[0] == text


@pytest.mark.parametrize("text", ["Schöne Grüße aus Köln\x00", "Schöne Grüße \x00aus Köln am Rhein"])
def test_a_zero_that_slipped_into_a_short_text_costs_nothing(text: str) -> None:
    for encoding in ("utf-8", "cp1252"):
        assert clean(characters(text.encode(encoding))[0], "lf") == text.replace("\x00", "")


FOR_PROGRAMS = {
    "uu": b"begin 644 a.jpg\nM_]C_X``02D9)1@`!`0```0`!``#_VP!#\n`\nend\n",
    "hqx": b"(This file must be converted with BinHex 4.0)\n:$f*TEQKPH#jdH\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
    "pdf": b"\n%PDF-1.4\n1 0 obj\n",
    "mbox": b"From a@b.c Mon Jan  1 00:00:00 2024\nFrom: a@b.c\nSubject: hi\n\nhello\n",
    "mht": b"From: <Saved>\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n",
    "wrl": b"#VRML V2.0 utf8\nShape { }\n",
    "stl": b"solid x\n facet normal 0 0 1\n  outer loop\n",
    "ply": b"ply\nformat ascii 1.0\nelement vertex 1\n",
    "nrrd": b"NRRD0004\ntype: uint8\ndimension: 1\nsizes: 4\nencoding: ascii\n\n1 2 3 4\n",
    "fits": b"SIMPLE  =                    T".ljust(80) + b"BITPIX  =                    8".ljust(2800) + bytes(99),
    "pfm": b"PF\n2 1\n-1.0\n" + struct.pack("<6f", *range(6)),
    "pam": b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\nabcdef",
    "m3u": b"#EXTM3U\nsong.mp3\n",
    "pls": b"[playlist]\nFile1=x.mp3\n",
    "url": b"[InternetShortcut]\nURL=https://example.org\n",
    "torrent": b"d8:announce35:udp://tracker.example.org:80/announce4:infod6:lengthi5ee",
    "rtttl": b"Tune:d=4,o=5,b=120:c,e,g\n",
    "xmf": b"XMF_1.00" + bytes(40),
    "wmf": b"\xd7\xcd\xc6\x9a\0\0" + bytes(60),
    "emf": b"\x01\0\0\0" + bytes(36) + b" EMF" + bytes(60),
    "bpg": b"BPG\xfb" + bytes(60),
    "jbig2": b"\x97JB2\r\n\x1a\n" + bytes(60),
    "dcm": bytes(128) + b"DICM" + bytes(60),
    "mmf": b"MMMD\0\0\0\x20CNTI\0\0\0\x05" + bytes(40),
    "swf": b"FWS\x09" + bytes(60),
    "xcf": b"gimp xcf v011\0" + bytes(40),
    "blend": b"BLENDER-v279RENDH\0\0\0" + bytes(40),
    "sqlite": b"SQLite format 3\0" + bytes(100),
}


@pytest.mark.parametrize("extension", sorted(FOR_PROGRAMS))
@pytest.mark.parametrize("renamed", [False, True])
def test_what_is_for_programs_is_refused_with_advice(extension: str, renamed: bool) -> None:
    name = "file.txt" if renamed else f"file.{extension}"
    with pytest.raises(TypeNotAllowed, match=r"; (send|export|save|decode|record|it only)"):
        prepare([(name, FOR_PROGRAMS[extension])])


@pytest.mark.parametrize("extension", ["srt", "vtt", "csv", "json", "md", "log", "ini"])
def test_what_people_read_as_it_is_is_a_text(extension: str) -> None:
    words = {"srt": "1\n00:00:01,000 --> 00:00:02,000\nHello\n", "vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n"}
    (part,) = prepare([(f"a.{extension}", words.get(extension, "plain words, and more\n").encode())]).parts
    assert part.format == "text"


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 60, b"\x1a", b"\x1a\0\0"])
def test_padding_behind_a_text_is_not_sent(padding: bytes) -> None:
    (part,) = prepare([("note.txt", b"See you at nine.\r\n" + padding)]).parts
    assert part.data == b"See you at nine.\r\n"


def test_a_text_that_changed_while_it_was_read_is_damaged_in_every_process() -> None:
    """Not only where a worker makes it so: nothing is isolated here."""
    data = b"Some words. " * 50 + bytes(range(128, 256)) * 8
    with pytest.raises(Damaged, match="goes on as something else"):
        cleaned(Attachment(0, "a.txt", len(data), data=data), "lf")


UNSEEN = {
    "blanks": " \t\n\u00a0\u2003\u3000",
    "joiners": "\u200b\u200d\u2060\ufeff",
    "soft hyphens": "\u00ad\u00ad",
    "fillers": "\u3164\u115f\u1160\uffa0\u2800",
    "variation selectors": "\ufe0f\U000e0101",
    "tags": "\U000e0041",
}


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN)
def test_a_text_of_which_nothing_is_seen_is_nothing_to_send(text: str) -> None:
    """As a file or as the message's own; beside a picture it does no harm."""
    with pytest.raises(Empty, match="without a visible character"):
        prepare([("note.txt", text.encode())])
    with pytest.raises(UsageError, match="nothing to send"):
        prepare([], text=text)
    with pytest.raises(UsageError, match="nothing to send"):
        pre_send({"to": "61409317436", "text": text})
    assert prepare([("note.txt", b"Hello")], text=text).parts


@pytest.mark.parametrize("text", [".", "\u0301", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\ue000", "\u0378"])
def test_a_single_sign_is_a_text(text: str) -> None:
    """A mark alone, an emoji with its modifier, a private sign, one that Unicode does not have yet: all are drawn."""
    assert prepare([], text=text).text == text
