"""The pack and unpack commands: a prepared message as an MM1 PDU, and one taken apart; no logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmsprep.cli.printing import JsonFlag, console_for, print_json, reported, say


def pack(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A prepared message's folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The file to write, like out.mms.")],
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="NUMBER", help="A recipient; may be given several times.")
    ] = None,
    sender: Annotated[str, typer.Option("--from", metavar="NUMBER", help="The sender; the relay inserts it.")] = "",
    country: Annotated[str, typer.Option("--country", help="Complete numbers of this country, like AU.")] = "",
    retrieved: Annotated[
        bool, typer.Option("--retrieved", help="Write what the recipient's phone gets (M-Retrieve.conf).")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Ask for a delivery report.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
) -> None:
    """Write a prepared message as an MM1 PDU (MMS encapsulation), as modems, mmsd and relays take it.

    It is an M-Send.req, what a phone hands to its relay, or with --retrieved an M-Retrieve.conf.
    """
    with reported():
        from mmsprep.message import read_message
        from mmsprep.message.folder import write_new_file
        from mmsprep.mm1 import pack_message
        from mmsprep.sender.address import msisdn

        recipients = [msisdn(one, country).digits for one in to or []]
        number = msisdn(sender, country).digits if sender else ""
        message = read_message(folder)
        pdu = pack_message(message, recipients=recipients, sender=number, retrieved=retrieved, delivery_report=report)
        write_new_file(pdu, output, overwrite=force)
        if not recipients and not retrieved:
            say("note: it names no recipient (--to NUMBER), which a relay wants before it takes it")
        say(f"{len(pdu):,} bytes ({message.total_bytes:,} with MIME headers), written to {output}")


def unpack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An MM1 PDU.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="A folder for the parts and pdu.json, new or empty."),
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Read an MM1 PDU of any kind: show what it says, and with -o write its parts into a folder."""
    with reported(json_output):
        from mmsprep.cli.tables import pdu_table
        from mmsprep.mm1 import document, read_pdu, write_unpacked

        found = read_pdu(file)
        if output:
            write_unpacked(found, output)
        if json_output:
            print_json(document(found))
        else:
            console_for().print(pdu_table(found))
        if output:
            say(f"written to {output}")
