"""What a campaign tells while and after it goes: who was not reached and why, in words, in JSON and by its status."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from loopback import answers, gateway, http
from PIL import Image
from test_campaign import listed, numbered
from typer.testing import CliRunner

from mmsprep.cli import app


def run(url: str, *words: object) -> Any:
    environment = {"SMSGLOBAL_USERNAME": "me", "SMSGLOBAL_PASSWORD": "secret", "COLUMNS": "200"}
    return CliRunner().invoke(app, ["campaign", *map(str, words), "--gateway", url], env=environment)


def refuses(*recipients: str) -> Any:
    """Everybody gets an id but these, whose number is barred."""

    def reply(request: Any) -> bytes:
        if request.recipient in recipients:
            return http("FAILURE: number barred")
        return http(f"Success. ID = {request.recipient:0>16}")

    return answers(reply)


def test_the_first_refusals_are_told_by_line_and_the_rest_is_in_the_report(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    refused = [str(61400000000 + n) for n in range(20) if n % 3 != 2]
    path = numbered(tmp_path, 20)
    with gateway(refuses(*refused)) as this:
        done = run(this.url, path, "-m", "Hi {Name}", "--yes", "--max-failures", "100%")
    assert done.exit_code == 10, done.output
    told = [line for line in done.stderr.splitlines() if line.startswith("line ")]
    assert len(told) == 10 and all("number barred" in line for line in told)
    assert "line 2: 61400000000" in done.stderr
    assert done.stderr.count("more of these are in the report alone (send_rejected)") == 1
    assert f"{len(refused):>10,} rejected" in done.stderr and f"{20 - len(refused):>10,} accepted" in done.stderr
    with Path("report.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [" ".join(row) for row in csv.reader(file)]
    assert sum("rejected" in row for row in cells) == len(refused)


def test_what_ends_it_is_an_error_in_json_with_what_became_of_everybody_until_then(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    path = numbered(tmp_path, 12)
    with gateway(refuses(*(str(61400000000 + n) for n in range(12)))) as this:
        done = run(this.url, path, "-m", "Hi {Name}", "--yes", "--json", "--max-failures", "3", "--at-once", "1")
    told = json.loads(done.stdout)
    assert done.exit_code == 10
    assert told["error"]["code"] == "too_many_failures" and "run it again to go on" in done.stderr
    assert told["people"]["rejected"] == 3 and sum(told["people"].values()) == 12
    assert Path(told["report"]).is_file()


def test_who_is_left_out_is_not_asked_about_and_nobody_left_is_an_error(tmp_path: Path, monkeypatch: Any) -> None:
    """A row whose file is broken is left out with --on-error skip, and told."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (40, 40), "red").save("good.png")
    Path("bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    path = listed(tmp_path, "Name,Code,Mobile\nAnn,good,61400000001\nBob,bad,61400000002\n")
    words = [path, "{Code}.png", "-m", "Hi {Name}", "--yes"]
    with gateway(refuses()) as this:
        refused = run(this.url, *words)
        assert refused.exit_code not in (0, 10, 12) and not this.requests, refused.output
        done = run(this.url, *words, "--on-error", "skip", "--json")
        assert [request.recipient for request in this.requests] == ["61400000001"]
        (tmp_path / "no.txt").write_text("61400000001\n61400000002\n")
        nobody = run(this.url, *words, "--except", "no.txt")
    assert done.exit_code == 10 and json.loads(done.stdout)["people"] == {"accepted": 1, "not_prepared": 1}
    assert "bad.png" in done.stderr
    assert nobody.exit_code == 2 and "nobody is left to send to; nothing was sent" in nobody.stderr
