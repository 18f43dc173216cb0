"""The sandbox's page: what a browser gets, and what Chromium makes of it."""

from __future__ import annotations

import base64
import re
import socket
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("starlette", reason="the extra mmsprep[sandbox] is not installed")

from PIL import Image, ImageDraw, ImageFont
from sandbox_client import (
    JPEG,
    NUMBER,
    Script,
    fields,
    part,
    picture,
    post_form,
    post_mm7,
    script_running,
    smil,
    submit_request,
)

from mmsprep import prepare, send
from mmsprep.message import Message
from mmsprep.message.mime import build_related
from mmsprep.mm1 import unpack
from mmsprep.sandbox import Sandbox
from mmsprep.sender import Via
from mmsprep.sender.account import sandbox_account

HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
_WAIT_MS = 60_000


def get(gateway: Sandbox, path: str, **headers: str) -> httpx.Response:
    return httpx.get(gateway.url + path, headers=headers, trust_env=False, timeout=60)


def send_hostile(gateway: Sandbox) -> None:
    """Markup wherever a client can put some."""
    name = f'x"{HOSTILE}.txt'
    text = part("t1", "text/plain", HOSTILE.encode(), Content_Location=name)
    content = build_related([smil('<text src="cid:t1"/>'), text], "application/smil")
    reply = post_mm7(gateway, submit_request(content, subject=HOSTILE))
    assert reply.status_code == 1000, reply.details
    post_form(gateway, fields(**{HOSTILE: "1"}), headers={"X-Test": HOSTILE})


# Without a browser


def test_markup_in_a_message_is_text(gateway: Sandbox) -> None:
    send_hostile(gateway)
    first, second = (exchange.number for exchange in gateway.exchanges)
    for path in ("/", "/inbox", f"/messages/{first}", f"/messages/{first}/panel", f"/messages/{second}"):
        html = get(gateway, path).text
        assert "window.hacked" in html
        assert not re.search(r"<script(?! src=\"/static/sandbox\.js\")|<img src=x", html)


def test_the_raw_request_is_readable(gateway: Sandbox) -> None:
    """Base64 and binary data are counted, not shown; everything else is."""
    encoded = part("b.jpg", "image/jpeg", base64.encodebytes(picture(side_px=200)), Content_Transfer_Encoding="base64")
    content = build_related(
        [smil('<img src="a.jpg"/>'), part("a.jpg", "image/jpeg", JPEG), encoded], "application/smil"
    )
    post_mm7(gateway, submit_request(content, subject="Hi there"))
    post_form(gateway, fields(("photo.jpg", "image/jpeg", picture(side_px=200))))
    soap, form = (get(gateway, f"/messages/{one.number}").text for one in gateway.exchanges)
    assert "&lt;Subject&gt;Hi there&lt;/Subject&gt;" in soap
    assert re.search(r"\[[0-9,]+ bytes of binary data\]", soap)
    assert re.search(r"\[[0-9,]+ characters of base64\]", soap)
    assert re.search(r"\n&amp;attachment0=\S{60} … \[[0-9,]+ more characters\]\n&amp;type0=image%2Fjpeg\n", form)
    assert len(soap) < 20_000
    assert len(form) < 20_000


def test_every_answer_has_strict_headers(gateway: Sandbox) -> None:
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG)))
    number = gateway.exchanges[-1].number
    paths = ["/", "/inbox", f"/messages/{number}/panel", f"/messages/{number}/parts/1", "/static/sandbox.js", "/gone"]
    paths += [f"/messages/{number}/raw", f"/messages/{number}/parts/1/original", "/sandbox/messages"]
    for path in paths:
        headers = get(gateway, path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
    assert get(gateway, f"/messages/{number}/parts/1").headers["content-type"] == "image/jpeg"
    for path in (f"/messages/{number}/raw", f"/messages/{number}/parts/1/original"):
        headers = get(gateway, path).headers
        assert headers["content-type"] == "application/octet-stream"
        assert headers["content-disposition"].startswith("attachment")
    assert get(gateway, f"/messages/{number}/parts/1/original").content == JPEG


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("gateway.localhost:80", 200),
        ("[::1]:8765", 200),
        ("192.168.1.7:8765", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ],
)
def test_a_strange_host_name_is_turned_away(gateway: Sandbox, host: str, status: int) -> None:
    """A page on the internet can let its own name point to this machine."""
    assert get(gateway, "/", Host=host).status_code == status
    answer = httpx.post(gateway.form_url, data=fields(), headers={"Host": host}, trust_env=False)
    assert answer.status_code == status


@pytest.mark.parametrize(("origin", "allowed"), [("http://evil.example", False), ("null", False), ("", True)])
def test_another_site_gives_no_orders(gateway: Sandbox, origin: str, allowed: bool) -> None:
    headers = {"Origin": origin} if origin else {}
    for method, path in (("DELETE", "/sandbox/messages"), ("PUT", "/sandbox/faults"), ("POST", "/sandbox/push")):
        response = httpx.request(method, gateway.url + path, headers=headers, content=b"[]", trust_env=False)
        assert (response.status_code == 403) is not allowed
    own = httpx.put(f"{gateway.url}/sandbox/faults", json=[], headers={"Origin": gateway.url}, trust_env=False)
    assert own.status_code == 200


def test_what_is_not_there_is_404(gateway: Sandbox) -> None:
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG)))
    number = gateway.exchanges[-1].number
    for path in ("/messages/999", "/messages/999/panel", "/messages/x", f"/messages/{number}/parts/2"):
        assert get(gateway, path).status_code == 404
    for path in ("play.mp4", "play.wav", "play.exe", "play...", "../../request", "%2e%2e/request"):
        assert get(gateway, f"/messages/{number}/parts/1/{path}").status_code == 404


def test_only_the_last_messages_are_kept() -> None:
    with Sandbox(keep=3) as gateway:
        folder = gateway.traffic.part_path(1, 0).parent.parent
        for _ in range(5):
            post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG)))
        assert [exchange.number for exchange in gateway.exchanges] == [3, 4, 5]
        assert sorted(path.name for path in folder.iterdir()) == ["3", "4", "5"]
        assert get(gateway, "/messages/1").status_code == 404
        assert ">of 5</small>" in get(gateway, "/").text, "what is not kept is not hidden"
        assert all(
            exchange.judgement.submission is not None and not exchange.judgement.submission.content.bodies
            for exchange in gateway.exchanges
        )
    assert not folder.exists()


def test_a_request_beyond_all_reason_is_not_read_to_its_end(gateway: Sandbox) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(400):
            yield b"x" * 1_000_000

    try:
        status = httpx.post(gateway.form_url, content=endless(), trust_env=False, timeout=60).status_code
    except httpx.TransportError:
        status = 413
    assert status == 413
    assert "more than 32,000,000 bytes" in gateway.exchanges[-1].judgement.reason
    assert post_form(gateway, fields()).startswith("Success")


def test_a_client_that_goes_away_is_listed(gateway: Sandbox) -> None:
    with httpx.Client(trust_env=False, timeout=60) as client, client.stream("GET", f"{gateway.url}/events") as events:
        lines = events.iter_lines()
        next(lines)
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(b"POST /mms/mm7.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        ends_at = time.monotonic() + 60
        while next(lines) != "event: exchange":
            assert time.monotonic() < ends_at, "word that it is there is all that comes"
    assert "went away" in gateway.exchanges[-1].judgement.reason


def test_messages_can_be_read_in_json(gateway: Sandbox) -> None:
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG), subject="Hi"))
    post_form(gateway, fields(number="+61"))
    accepted, refused = get(gateway, "/sandbox/messages").json()["messages"]
    assert (accepted["accepted"], accepted["to"], accepted["subject"], accepted["door"]) == (True, NUMBER, "Hi", "form")
    assert [one["kind"] for one in accepted["parts"]] == ["text", "image"]
    assert (refused["accepted"], refused["status_code"]) == (False, 2002)
    assert get(gateway, f"/sandbox/messages/{accepted['number']}").json() == accepted
    assert httpx.delete(f"{gateway.url}/sandbox/messages", trust_env=False).status_code == 204
    assert gateway.exchanges == ()


# With a browser

Page = Any


@pytest.mark.parametrize("number", ["9" * 5000, "\u0664", "-1", "1e3", "999999999"])
def test_a_number_that_is_none_is_not_found(gateway: Sandbox, number: str) -> None:
    assert get(gateway, f"/inbox?selected={number}").status_code == 200
    for path in (f"/messages/{number}", f"/messages/{number}/parts/{number}", f"/sandbox/messages/{number}"):
        assert get(gateway, path).status_code == 404


@pytest.fixture
def page(chromium: Any, gateway: Sandbox) -> Iterator[Page]:
    """The sandbox's page, listening for news; an error in it fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(_WAIT_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto(gateway.url)
    opened.wait_for_selector("#live[data-state=on]")
    yield opened
    context.close()
    assert not errors


def _plays(page: Page, selector: str) -> bool:
    """Whether the element's time advances after it was told to play."""
    page.wait_for_selector(selector, state="attached")
    page.evaluate("selector => { const it = document.querySelector(selector); it.muted = true; it.play(); }", selector)
    page.wait_for_function(
        "selector => { const it = document.querySelector(selector);"
        " return it.currentTime > 0.2 && it.readyState >= 2; }",
        arg=selector,
    )
    return True


def test_a_message_appears_without_reload_and_everything_in_it_shows_or_plays(
    page: Page, gateway: Sandbox, make: Callable[[str, str], bytes], sample_media: Path
) -> None:
    clip = make(
        "-f lavfi -i testsrc=size=176x144:rate=15:d=3 -f lavfi -i sine=d=3 -c:v h263 -c:a libopencore_amrnb"
        " -ar 8000 -ac 1 -b:a 12.2k",
        "3gp",
    )
    voice = make("-f lavfi -i sine=d=3 -c:a libopencore_amrnb -ar 8000 -ac 1 -b:a 12.2k", "amr")
    adpcm = make("-f lavfi -i sine=d=3 -c:a adpcm_ima_wav -ar 8000 -ac 1", "wav")
    midi = (sample_media / "message" / "ringtone.mid").read_bytes()
    logo = (sample_media / "formats" / "logo.wbmp").read_bytes()
    page.evaluate("window.marker = 'still the same page'")
    answer = post_form(
        gateway,
        fields(
            ("photo.jpg", "image/jpeg", JPEG),
            ("clip.3gp", "video/3gpp", clip),
            ("voice.amr", "audio/amr", voice),
            ("note.wav", "audio/wav", adpcm),
            ("song.mid", "audio/midi", midi),
            ("logo.wbmp", "image/vnd.wap.wbmp", logo),
            subject="Ein Wochenende",
            message="Grüße vom See",
        ),
    )
    assert answer.startswith("Success"), answer
    page.wait_for_selector(".handset .slide")
    assert page.evaluate("window.marker") == "still the same page"
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('.slide img')];"
        " return all.length === 2 && all.every(one => one.complete && one.naturalWidth > 0); }"
    )
    assert page.evaluate("document.querySelector('.slide img').naturalWidth") == 64
    assert _plays(page, ".slide video")
    assert page.evaluate("document.querySelector('.slide video').videoWidth") > 0
    assert page.locator(".sound figcaption").all_inner_texts() == ["voice.amr", "note.wav"]
    assert _plays(page, ".slide:has(figcaption) audio")
    assert _plays(page, ".slide:has(figcaption) ~ .slide:has(figcaption) audio")
    assert page.inner_text(".subject") == "Ein Wochenende"
    assert page.inner_text(".slide .text") == "Grüße vom See"
    assert "song.mid" in page.inner_text(".card")
    assert str(gateway.accepted[-1].judgement.message_id) in page.inner_text(".verdict")


def test_slides_stand_in_the_order_of_the_presentation(page: Page, gateway: Sandbox) -> None:
    parts = [part(f"{name}-slide.txt", "text/plain", name.encode()) for name in ("first", "second", "third")]
    presentation = smil(*(f'<text src="{name}-slide.txt"/>' for name in ("third", "first", "second")))
    post_mm7(gateway, submit_request(build_related([presentation, *parts], "application/smil")))
    page.wait_for_selector(".slide")
    assert page.locator(".slide .text").all_inner_texts() == ["third", "first", "second"]
    assert page.locator(".slide .turn").all_inner_texts()[0] == "1 / 3 · 4 s"


@pytest.fixture(scope="module")
def chat() -> Message:
    """A tall chat in pages; a stripe along its side gets brighter from its top to its end."""
    height_px, font = 10_600, ImageFont.load_default(18)
    picture = Image.new("RGB", (500, height_px), "white")
    drawn = ImageDraw.Draw(picture)
    for top in range(0, height_px, 20):
        drawn.rectangle((0, top, 20, top + 19), fill=(top // 20 * 250 // (height_px // 20), 0, 0))
    for row in range(height_px // 80):
        drawn.text((40, row * 80 + 6), f"{row}: bring the tickets", font=font, fill=(20, 20, 20))
    file = BytesIO()
    picture.save(file, "PNG")
    return prepare([("chat.png", file.getvalue())], text="our chat")


_TOPS = """() => [...document.querySelectorAll('.slide img')].map(image => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    const top = context.getImageData(2, 2, 1, 1).data[0];
    const bottom = context.getImageData(2, canvas.height - 3, 1, 1).data[0];
    return [image.naturalWidth, image.naturalHeight, top, bottom];
})"""


@pytest.mark.parametrize("via", list(Via))
def test_the_pages_of_a_tall_picture_stand_in_their_order(
    page: Page, gateway: Sandbox, chat: Message, via: Via
) -> None:
    assert len(chat.parts) > 2
    send(chat, to=NUMBER, account=sandbox_account(gateway.url), via=via)
    page.wait_for_function(
        "count => { const all = [...document.querySelectorAll('.slide img')];"
        " return all.length === count && all.every(one => one.complete && one.naturalWidth > 0); }",
        arg=len(chat.parts),
    )
    shown = page.evaluate(_TOPS)
    assert [(width, height) for width, height, *_ in shown] == [(part.width_px, part.height_px) for part in chat.parts]
    ends = [bright for _, _, *both in shown for bright in both]
    assert ends == sorted(ends) and ends[0] < 10 and ends[-1] > 230
    assert page.inner_text(".slide .text") == "our chat"


def test_the_slides_play_one_after_the_other(page: Page, gateway: Sandbox, make: Callable[[str, str], bytes]) -> None:
    voice = part("voice.amr", "audio/amr", make("-f lavfi -i sine=d=9 -c:a libopencore_amrnb -ar 8000 -ac 1", "amr"))
    presentation = smil('<img src="photo.jpg"/>', '<audio src="voice.amr"/>', seconds=1)
    parts = [presentation, part("photo.jpg", "image/jpeg", JPEG), voice]
    post_mm7(gateway, submit_request(build_related(parts, "application/smil")))
    page.wait_for_selector(".slide audio")
    page.click("[data-play]")
    page.wait_for_selector(".slide.now img")
    page.wait_for_selector(".slide.past + .slide.now audio")
    page.wait_for_function("() => !document.querySelector('.slide.now')")
    assert page.get_attribute("[data-play]", "aria-pressed") == "false"
    assert page.evaluate("document.querySelector('.slide audio').paused")


_UNFOLDED_PANEL_SAYS = """text => {
    const folded = document.querySelector('.wire details');
    if (folded) folded.open = true;
    return document.querySelector('#panel').innerText.includes(text);
}"""
"""A panel may be drawn anew while it is looked at, so that unfolding it once is not enough."""


def test_a_hostile_message_runs_nothing(page: Page, gateway: Sandbox) -> None:
    send_hostile(gateway)
    page.wait_for_function("() => document.querySelectorAll('.requests li').length === 2")
    for exchange in gateway.exchanges:
        page.click(f".requests a[data-number='{exchange.number}']")
        page.wait_for_selector(f"#panel[data-number='{exchange.number}']")
        page.wait_for_function(_UNFOLDED_PANEL_SAYS, arg=HOSTILE)
    page.click(f".requests a[data-number='{gateway.exchanges[0].number}']")
    page.wait_for_selector(".subject")
    assert page.inner_text(".subject") == HOSTILE
    assert page.inner_text(".slide .text") == HOSTILE
    page.goto(f"{gateway.url}/messages/{gateway.exchanges[0].number}")
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("img[src=x]").count() == 0


def test_a_refused_request_is_listed_with_its_reason(page: Page, gateway: Sandbox) -> None:
    post_form(gateway, fields(("photo.gif", "image/gif", JPEG)))
    page.wait_for_selector(".verdict.no")
    assert "declared as image/gif, but it is JPEG" in page.inner_text(".verdict")
    assert "2004" in page.inner_text(".requests")
    assert "Nothing arrived" in page.inner_text(".handset")
    page.click(".wire details:nth-of-type(1) summary")
    assert "photo.gif" in page.inner_text(".wire pre")
    assert "content-type" in page.inner_text(".headers").lower()


def test_who_reads_an_older_message_is_not_torn_away(page: Page, gateway: Sandbox) -> None:
    post_form(gateway, fields(message="one"))
    post_form(gateway, fields(message="two"))
    page.wait_for_function("() => document.querySelector('.slide .text')?.innerText === 'two'")
    page.click(f".requests a[data-number='{gateway.exchanges[0].number}']")
    page.wait_for_function("() => document.querySelector('.slide .text')?.innerText === 'one'")
    post_form(gateway, fields(message="three"))
    page.wait_for_function("() => document.querySelectorAll('.requests li').length === 3")
    assert page.inner_text(".slide .text") == "one"
    page.go_back()
    page.wait_for_function("() => document.querySelector('.slide .text')?.innerText === 'three'")


def test_the_handset_replies_to_a_script(page: Page, gateway: Sandbox) -> None:
    post_form(gateway, fields(message="How was it?"))
    page.wait_for_selector(".composer")
    with script_running() as script:
        script.answers = [(500, "database is down")]
        page.fill(".composer [name=url]", script.url)
        page.fill(".composer [name=message]", f"Lovely! {HOSTILE}")
        file = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": JPEG}
        page.set_input_files(".composer [type=file]", [file])
        page.click(".composer button")
        page.wait_for_selector(".reply.ok")
        _check_reply(script)
    assert "OK after 2 attempts" in page.inner_text(".reply")
    assert HOSTILE in page.inner_text(".reply")
    page.click(".reply summary")
    assert "500 database is down" in page.inner_text(".reply")
    assert page.input_value(".composer [name=message]") == ""


def _check_reply(script: Script) -> None:
    assert script.forms[0] == script.forms[1]
    form = script.forms[1]
    assert form["from"] == NUMBER
    assert form["message"] == f"Lovely! {HOSTILE}"
    assert (form["content_name0"], form["content_type0"]) == ("photo.jpg", "image/jpeg")


def test_a_fault_can_be_asked_for_on_the_page(page: Page, gateway: Sandbox) -> None:
    page.click(".faults summary")
    page.select_option(".fault-form [name=what]", "503")
    page.fill(".fault-form [name=times]", "2")
    page.click(".fault-form button")
    page.wait_for_selector(".faults li")
    assert [str(fault) for fault in gateway.faults.waiting] == ["503,times=2"]
    assert httpx.post(gateway.form_url, data=fields(), trust_env=False).status_code == 503
    page.wait_for_selector(".notice")
    assert "503" in page.inner_text(".notice")
    page.click(".faults [data-quiet] button.quiet")
    page.wait_for_function("() => document.querySelectorAll('.faults li').length === 0")
    assert gateway.faults.waiting == ()


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_out_of_reach_at_any_width_empty_or_not(
    chromium: Any, gateway: Sandbox, width: int, scheme: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    for wanted in (".welcome h1", ".slide img", ".parts"):
        if wanted == ".slide img":
            post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG), message="Hello", subject="Holiday"))
        page.goto(gateway.url)
        page.wait_for_selector(wanted)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        lefts = page.evaluate(
            "[...document.querySelectorAll('body *')].map(one => one.getBoundingClientRect())"
            ".filter(box => box.width && box.height).map(box => box.left)"
        )
        assert min(lefts) >= 0
        box = page.locator(wanted).first.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        # Whatever scrolls, nothing of it lies above the top.
        assert box["y"] >= 0
    context.close()


@pytest.fixture
def many(gateway: Sandbox) -> Iterator[None]:
    """More requests than any window is high; one of them refused, one by MM7."""
    for number in range(52):
        post_form(gateway, fields(message=f"Hello {number}", subject=f"holiday {number}"))
    post_form(gateway, fields(message="late") | {"number": "12"})
    _send_hostile_text(gateway)
    yield


def test_the_details_of_an_old_message_are_seen_when_it_is_chosen(page: Page, many: None) -> None:
    page.wait_for_function("() => document.querySelectorAll('.requests li').length === 54")
    for viewport in ({"width": 1280, "height": 700}, {"width": 390, "height": 700}):
        page.set_viewport_size(viewport)
        page.click(".requests li:first-child a")
        page.wait_for_function("() => document.querySelector('.phones')")
        page.evaluate("() => scrollTo(0, document.documentElement.scrollHeight)")
        page.locator(".requests li:last-child a").evaluate("one => one.click()")
        page.wait_for_function("() => document.querySelector('.subject')?.textContent === 'holiday 0'")
        page.wait_for_function(
            "() => { const box = document.querySelector('.handset').getBoundingClientRect();"
            " return box.top >= 0 && box.top < innerHeight / 2; }"
        )
        if viewport["width"] > 1200:
            verdict = page.locator(".verdict").bounding_box()
            assert 0 <= verdict["y"] < 700


def test_requests_are_found_by_words_and_by_kind(page: Page, many: None) -> None:
    page.wait_for_function("() => document.querySelectorAll('.requests li').length === 54")
    shown = page.locator(".requests li:visible")
    # The list is drawn once for every request that came; what is asked while it is drawn is answered when it stands.
    counted = "(many) => [...document.querySelectorAll('.requests li')].filter(li => li.offsetParent).length === many"
    page.fill("#search [name=words]", "Holiday 37")
    page.wait_for_function(counted, arg=1)
    assert "holiday 37" in shown.inner_text()
    assert page.inner_text(".count") == "1 of 54"
    page.fill("#search [name=words]", "no such thing")
    page.wait_for_function(counted, arg=0)
    assert page.is_visible("#nothing-found")
    page.fill("#search [name=words]", "")
    page.select_option("#search [name=only]", "no")
    page.wait_for_function(counted, arg=1)
    assert "Refused" in shown.inner_text()
    page.select_option("#search [name=only]", "mm7")
    page.wait_for_function(counted, arg=1)
    assert "MM7" in shown.inner_text()
    page.select_option("#search [name=only]", "")
    page.wait_for_function(counted, arg=54)
    assert page.inner_text(".count") == "54"


def test_what_is_looked_for_stays_looked_for_when_a_message_comes(page: Page, gateway: Sandbox) -> None:
    post_form(gateway, fields(message="apples"))
    page.wait_for_selector(".requests li")
    page.fill("#search [name=words]", "apples")
    post_form(gateway, fields(message="pears"))
    page.wait_for_function("() => document.querySelectorAll('.requests li').length === 2")
    page.wait_for_function("() => document.querySelector('.count').textContent === '1 of 2'")
    assert page.input_value("#search [name=words]") == "apples"


@pytest.mark.parametrize(("at_start", "first"), [("1", "text"), ("0", "img")])
def test_a_text_is_shown_where_it_was_asked_for(page: Page, gateway: Sandbox, at_start: str, first: str) -> None:
    asked = {"message_at_start": at_start}
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG), message="Hello") | asked)
    page.wait_for_selector(".slide img")
    text, picture = (page.locator(one).bounding_box()["y"] for one in (".slide .text", ".slide img"))
    assert (text < picture) == (first == "text")


def test_a_message_is_saved_as_a_page_and_as_the_pdu_that_a_phone_gets(gateway: Sandbox) -> None:
    post_form(gateway, fields(("photo.jpg", "image/jpeg", JPEG), message="Grüße", subject="<b>Holiday</b>"))
    _send_hostile_text(gateway)
    first, second = (one["number"] for one in get(gateway, "/sandbox/messages").json()["messages"][-2:])
    page = get(gateway, f"/messages/{first}/message.html")
    assert page.status_code == 200 and "attachment" in page.headers["content-disposition"]
    assert "data:image/jpeg;base64," in page.text and "<b>Holiday" not in page.text and "http://" not in page.text
    pdu = get(gateway, f"/messages/{first}/message.mms")
    assert pdu.headers["content-type"] == "application/vnd.wap.mms-message"
    found = unpack(pdu.content, "message.mms")
    assert dict(found.pdu.fields)["Subject"] == "<b>Holiday</b>" and found.text == "Grüße"
    assert JPEG in [one.data for one in found.parts]
    assert unpack(get(gateway, f"/messages/{second}/message.mms").content, "hostile.mms").text
    assert get(gateway, f"/messages/{second}/message.html").status_code == 200
    post_form(gateway, fields(message="late") | {"number": "12"})
    for path in (
        f"/messages/{second + 1}/message.mms",
        f"/messages/{first}/message.exe",
        "/messages/99999/message.html",
    ):
        assert get(gateway, path).status_code == 404


def test_the_page_fits_a_phone(chromium: Any, gateway: Sandbox) -> None:
    post_form(gateway, fields(("a" * 90 + ".jpg", "image/jpeg", JPEG), message="word" * 100, subject="w" * 80))
    context = chromium.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    page.goto(gateway.url)
    page.wait_for_selector(".slide img")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 18, 24)"
    context.close()


def test_the_page_works_without_scripts(chromium: Any, gateway: Sandbox) -> None:
    post_form(gateway, fields(message="one"))
    post_form(gateway, fields(message="two"))
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    page.goto(gateway.url)
    assert page.inner_text(".slide .text") == "two"
    page.click(".requests li:last-child a")
    assert page.inner_text(".slide .text") == "one"
    with script_running() as script:
        page.fill(".composer [name=url]", script.url)
        page.fill(".composer [name=message]", "plain")
        page.click(".composer button")
        page.wait_for_url("**/messages/*")
        with script.got_one:
            assert script.got_one.wait_for(lambda: script.forms, timeout=60)
    assert script.forms[0]["message"] == "plain"
    context.close()


def _send_hostile_text(gateway: Sandbox) -> None:
    text = part("t1", "text/plain", HOSTILE.encode())
    content = build_related([smil('<text src="cid:t1"/>'), text], "application/smil")
    assert post_mm7(gateway, submit_request(content, subject=HOSTILE)).status_code == 1000


def test_the_message_is_shown_as_phones_of_some_years_present_it(gateway: Sandbox, chromium: Any) -> None:
    """The choice stays for the next message; a stranger's markup is text there too."""
    _send_hostile_text(gateway)
    problems: list[str] = []
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.on("console", lambda told: problems.append(told.text))
    page.goto(gateway.url)
    page.wait_for_function("() => live.dataset.state === 'on'", timeout=_WAIT_MS)
    page.click("[data-phone='2007']")
    frame = page.frame_locator(".year")
    frame.locator(".phone").wait_for(timeout=_WAIT_MS)
    assert HOSTILE in frame.locator(".screen pre").inner_text()
    assert not page.locator(".handset").is_visible()
    newest = page.get_attribute("#panel", "data-number")
    _send_hostile_text(gateway)
    page.wait_for_function(f"() => panel.dataset.number !== '{newest}'", timeout=_WAIT_MS)
    frame.locator(".phone").wait_for(timeout=_WAIT_MS)
    page.click("[data-phone='']")
    assert page.locator(".handset").is_visible()
    assert not page.evaluate("window.hacked")
    assert not problems
    page.close()


def test_there_is_no_phone_of_any_other_year_and_none_of_what_was_refused(gateway: Sandbox) -> None:
    send_hostile(gateway)
    number = gateway.exchanges[-1].number
    assert get(gateway, f"/messages/{number}/phones/1999").status_code == 404
    assert get(gateway, "/messages/999/phones/2007").status_code == 404
