"""The commands that only look: inspect, profiles, doctor, status."""

from __future__ import annotations

from typing import Annotated

import typer

from mmsprep.cli.printing import (
    ForOption,
    JsonFlag,
    ProfileOption,
    console_for,
    inputs_of,
    print_json,
    profiles_that_begin,
    put,
    reported,
    say,
)
from mmsprep.errors import UsageError
from mmsprep.model import Phones

profiles_app = typer.Typer(help="The networks and handset classes that mmsprep knows.")

Files = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Files to send; a folder means its files, - reads one from stdin."),
]


def inspect(
    files: Files, profile: ProfileOption = "smsglobal", phones: ForOption = Phones.USUAL, json_output: JsonFlag = False
) -> None:
    """Say what each file really is and what prepare would do with it; nothing is encoded."""
    with reported(json_output):
        from mmsprep import pipeline
        from mmsprep.cli.documents import inspection_document
        from mmsprep.cli.tables import inspection_table
        from mmsprep.profile import load_profile, variant_of

        rules = load_profile(variant_of(profile, phones))
        found = pipeline.inspect(inputs_of(files), profile=rules)
        if json_output:
            print_json(inspection_document(found, rules))
        else:
            console_for().print(inspection_table(found, rules.message.limit_bytes))
        errors = [one.error for one in found if one.error]
        if errors:
            raise typer.Exit(errors[0].exit_status)


@profiles_app.callback(invoke_without_command=True)
def profiles(context: typer.Context) -> None:
    """List the profiles; 'profiles show NAME' shows one."""
    if context.invoked_subcommand:
        return
    with reported():
        from mmsprep.profile import load_profile, network_names, profile_names

        for title, names in (("", profile_names()), ("For a relay of a network of its own (MM7):", network_names())):
            if title:
                put("")
                put(title)
            for name in names:
                found = load_profile(name)
                put(f"{name:18} {found.message.limit_bytes:>9,} bytes  {found.title}")


@profiles_app.command("suggest")
def profiles_suggest(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="A number with its country code, or two letters.")],
    json_output: JsonFlag = False,
) -> None:
    """What is publicly known of the networks of a number's country, the strictest first."""
    with reported(json_output):
        from mmsprep.cli.documents import suggestions_document
        from mmsprep.cli.tables import suggestions_table
        from mmsprep.profile import suggestions
        from mmsprep.sender import msisdn
        from mmsprep.sender.address import country_of

        country = number.upper() if len(number) == 2 and number.isalpha() else country_of(msisdn(number))
        found = suggestions(country)
        if json_output:
            print_json(suggestions_document(country, found))
            return
        if found:
            console_for().print(suggestions_table(found))
            say("Numbers move between networks and keep their digits: these are what it may be, not what it is.")
        else:
            say(f"nothing is known of the networks of {country or 'that number'}; the profile smsglobal is for any")
        say("SMSGlobal's own limit is 300 kB (profile smsglobal); a network's profile is for a relay of that network.")


@profiles_app.command("show")
def profiles_show(
    name: Annotated[str, typer.Argument(help="A profile's name, or a .toml file.", autocompletion=profiles_that_begin)],
) -> None:
    """Show a profile's limits, targets and compatibility table."""
    with reported():
        from mmsprep.cli.tables import profile_table
        from mmsprep.profile import load_profile

        console_for().print(profile_table(load_profile(name)))


def doctor(json_output: JsonFlag = False) -> None:
    """Say what is installed, which ffmpeg is used, what is missing and how to get it."""
    with reported(json_output):
        from mmsprep.doctor import diagnose

        found = diagnose()
        # Each is loaded where it is needed: this command is for when something is missing.
        if json_output:
            from mmsprep.cli.documents import diagnosis_document

            print_json(diagnosis_document(found))
        else:
            from mmsprep.cli.tables import diagnosis_table

            console_for().print(diagnosis_table(found))
        if any(not check.ok and check.needed for check in found):
            raise typer.Exit(7)


def status(
    code: Annotated[int | None, typer.Argument(metavar="[CODE]", help="A code like 4006; all of them without.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Explain a status code of the gateway: what it means and what to do."""
    with reported(json_output):
        from mmsprep.cli.documents import status_document
        from mmsprep.cli.tables import status_table
        from mmsprep.mm7.status import STATUSES, status_of

        found = list(STATUSES.values()) if code is None else [status_of(code)]
        statuses = [one for one in found if one]
        if not statuses:
            raise UsageError(f"{code}: is no status of an MMS gateway; they are 0 and 1000 to 4999")
        if json_output:
            print_json(status_document(statuses))
        else:
            console_for().print(status_table(statuses))
