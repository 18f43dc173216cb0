"""``formats/``: texts in every encoding people still have, and melodies."""

from __future__ import annotations

import struct

import sounds
from recipe import Sample

GERMAN = (
    "Schöne Grüße vom See! Die Fähre fährt um neun, wir treffen uns im Café am großen Steg.\n"
    "Zieht euch warm an, letztes Mal war es früh ganz schön kühl.\n"
)
FRENCH = (
    "Bonjour à tous ! Le bateau part à neuf heures précises, rendez-vous à la crêperie près du château.\n"
    "N’oubliez pas vos manteaux : l’été dernier, il faisait très froid là‑bas.\n"
).replace("‑", "-")
JAPANESE = (
    "土曜日は湖に行きます。フェリーは九時に出発しますので、桟橋の前の喫茶店で会いましょう。\n"
    "朝は寒いので、暖かい上着を持ってきてください。パンとお茶もお願いします。\n"
)
CHINESE = (
    "星期六我们去湖边。渡船九点钟出发，请在码头前面的咖啡馆等我们。\n"
    "早上很冷，大家要多穿一点衣服，也请带一些面包和茶。\n"
)
RUSSIAN = (
    "В субботу едем на озеро. Паром отходит в девять часов, встречаемся в кафе у большой пристани.\n"
    "Утром будет холодно, возьмите тёплые куртки, хлеб и термос с чаем.\n"
)
WORLD = "Grüße · Привет · 你好 · こんにちは · שלום · 👋🏽\nThe ferry leaves at 9:15.\n"

CONTROLS = (
    b"Ding\x07 dong.\rThe ferry\x0b leaves at nine, and the last one back waits for nobody.\r"
    b"Bring a warm coat, some bread,\x00 cheese and apples, and the big blanket.\r"
)
IMELODY = (
    "BEGIN:IMELODY\r\nVERSION:1.2\r\nFORMAT:CLASS1.0\r\nNAME:Lakeside\r\nCOMPOSER:The Samples\r\nBEAT:108\r\n"
    "STYLE:S0\r\nVOLUME:V9\r\n"
    "MELODY:*5a2*6c2*6e2*6d2vibeon*6c2*5a2vibeoff*5g2*5a2r3(*5e3.*5#f4*5g2@2V+)*6c2\r\n"
    " *5b2*5g2ledon*5e2*5g2*5b2ledoff*6d2V12*6c1r2&b3;*4a0\r\nEND:IMELODY\r\n"
)
EMELODY = (
    "BEGIN:EMELODY\r\nNAME:Lakeside\r\nCOMPOSER:The Samples\r\nVERSION:1.0\r\n"
    "MELODY:ACe+d+cAga p +cBge G(b)bA#fgEp\r\nEND:EMELODY\r\n"
).replace(" ", "")


def _rmi() -> bytes:
    """The tune in a RIFF file, as Windows kept melodies, with a tag behind it."""
    song = sounds.tune_midi(1)
    padded = song + bytes(len(song) % 2)
    words = b"private words\0"
    note = b"LIST" + struct.pack("<I", 12 + len(words)) + b"INFOICMT" + struct.pack("<I", len(words)) + words
    body = b"RMID" + b"data" + struct.pack("<I", len(song)) + padded + note
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _text(name: str, odd: str, data: bytes) -> Sample:
    return Sample(f"formats/{name}", "text", "a few sentences", odd, "Python", lambda: data)


SAMPLES = (
    _text(
        "utf-8-bom.txt",
        "UTF-8 with byte order mark, emoji, right-to-left letters",
        b"\xef\xbb\xbf" + WORLD.encode(),
    ),
    _text("utf-16be.txt", "UTF-16, big-endian", b"\xfe\xff" + WORLD.encode("utf-16-be")),
    _text("utf-16-no-bom.txt", "UTF-16 without byte order mark", GERMAN.encode("utf-16-le")),
    _text("utf-32.txt", "UTF-32 with byte order mark", b"\xff\xfe\0\0" + WORLD.encode("utf-32-le")),
    _text("latin-1.txt", "Latin-1", GERMAN.encode("latin-1")),
    _text(
        "windows-1252.txt",
        "Windows-1252, curly apostrophes, CR LF",
        FRENCH.replace("\n", "\r\n").encode("cp1252"),
    ),
    _text("shift-jis.txt", "Shift-JIS", JAPANESE.encode("shift-jis")),
    _text("gb18030.txt", "GB18030", CHINESE.encode("gb18030")),
    _text("koi8-r.txt", "KOI8-R", RUSSIAN.encode("koi8-r")),
    _text(
        "controls.txt",
        "control characters, a bell, old Mac line ends",
        CONTROLS,
    ),
    Sample(
        "formats/lakeside.imy",
        "imelody",
        "a tune",
        "iMelody: repeat, folded line, lights and vibration",
        "Python",
        IMELODY.encode,
    ),
    Sample("formats/lakeside.emy", "emelody", "a tune", "eMelody", "Python", EMELODY.encode),
    Sample(
        "formats/tracks.mid",
        "midi",
        "a tune with chords",
        "Standard MIDI type 1",
        "mido",
        lambda: sounds.tune_midi(1),
    ),
    Sample(
        "formats/windows.rmi",
        "midi",
        "a tune with chords",
        "Standard MIDI inside a RIFF file, with a tag",
        "mido",
        _rmi,
    ),
)
