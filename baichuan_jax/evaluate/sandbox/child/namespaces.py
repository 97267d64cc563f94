"""Isolation of a process: no network, no other processes, no files except libraries and a scratch folder."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sysconfig

from baichuan_jax.evaluate.sandbox.child.libc import call

NOBODY = 65534
SCRATCH, HOST = "/scratch", b"sandbox"
# linux/sched.h: mount, cgroup, uts, ipc, user, pid and network namespaces.
NEW = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
# linux/mount.h
NOSUID, NODEV, NOEXEC, BIND, RECURSIVE, PRIVATE, DETACH = 2, 4, 8, 4096, 16384, 1 << 18, 2
MOUNT_SETATTR, READ_ONLY, BELOW = 442, 1, 0x8000  # the call has one number on every machine
# linux/prctl.h
PDEATHSIG, SET_DUMPABLE, CAPBSET_DROP, NO_NEW_PRIVS = 1, 4, 24, 38
SIGKILL = 9


def die_with_parent() -> None:
    """Have this process killed when its parent exits."""
    call("prctl", PDEATHSIG, SIGKILL, 0, 0, 0)


def leave() -> None:
    """Enter new namespaces; the next child is the first process of the new PID namespace.

    An ordinary user is mapped to nobody. Root stays root, and nobody is mapped too for `become_nobody`.
    """
    user, group = os.geteuid(), os.getegid()
    if user:
        call("unshare", NEW)
        _write("self", setgroups="deny", uid_map=f"{NOBODY} {user} 1", gid_map=f"{NOBODY} {group} 1")
        return
    wait, go = os.pipe()
    outside = os.fork()
    if not outside:  # who may say which users there are must stay outside
        os.close(go)
        os.read(wait, 1)
        users = f"0 0 1\n{NOBODY} {NOBODY} 1"
        _write(str(os.getppid()), uid_map=users, gid_map=users)
        os._exit(0)
    call("unshare", NEW)
    os.close(go)
    if os.waitpid(outside, 0)[1]:
        raise OSError(errno.EPERM, "uid_map: not permitted")


def _write(process: str, **files: str) -> None:
    for name, text in files.items():
        with open(f"/proc/{process}/{name}", "w") as file:
            file.write(text)


def become_nobody() -> None:
    """If this is root, become nobody, whose number of processes can be limited."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def libraries() -> list[str]:
    """Return the distinct directories that a Python program needs."""
    stdlib = os.path.realpath(sysconfig.get_path("stdlib"))
    paths = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", os.path.dirname(stdlib))
    inside = lambda path: any(path != other and path.startswith(f"{other}/") for other in paths)
    return [
        path for path in dict.fromkeys(paths) if os.path.isdir(path) and not os.path.islink(path) and not inside(path)
    ]


def build_root(size: int) -> None:
    """Make a root with only the read-only libraries and an empty scratch folder of `size` bytes; hide the host name."""
    paths, place = libraries(), "/proc"  # a directory that is always there, and hides nothing we need
    call("mount", b"none", b"/", None, RECURSIVE | PRIVATE, None)
    call("mount", b"tmpfs", place.encode(), b"tmpfs", NOSUID | NODEV, b"size=1m,mode=755")
    for path in paths:
        os.makedirs(place + path)
        _bind(path, place, READ_ONLY | NOSUID | NODEV)
    for path in ("/lib", "/lib64"):
        if os.path.islink(path) and not os.path.lexists(place + path):
            os.symlink(os.readlink(path), place + path)
    os.mkdir(f"{place}/dev")
    os.close(os.open(f"{place}/dev/null", os.O_CREAT))
    _bind("/dev/null", place, NOSUID | NOEXEC)
    os.mkdir(place + SCRATCH)
    call("sethostname", HOST, len(HOST))
    options = f"size={size},nr_inodes=4096,mode=700,uid={NOBODY},gid={NOBODY}"
    call("mount", b"tmpfs", (place + SCRATCH).encode(), b"tmpfs", NOSUID | NODEV, options.encode())
    _set(place, 0, READ_ONLY)
    os.chdir(place)
    call("pivot_root", b".", b".")
    call("umount2", b".", DETACH)
    os.chdir(SCRATCH)


def _bind(path: str, root: str, attributes: int) -> None:
    call("mount", path.encode(), (root + path).encode(), None, BIND | RECURSIVE, None)
    _set(root + path, BELOW, attributes)


def _set(target: str, how: int, attributes: int) -> None:
    wanted = struct.pack("=4Q", attributes, 0, 0, 0)
    call("syscall", MOUNT_SETATTR, -100, target.encode(), how, ctypes.c_char_p(wanted), len(wanted))


def drop_capabilities() -> None:
    """Drop all capabilities, and the ability to gain any by executing a program."""
    call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)
    capability = 0
    while True:
        try:
            call("prctl", CAPBSET_DROP, capability, 0, 0, 0)
        except OSError:  # the kernel has no more of them
            break
        capability += 1
    call("capset", struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", *[0] * 6))
    call("prctl", SET_DUMPABLE, 0, 0, 0, 0)  # nobody inside may look into this one
