"""Run a command as on a kernel that lacks something: ``python -m tests.lacking landlock|seccomp -- COMMAND``.

A filter of system calls, which the command and all its children inherit, answers as such a kernel would.
Linux on x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_LANDLOCK = range(444, 447)
_PRCTL, _SECCOMP, _PR_SET_SECCOMP = 157, 317, 22
_LOAD, _IS, _RETURN, _ALLOW, _ERRNO = 0x20, 0x15, 0x06, 0x7FFF0000, 0x00050000
_NUMBER, _FIRST_ARGUMENT = 0, 16
_Rule = tuple[int, int, int, int]


def _rules(what: str) -> list[_Rule]:
    if what == "landlock":
        refused = [
            rule for number in _LANDLOCK for rule in ((_IS, 0, 1, number), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS))
        ]
        return [(_LOAD, 0, 0, _NUMBER), *refused, (_RETURN, 0, 0, _ALLOW)]
    if what == "seccomp":
        return [
            (_LOAD, 0, 0, _NUMBER),
            (_IS, 0, 1, _SECCOMP),
            (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
            (_IS, 0, 3, _PRCTL),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_IS, 0, 1, _PR_SET_SECCOMP),
            (_RETURN, 0, 0, _ERRNO | errno.EINVAL),
            (_RETURN, 0, 0, _ALLOW),
        ]
    sys.exit(f"{what}: expected landlock or seccomp")


def take_away(what: str) -> None:
    """Take it from this process and all its children."""
    rules = _rules(what)
    program = b"".join(struct.pack("=HBBI", *rule) for rule in rules)
    kept = ctypes.create_string_buffer(program, len(program))
    whole = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(kept)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, 2, whole, 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))


def main() -> None:
    """Take it away, then become the command."""
    what, _, *command = sys.argv[1:]
    take_away(what)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
