"""Are short texts in the encodings from before Unicode read right? Sentences as people send them.

    python benchmarks/text_encodings.py [--reader mmsprep|chardet] [--list]

Each sentence is encoded in every encoding that its language was written in, decoded and compared character by
character; also the first 40 characters alone, and all sentences of a language as one text. ``--reader chardet``
(``pip install chardet``) reads them by what :func:`chardet.detect` names.

Right of 263, chardet 7.7.0: mmsprep 247, chardet 245 (248 where mmsprep's own checks for UTF-8 and natural text come
first); of the 82 in Windows' encodings, by far the most common ones, 82 and 77. Of 166 short texts that neither was
tuned on 156 and 152. So mmsprep keeps its own reader (``formats/legacy_text.py``).
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from mmsprep.formats.text import decode

_WESTERN = ("cp1252", "cp850", "mac_roman")
_CENTRAL = ("cp1250", "iso8859-2", "cp852")
_CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859-5")
SENTENCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "german": (
        _WESTERN,
        (
            "Schöne Grüße vom See! Die Fähre fährt um neun.",
            "Komme später, der Zug hat Verspätung. Heb mir was vom Kuchen auf!",
            "Können wir uns morgen früh um 8 Uhr am Bahnhof treffen? Liebe Grüße, Jörg",
            "Ihr Paket wurde heute zugestellt. Öffnungszeiten: Mo–Fr 9–18 Uhr.",
            "Süß",
        ),
    ),
    "french": (
        _WESTERN,
        (
            "À bientôt près du château, où il faisait très froid l'été dernier.",
            "Ça va ? Je suis arrivée à la gare, le train a été annulé…",
            "Votre rendez-vous est confirmé pour le 3 août à 14 h. Répondez OUI.",
            "Joyeux Noël à toute la famille !",
        ),
    ),
    "spanish": (
        _WESTERN,
        (
            "¿Vienes mañana a la reunión? Sería a las diez.",
            "¡Feliz cumpleaños! Que lo pases muy bien con tu niña.",
            "Su código de verificación es 4821. No lo comparta con nadie.",
        ),
    ),
    "portuguese": (
        _WESTERN,
        ("Não consigo chegar às oito, há muito trânsito.", "Amanhã é o aniversário da avó, traz um coração de pão!"),
    ),
    "swedish": (
        _WESTERN,
        ("Vi ses på söndag vid sjön, ta med något att äta.", "Är du på väg? Jag står utanför affären."),
    ),
    "danish": (_WESTERN, ("Vi ses på søndag, tag lidt brød og æbler med.", "Hvor er du? Jeg står på Østerbro.")),
    "polish": (
        _CENTRAL,
        (
            "Spotkajmy się jutro o dziewiątej przy łódce.",
            "Weź ciepłą kurtkę, będzie chłodno nad jeziorem.",
            "Dziękuję za wiadomość, oddzwonię później. Miłego dnia!",
            "Twoja paczka czeka w punkcie odbioru przy ul. Świętokrzyskiej 12.",
        ),
    ),
    "czech": (
        _CENTRAL,
        (
            "Sejdeme se zítra v devět u jezera, vezmi si teplou bundu.",
            "Příští vlak jede až večer, počkej na mě prosím.",
            "Děkuji, všechno je v pořádku. Šťastnou cestu!",
        ),
    ),
    "hungarian": (
        _CENTRAL,
        ("Holnap kilenckor találkozunk a tónál, hozz meleg kabátot.", "Köszönöm szépen, győztünk! Mindjárt jövök."),
    ),
    "romanian": (("cp1250", "iso8859-2"), ("Ne vedem mâine dimineaţă lângă lac, adu şi pâine.",)),
    "russian": (
        _CYRILLIC,
        (
            "В субботу едем на озеро, паром отходит в девять.",
            "Привет! Как дела?",
            "Утром будет холодно, возьмите тёплые куртки и чай.",
            "Ваш код подтверждения: 4821. Никому его не сообщайте.",
            "ВНИМАНИЕ! Рейс отменён, позвоните нам.",
            "Да",
        ),
    ),
    "ukrainian": (
        ("cp1251", "koi8_u", "iso8859-5"),
        ("Зустрінемось завтра о дев'ятій біля озера, візьми теплу куртку.", "Привіт! Як справи? Їдемо в суботу."),
    ),
    "bulgarian": (("cp1251",), ("Ще се видим утре в девет до езерото, вземи топло яке.", "Благодаря, пътуваме вече!")),
    "greek": (
        ("cp1253", "iso8859-7"),
        ("Τα λέμε αύριο το πρωί στις εννέα δίπλα στη λίμνη.", "Ευχαριστώ πολύ, χρόνια πολλά!", "Καλημέρα"),
    ),
    "turkish": (
        ("cp1254", "iso8859-9"),
        ("Yarın sabah dokuzda gölün kıyısında buluşalım.", "Doğum günün kutlu olsun! Görüşürüz.", "Teşekkür ederim"),
    ),
    "hebrew": (("cp1255", "iso8859-8"), ("נפגש מחר בתשע בבוקר ליד האגם.", "מזל טוב! יום הולדת שמח", "תודה רבה")),
    "arabic": (("cp1256", "iso8859-6"), ("نلتقي غدا في التاسعة صباحا قرب البحيرة.", "شكرا جزيلا، عيد مبارك", "مرحبا")),
    "thai": (("cp874",), ("พรุ่งนี้เจอกันเก้าโมงเช้าที่ริมทะเลสาบ", "สวัสดีครับ ขอบคุณมาก")),
    "japanese": (
        ("cp932", "euc_jp", "iso2022_jp"),
        (
            "土曜日は湖に行きます。フェリーは九時に出発します。",
            "お誕生日おめでとう！",
            "ありがとう",
            "明日の会議は10時です。",
        ),
    ),
    "simplified chinese": (
        ("gb18030", "gbk"),
        ("星期六我们去湖边。渡船九点钟出发。", "生日快乐！", "您的验证码是4821，请勿告诉他人。", "谢谢"),
    ),
    "traditional chinese": (("big5",), ("星期六我們去湖邊，渡船九點鐘出發。", "生日快樂！", "謝謝您，明天見", "謝謝")),
    "korean": (("cp949",), ("토요일에 호수에 가요. 배는 아홉 시에 떠나요.", "생일 축하해!", "감사합니다", "네")),
}


def cases() -> Iterator[tuple[str, str, str, str]]:
    """Language, encoding, which kind of text, the text; each text once."""
    for language, (encodings, sentences) in SENTENCES.items():
        texts = dict.fromkeys(sentences, "whole")
        texts |= {sentence[:40]: "start" for sentence in sentences if len(sentence) > 50}
        texts["\n".join(sentences)] = "all"
        for encoding in encodings:
            for text, kind in texts.items():
                try:
                    text.encode(encoding)
                except UnicodeEncodeError:
                    continue
                yield language, encoding, kind, text


def by_chardet(data: bytes) -> tuple[str, str] | None:
    """The characters of ``data`` in the encoding that chardet names, and its name; ``None`` where that reads none."""
    from chardet import detect  # noqa: PLC0415 - need not be installed

    encoding = detect(data)["encoding"]
    try:
        return (data.decode(encoding), encoding) if encoding else None
    except (UnicodeDecodeError, LookupError):
        return None


READERS: dict[str, Callable[[bytes], tuple[str, str] | None]] = {"mmsprep": decode, "chardet": by_chardet}


def main() -> None:
    """Decode everything and print the share that came out right."""
    parser = argparse.ArgumentParser(description="Accuracy of the encodings found in short texts.")
    parser.add_argument("--reader", choices=READERS, default="mmsprep")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    read = READERS[options.reader]
    right: Counter[str] = Counter()
    every: Counter[str] = Counter()
    wrong = defaultdict(list)
    for language, encoding, kind, text in cases():
        decoded = read(text.encode(encoding))
        good = decoded is not None and decoded[0] == text
        windows = ["of Windows' encodings"] if encoding.startswith("cp12") else []
        for key in (f"{language}, {encoding}", f"of {kind} texts", *windows, "of all"):
            every[key] += 1
            right[key] += good
        if not good:
            wrong[f"{language}, {encoding}"].append((decoded, text))
    for key, count in every.items():
        print(f"{right[key]:4}/{count:<4} {right[key] / count:6.1%}  {key}")
        for decoded, text in wrong[key] if options.list else []:
            print(f"          {text[:40]!r} as {decoded and (decoded[1], decoded[0][:40])}")


if __name__ == "__main__":
    main()
