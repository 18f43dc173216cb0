"""A script that posted its own form to SMSGlobal before; two lines make it send what phones play.

Run it: python plain_script.py 61409317436 "Hello" photo.heic voice.ogg
"""

from __future__ import annotations

import base64
import mimetypes
import os
import sys
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

from mmsprep import MmsprepError, pre_send
from mmsprep.printable import printable


def post(outgoing: dict) -> str:
    """The script's own sending, unchanged."""
    fields = {
        "username": os.environ["SMSGLOBAL_USERNAME"],
        "password": os.environ["SMSGLOBAL_PASSWORD"],
        "number": outgoing["number"],
        "message": outgoing["message"],
    }
    for place, path in enumerate(outgoing["files"]):
        fields[f"attachment{place}"] = base64.b64encode(Path(path).read_bytes()).decode()
        fields[f"type{place}"] = mimetypes.guess_type(path)[0]
        fields[f"name{place}"] = Path(path).name
    gateway = os.environ.get("SMSGLOBAL_URL", "https://api.smsglobal.com")
    with urlopen(f"{gateway}/mms/sendmms.php", urlencode(fields).encode(), timeout=120) as reply:
        return reply.read().decode()


def main(number: str, message: str, *files: str) -> int:
    outgoing = {"number": number, "message": message, "files": list(files)}
    try:
        outgoing = pre_send(outgoing, country="AU")
    except MmsprepError as error:
        print(f"cannot be sent: {printable(str(error), lines=True)}", file=sys.stderr)
        return error.exit_status
    print(post(outgoing))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
