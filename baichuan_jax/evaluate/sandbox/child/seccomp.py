"""Filter of system calls for a sandboxed program (seccomp, BPF).

It blocks what namespaces and limits leave: sockets of every family, memory that no limit counts, new namespaces, limits
and scheduling of other processes, the kernel's log, and calls that are used mostly to attack a kernel.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from baichuan_jax.evaluate.sandbox.child.libc import call

# Machine -> (AUDIT_ARCH of the kernel, {call: number}); linux/audit.h, asm/unistd.h. "-": it has no such call.
DENIED = (
    "add_key bpf chroot io_uring_enter io_uring_register io_uring_setup kcmp keyctl memfd_create memfd_secret mount "
    "mq_open msgget open_by_handle_at perf_event_open pidfd_getfd pivot_root process_vm_readv process_vm_writev ptrace "
    "request_key semget setns shmat shmget socket umount2 unshare userfaultfd "
    "fanotify_init inotify_init inotify_init1 ioprio_set migrate_pages modify_ldt move_pages personality "
    "process_madvise sched_setaffinity sched_setattr sched_setparam sched_setscheduler setpriority socketpair syslog "
    "timer_create prlimit64 clone clone3"
).split()
NUMBERS = {
    "x86_64": (
        0xC000003E,
        "248 321 161 426 427 425 312 250 319 447 165 240 68 304 298 438 155 310 311 101 249 64 308 30 29 41 166 272 "
        "323 300 253 294 251 256 154 279 135 440 203 314 142 144 141 53 103 222 302 56 435",
    ),
    "aarch64": (
        0xC00000B7,
        "217 280 51 426 427 425 272 219 279 447 40 180 186 265 241 438 41 270 271 117 218 190 268 196 194 198 39 97 "
        "282 262 - 26 30 238 - 239 92 440 122 274 118 119 140 199 116 107 261 220 435",
    ),
}
NAMESPACES = 0x7E020000  # flags of clone that make one
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions of classic BPF
NUMBER, ARCH, FIRST_ARGUMENT = 0, 4, 16  # where struct seccomp_data has them
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
SET_SECCOMP, FILTER = 22, 2


def program() -> bytes:
    """Return the filter. Raise OSError on an unknown architecture."""
    if platform.machine() not in NUMBERS:
        raise OSError(errno.ENOSYS, f"no table of the system calls of {platform.machine()}")
    arch, numbers = NUMBERS[platform.machine()]
    known = zip(DENIED, numbers.split(), strict=True)
    numbers = {name: int(number) for name, number in known if number != "-"}
    prlimit, clone, clone3 = (numbers.pop(name) for name in ("prlimit64", "clone", "clone3"))
    code = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    code += [(AT_LEAST, 0, 1, 0x40000000), (RETURN, 0, 0, KILL)]  # x32: the same calls by other numbers
    for number in numbers.values():
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERROR | errno.EPERM)]
    # A process may set limits of its own, which are process 0's.
    code += [(EQUAL, 0, 4, prlimit), (LOAD, 0, 0, FIRST_ARGUMENT), (EQUAL, 1, 0, 0)]
    code += [(RETURN, 0, 0, ERROR | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    # The flags of clone3 lie in memory, which a filter cannot read; without it, libraries use clone.
    code += [(EQUAL, 0, 1, clone3), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    code += [(EQUAL, 0, 3, clone), (LOAD, 0, 0, FIRST_ARGUMENT), (ANY_BIT, 0, 1, NAMESPACES)]
    code += [(RETURN, 0, 0, ERROR | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def deny() -> None:
    """Install the filter for this process and its descendants; this cannot be undone."""
    code = program()
    call("prctl", SET_SECCOMP, FILTER, ctypes.byref(_Program(len(code) // 8, code)), 0, 0)
