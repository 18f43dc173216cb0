"""A cage for one process: limits, no network, no other programs, and no files but those it needs.

Comes in: a plan of plain values (:class:`mmsprep.tools.cage.Cage` writes it). Goes out: the names of the defences
that this system has; from then on the process that asked is held by them, for good. Never: an import that is not
of the standard library, or a failure because the system lacks a defence (Linux has all of them, other systems some).

A process that runs :func:`main` shuts itself in by its arguments, ``KEY=VALUE ... -- program ...``, and then becomes
that program, or goes on as the Python that it is; without either it prints which defences hold. A program that is
started through it needs no ``preexec_fn``, which is unsafe in a process with threads. It loads next to nothing, as each
run of ffmpeg waits for it.

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

LIMITS, DEATH, FILES, RIGHTS = "limits", "end with parent", "files", "rights"
NETWORK, PROGRAMS = "network", "programs"
DEFENCES = (LIMITS, DEATH, FILES, RIGHTS, NETWORK, PROGRAMS)
"""The defences, by the names that :func:`confine` returns."""

NOT_STARTED = 127
"""Exit status when the program cannot be started."""

_SYSTEM_FILES = (
    *(
        "/lib",
        "/lib32",
        "/lib64",
        "/usr/lib",
        "/usr/lib32",
        "/usr/lib64",
        "/usr/libexec",
        "/usr/local/lib",
        "/nix/store",
    ),
    *("/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/mime", "/etc/ld.so.cache", "/etc/ld.so.conf.d"),
)
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
_LOAD, _IS, _AT_LEAST, _HAS_BITS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_CLONE_THREAD = 0x10000
_X32 = 0x40000000

_MACHINE = ""
if sys.platform != "win32":
    _MACHINE = os.uname().machine
_PATH_ALONE = getattr(os, "O_PATH", 0) | getattr(os, "O_CLOEXEC", 0)

_Rule = tuple[int, int, int, int]
"""Code, rules to skip if so, rules to skip if not, value."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_NO, _NOT_THERE, _YES = ((_RETURN, 0, 0, answer) for answer in (_FAIL | errno.EPERM, _FAIL | errno.ENOSYS, _ALLOW))
_ARCHITECTURES = {"x86_64": (0xC000003E, 1), "aarch64": (0xC00000B7, 2)}
"""AUDIT_ARCH of a machine, and its column in the tables of system calls."""
_HARMLESS = """
read 0 63; write 1 64; readv 19 65; writev 20 66; pread64 17 67; pwrite64 18 68; preadv 295 69; pwritev 296 70;
preadv2 327 286; pwritev2 328 287; lseek 8 62; close 3 57; close_range 436 436; stat 4 -; fstat 5 80; lstat 6 -;
newfstatat 262 79; statx 332 291; statfs 137 43; fstatfs 138 44; access 21 -; faccessat 269 48;
faccessat2 439 439; readlink 89 -; readlinkat 267 78; getcwd 79 17; getdents 78 -; getdents64 217 61; mmap 9 222;
munmap 11 215; mprotect 10 226; mremap 25 216; madvise 28 233; brk 12 214; mincore 27 232; msync 26 227;
rt_sigaction 13 134; rt_sigprocmask 14 135; rt_sigreturn 15 139; rt_sigpending 127 136; rt_sigtimedwait 128 137;
rt_sigsuspend 130 133; sigaltstack 131 132; restart_syscall 219 128; futex 202 98; futex_waitv 449 449;
set_robust_list 273 99; get_robust_list 274 100; set_tid_address 218 96; rseq 334 293; membarrier 324 283;
exit 60 93; exit_group 231 94; gettid 186 178; getpid 39 172; getppid 110 173; getpgrp 111 -; getpgid 121 155;
getsid 124 156; getuid 102 174; geteuid 107 175; getgid 104 176; getegid 108 177; getresuid 118 148;
getresgid 120 150; getgroups 115 158; capget 125 90; clock_gettime 228 113; clock_getres 229 114;
clock_nanosleep 230 115; nanosleep 35 101; gettimeofday 96 169; time 201 -; times 100 153; getitimer 36 102;
setitimer 38 103; alarm 37 -; pause 34 -; timer_create 222 107; timer_settime 223 110; timer_gettime 224 108;
timer_getoverrun 225 109; timer_delete 226 111; timerfd_create 283 85; timerfd_settime 286 86;
timerfd_gettime 287 87; getrandom 318 278; uname 63 160; sysinfo 99 179; getrusage 98 165; getrlimit 97 163;
getcpu 309 168; sched_yield 24 124; sched_getaffinity 204 123; sched_getparam 143 121;
sched_getscheduler 145 120; sched_get_priority_max 146 125; sched_get_priority_min 147 126;
sched_rr_get_interval 148 127; get_mempolicy 239 236; getpriority 140 141; poll 7 -; ppoll 271 73; select 23 -;
pselect6 270 72; epoll_create 213 -; epoll_create1 291 20; epoll_ctl 233 21; epoll_wait 232 -;
epoll_pwait 281 22; eventfd 284 -; eventfd2 290 19; pipe 22 -; pipe2 293 59; dup 32 23; dup2 33 -; dup3 292 24;
fcntl 72 25; flock 73 32; fsync 74 82; fdatasync 75 83; sync_file_range 277 84; fadvise64 221 223;
readahead 187 213; copy_file_range 326 285; sendfile 40 71; splice 275 76; tee 276 77; chdir 80 49; fchdir 81 50;
arch_prctl 158 -; recvmsg 47 212; recvfrom 45 207
"""
"""What computing needs and what reads or writes through open descriptors: name, number on x86-64, on arm64."""
_CHANGES = """
creat 85 -; ftruncate 77 46; fallocate 285 47; umask 95 166; rename 82 -; renameat 264 38; renameat2 316 276;
unlink 87 -; unlinkat 263 35; mkdir 83 -; mkdirat 258 34; rmdir 84 -
"""
"""What changes folders and lengths of files; which ones, Landlock says."""
_EXECUTES = "execve 59 221; execveat 322 281"
_STARTS = "fork 57 -; vfork 58 -; wait4 61 260; waitid 247 95; setrlimit 160 164"
_CHECKED = """
open 2 -; openat 257 56; clone 56 220; clone3 435 435; kill 62 129; tgkill 234 131; tkill 200 130; prctl 157 167;
ioctl 16 29; prlimit64 302 261
"""
"""What is allowed with harmless arguments alone."""
_NEWER = 451
"""From this number on a call is answered as one that the kernel does not have, so that libraries do without it."""
_IOCTLS = (0x5401, 0x5450, 0x5451, 0x541B)
"""TCGETS, FIONCLEX, FIOCLEX, FIONREAD."""
_PRCTLS = (3, 4, 15, 16, 38, 39, 0x53564D41)
"""Reading and setting whether memory may be dumped, a thread's name, that privileges stay dropped; names of memory."""
_O_TRUNC, _O_ACCMODE = 0o1000, 0o3

# linux/capability.h
_PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _CLEAR_ALL = 24, 47, 4
_CAPABILITY_VERSION, _MOST_CAPABILITIES, _READ_ANY = 0x20080522, 64, 2


Plan = dict[str, list[str]]
"""Values by key. ``memory_bytes``, ``cpu_s``, ``file_bytes``: one number each. ``read``, ``write``: paths that may be
read, written. ``program``: the only one that may be executed. ``script``: a file of Python whose ``main`` this process
runs in the end, instead. ``allow``: ``any-file`` may be read, ``children`` may be started. ``end``: ``with-parent``,
which is the thread that started this process. ``keep``: ``read-any``, the capability to read what the account that
started this process may read."""


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
    if _drop_capabilities(libc, plan):
        held.append(RIGHTS)
    return held + _close_calls(libc, plan)


def landlock_abi() -> int:
    """Which version of Landlock this kernel has, 0 for none. Below 3 a file can be emptied through a descriptor that
    only reads, which the filter of system calls refuses by itself; below 6 signals reach other processes, likewise."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def lacking() -> list[str]:
    """Which of :data:`DEFENCES` this system has not, asked without being held by any; no more than a few system calls.

    A system that has one may still refuse it to a child: :func:`mmsprep.tools.defences.defences` tries.
    """
    if not sys.platform.startswith("linux"):
        return [name for name in DEFENCES if name != LIMITS or resource is None]
    found = [] if landlock_abi() else [FILES]
    libc = ctypes.CDLL(None, use_errno=True)
    # A filter that lies nowhere is refused for that, where filters are taken at all (seccomp(2)).
    libc.prctl(_PR_SET_SECCOMP, 2, None, 0, 0)
    known = _MACHINE in _ARCHITECTURES and sys.maxsize > 1 << 32
    return found if known and ctypes.get_errno() == errno.EFAULT else [*found, NETWORK, PROGRAMS]


def _limit(plan: Plan) -> bool:
    held = [limit("CORE", 0)]
    # Over the softer limit of CPU time a process is told, over the harder one it is killed; the softer one of the
    # decoders' is moved from one file to the next.
    held += [limit("CPU", int(number), soft_only=True) for number in plan.get("cpu_s", [])]
    held += [limit("FSIZE", int(number)) for number in plan.get("file_bytes", [])]
    for number in plan.get("memory_bytes", []):
        # What is written to counts in the one; threads reserve far more than that in the other.
        held += [limit("DATA", int(number)), limit("AS", 4 * int(number))]
    return all(held)


def limit(kind: str, value: int, *, soft_only: bool = False) -> bool:
    """Hold this process to ``value`` of ``RLIMIT_<kind>``, or to less where it is held to less already.

    The only place that sets a limit, as systems differ: macOS answers some with an error, others lack the kind.

    Returns:
        Whether the limit holds; without it the process goes on.
    """
    number = getattr(resource, f"RLIMIT_{kind}", None)
    if sys.platform == "win32" or resource is None or number is None:
        return False
    try:
        _, hard = resource.getrlimit(number)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, hard if soft_only else value))
    except (OSError, ValueError):
        return False
    return True


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
    musl = f"/lib/ld-musl-{_MACHINE}.so.1"
    places = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", musl)
    return [place for place in places if os.path.exists(place)]  # noqa: PTH110 (pathlib takes long to load)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Add one path to the ruleset; one that does not exist needs no permission."""
    try:
        place = os.open(path, _PATH_ALONE)
    except OSError:
        return
    if not os.path.isdir(path):  # noqa: PTH112
        rights &= _OF_A_FILE
    rule = rights.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder)
    libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    os.close(place)


def _drop_capabilities(libc: ctypes.CDLL, plan: Plan) -> bool:
    """No capability of an administrator's, now or after becoming another program."""
    kept = 1 << _READ_ANY if "read-any" in plan.get("keep", []) else 0
    for capability in range(_MOST_CAPABILITIES):
        # Without the right to do so none could come back through a program either.
        if not kept >> capability & 1:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    current = (ctypes.c_uint32 * 6)()
    if libc.capget(header, current) != 0:
        return False
    left = current[1] & kept
    return bool(libc.capset(header, (ctypes.c_uint32 * 6)(left, left, 0, 0, 0, 0)) == 0)


def _close_calls(libc: ctypes.CDLL, plan: Plan) -> list[str]:
    """Seccomp: what computing needs, and nothing else: no sockets, no other processes, no file's owner or mode."""
    architecture = _ARCHITECTURES.get(_MACHINE)
    if architecture is None or sys.maxsize < 1 << 32:
        return []
    audit, column = architecture
    alone = "children" not in plan.get("allow", [])
    words = [_HARMLESS]
    words += [_CHANGES] if plan.get("write") or not alone else []
    # With a program in the plan, this process has yet to become it; Landlock knows which one.
    words += [_EXECUTES] if plan.get("program") or not alone else []
    words += [] if alone else [_STARTS]
    allowed = sorted(number for table in words for number in _numbers(table, column).values())
    checked = _numbers(_CHECKED, column)
    rules = [(_LOAD, 0, 0, _ARCHITECTURE), (_IS, 1, 0, audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    rules += [(_AT_LEAST, 0, 1, _X32), _NO]
    # clone3 hides its flags from a filter; without it the C library falls back to clone.
    rules += [(_IS, 0, 1, checked["clone3"]), _NOT_THERE]
    if alone:
        rules += _when(checked["clone"], _low(0), (_HAS_BITS, 1, 0, _CLONE_THREAD))
        for name in ("kill", "tgkill"):
            rules += _when(checked[name], _low(0), (_IS, 1, 0, os.getpid()))
        rules += _when(checked["prlimit64"], _low(0), (_IS, 1, 0, 0))
    else:
        allowed = sorted([*allowed, *(checked[name] for name in ("clone", "kill", "tgkill", "prlimit64"))])
    rules += _one_of(checked["prctl"], 0, _PRCTLS) + _one_of(checked["ioctl"], 1, _IOCTLS)
    for name, place in (("open", 1), ("openat", 2)):
        if name in checked:
            # To read and to empty: before its third version Landlock takes that for reading.
            emptied = (_AND, 0, 0, _O_TRUNC | _O_ACCMODE), (_IS, 0, 1, _O_TRUNC), _NO
            rules += [(_IS, 0, 5, checked[name]), _low(place), *emptied, _YES]
    for first, last in _ranges(allowed):
        rules += [(_AT_LEAST, 1, 0, first), _NO, (_AT_LEAST, 1, 0, last + 1), _YES]
    rules += [(_AT_LEAST, 0, 1, _NEWER), _NOT_THERE, _NO]
    program = b"".join(
        code.to_bytes(2, sys.byteorder) + bytes((yes, no)) + value.to_bytes(4, sys.byteorder)
        for code, yes, no, value in rules
    )
    kept = ctypes.create_string_buffer(program, len(program))
    if libc.prctl(_PR_SET_SECCOMP, 2, ctypes.byref(_Program(len(rules), ctypes.addressof(kept))), 0, 0) != 0:
        return []
    return [NETWORK, PROGRAMS] if alone else [NETWORK]


def _low(place: int) -> _Rule:
    """Load the lower half of an argument (both machines are little-endian)."""
    return (_LOAD, 0, 0, _FIRST_ARGUMENT + 8 * place)


def _when(number: int, load: _Rule, test: _Rule) -> list[_Rule]:
    """Allow a call whose argument passes ``test``, which skips one rule if so."""
    return [(_IS, 0, 4, number), load, test, _NO, _YES]


def _one_of(number: int, place: int, values: tuple[int, ...]) -> list[_Rule]:
    """Allow a call with one of ``values`` as an argument."""
    tests = [(_IS, len(values) - index, 0, value) for index, value in enumerate(values)]
    return [(_IS, 0, len(values) + 3, number), _low(place), *tests, _NO, _YES]


def _numbers(table: str, column: int) -> dict[str, int]:
    rows = [row.split() for row in table.split(";")]
    return {row[0]: int(row[column]) for row in rows if row and row[column] != "-"}


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    """Neighbouring numbers as first and last."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


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
    for script in plan.get("script", []):
        _run(script)
        return
    if not command:
        print("\n".join(held))
        return
    try:
        os.execv(command[0], command)  # noqa: S606
    except OSError as error:
        print(f"cannot be started ({error.strerror})", file=sys.stderr)
        sys.exit(NOT_STARTED)


def _run(script: str) -> None:
    """``main`` of a file of Python, as a module: that is compiled once, a script at every start."""
    from importlib.machinery import SourceFileLoader

    # Its folder may be closed already, so it is not looked for.
    module = type(sys)(os.path.basename(script).removesuffix(".py"))  # noqa: PTH119
    SourceFileLoader(module.__name__, script).exec_module(module)
    module.main()
