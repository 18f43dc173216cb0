"""A cage for one process: limits, no network, no other programs, and no files but those it needs.

Comes in: a plan of plain values (:class:`mmsprep.tools.process.Cage` writes it). Goes out: the names of the defences
that this system has; from then on the process that asked is held by them, for good. Never: an import that is not
of the standard library, or a failure because the system lacks a defence (Linux has all of them, other systems some).

Run as a script it shuts itself in and then becomes another program: ``python -I -S confine.py KEY=VALUE ... --
program ...``; without a program it prints which defences hold. A program that is started through it needs no
``preexec_fn``, which is unsafe in a process with threads. It loads next to nothing, as each run of ffmpeg waits for it.

Landlock and seccomp are asked by their stable system calls: what PyPI has for them is alpha, or needs a system
library that many systems lack, and would have to be loaded before every run of ffmpeg.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LIMITS, DEATH, FILES, NETWORK, PROGRAMS = "limits", "end with parent", "files", "network", "programs"
"""The defences, by the names that :func:`confine` returns."""

NOT_STARTED = 127
"""Exit status of the script when the program cannot be started."""

_SYSTEM_FILES = ("/usr", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/etc/ld.so.cache", "/etc/ld.so.conf.d")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL = 9

# linux/landlock.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_RIGHTS_BY_ABI = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
_TCP, _SCOPES = 0b11, 0b11

# linux/seccomp.h, linux/filter.h, linux/audit.h
_LOAD, _IS, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_THREAD = 0x10000
_X32 = 0x40000000


class _Calls:
    """System calls of one kind of machine, by number.

    ``network``: socket, io_uring_setup. ``fork``: fork, vfork. ``execute``: execve, execveat. ``never``: what
    administers a system or looks into other processes (ptrace, pivot_root, chroot, mount, umount2, init_module,
    kexec_load, add_key, request_key, keyctl, unshare, perf_event_open, open_by_handle_at, setns,
    process_vm_readv, process_vm_writev, finit_module, bpf, userfaultfd).
    """

    def __init__(
        self,
        arch: int,
        network: tuple[int, ...],
        fork: tuple[int, ...],
        execute: tuple[int, ...],
        clone: int,
        never: tuple[int, ...],
    ) -> None:
        self.arch, self.network, self.fork, self.execute = arch, network, fork, execute
        self.clone, self.never = clone, never


_CALLS = {
    "x86_64": _Calls(
        0xC000003E,
        (41, 425),
        (57, 58),
        (59, 322),
        56,
        (101, 155, 161, 165, 166, 175, 246, 248, 249, 250, 272, 298, 304, 308, 310, 311, 313, 321, 323),
    ),
    "aarch64": _Calls(
        0xC00000B7,
        (198, 425),
        (),
        (221, 281),
        220,
        (117, 41, 51, 40, 39, 105, 104, 217, 218, 219, 97, 241, 265, 268, 270, 271, 273, 280, 282),
    ),
}
_NEVER_ANYWHERE = (428, 429, 430, 438)
"""open_tree, move_mount, fsopen, pidfd_getfd: the same numbers on every machine."""
_CLONE3 = 435


Plan = dict[str, list[str]]
"""Values by key. ``memory_bytes``, ``cpu_s``, ``file_bytes``: one number each. ``read``, ``write``: paths that may be
read, written. ``program``: the only one that may be executed. ``allow``: ``any-file`` may be read, ``children`` may
be started. ``end``: ``with-parent``, which is the thread that started this process."""


def confine(plan: Plan) -> list[str]:
    """Hold this process by what ``plan`` says, as far as the system can; the defences that hold."""
    held = [LIMITS] if _limit(plan) else []
    if not sys.platform.startswith("linux"):
        return held
    libc = ctypes.CDLL(None, use_errno=True)
    if plan.get("end") and libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0) == 0:
        held.append(DEATH)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return held
    if _close_files(libc, plan):
        held.append(FILES)
    return held + _close_calls(libc, plan)


def _limit(plan: Plan) -> bool:
    if resource is None:
        return False
    wanted = [(resource.RLIMIT_CORE, 0)]
    wanted += [(resource.RLIMIT_CPU, int(number)) for number in plan.get("cpu_s", [])]
    wanted += [(resource.RLIMIT_FSIZE, int(number)) for number in plan.get("file_bytes", [])]
    for number in plan.get("memory_bytes", []):
        # What is written to counts in the one; threads reserve far more than that in the other.
        wanted += [(resource.RLIMIT_DATA, int(number)), (resource.RLIMIT_AS, 4 * int(number))]
    held = True
    for kind, value in wanted:
        _, hard = resource.getrlimit(kind)
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            # Over the softer limit of CPU time a process is told, over the harder one it is killed; the softer
            # one of the decoders' is moved from one file to the next.
            resource.setrlimit(kind, (limit, hard if kind == resource.RLIMIT_CPU else limit))
        except (OSError, ValueError):
            held = False
    return held


def _close_files(libc: ctypes.CDLL, plan: Plan) -> bool:
    """Landlock: only the paths of the plan, the system's libraries and a few devices."""
    abi = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return False
    rights = _RIGHTS_BY_ABI[min(abi, len(_RIGHTS_BY_ABI) - 1)]
    attributes = (ctypes.c_uint64 * 3)(rights, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    allowed = plan.get("allow", [])
    read = _READ_FILE | _READ_DIR | (_EXECUTE if "children" in allowed else 0)
    for path in ("/",) if "any-file" in allowed else (*_SYSTEM_FILES, *_DEVICES, *plan.get("read", [])):
        _allow(libc, ruleset, path, read)
    _allow(libc, ruleset, "/dev/null", _READ_FILE | _WRITE_FILE)
    for path in plan.get("write", []):
        _allow(libc, ruleset, path, rights & ~_EXECUTE)
    for program in plan.get("program", []):
        # A dynamic program begins in the loader.
        for path in (program, *_loaders()):
            _allow(libc, ruleset, path, _READ_FILE | _EXECUTE)
    held = bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    os.close(ruleset)
    return held


def _loaders() -> list[str]:
    machine = os.uname().machine
    places = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", f"/lib/ld-musl-{machine}.so.1")
    return [place for place in places if os.path.exists(place)]  # noqa: PTH110 (pathlib takes long to load)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Add one path to the ruleset; one that does not exist needs no permission."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112
        rights &= _OF_A_FILE
    rule = rights.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder)
    libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    os.close(place)


def _close_calls(libc: ctypes.CDLL, plan: Plan) -> list[str]:
    """Seccomp: no sockets, no further processes, nothing that administers a system."""
    calls = _CALLS.get(os.uname().machine)
    if calls is None or sys.maxsize < 1 << 32:
        return []
    alone = "children" not in plan.get("allow", [])
    denied = [*calls.never, *calls.network, *_NEVER_ANYWHERE]
    if alone:
        # With a program in the plan, the script itself has yet to become it; Landlock knows which one.
        denied += [*calls.fork, *(() if plan.get("program") else calls.execute)]
    rules = [(_LOAD, 0, 0, 4), (_IS, 1, 0, calls.arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    rules += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    for call in denied:
        rules += [(_IS, 0, 1, call), (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    if alone:
        # clone3 hides its flags from a filter; without it the C library falls back to clone.
        rules += [(_IS, 0, 1, _CLONE3), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]
        rules += [(_IS, 0, 3, calls.clone), (_LOAD, 0, 0, 16)]
        rules += [(_HAS_BITS, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    rules.append((_RETURN, 0, 0, _ALLOW))
    program = b"".join(
        code.to_bytes(2, sys.byteorder) + bytes((yes, no)) + value.to_bytes(4, sys.byteorder)
        for code, yes, no, value in rules
    )
    kept = ctypes.create_string_buffer(program, len(program))
    if libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(_Program(len(rules), ctypes.addressof(kept))), 0, 0) != 0:
        return []
    return [NETWORK, PROGRAMS] if alone else [NETWORK]


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def main() -> None:
    """Shut this process in, then become the program of the arguments, or say what holds."""
    plan: dict[str, list[str]] = {}
    words = iter(sys.argv[1:])
    for word in words:
        if word == "--":
            break
        key, _, value = word.partition("=")
        plan.setdefault(key, []).append(value)
    command = list(words)
    held = confine(plan)
    if not command:
        print("\n".join(held))
        return
    try:
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"cannot be started ({error.strerror})", file=sys.stderr)
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main()
