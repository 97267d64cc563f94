"""The roll call of a run's processes, before JAX joins them: who is missing, and whether all of them run the same.

The first process listens where JAX's coordinator will. The others come there and say what they run. When all are
there, each looks for a file that the first has written in the workdir, and then hears whether the run may begin. JAX
alone waits for five minutes without a word, aborts, and compares nothing.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from baichuan_jax.core.disk import mendable_writes
from baichuan_jax.core.errors import TryAgain, UserError, code_of, error_of
from baichuan_jax.parallel.caller import PAUSE, Caller, Line, reach, silent

PROTOCOL = "baichuan-jax roll call 1"
REPLY = 5.0  # seconds in which a process that is there answers
VISIBLE = 4.0  # seconds until a file on shared storage is seen everywhere


def roll_call(caller: Caller) -> str:
    """Return the address at which other processes reach this one, when all have come and agree.

    Raise UserError if they do not agree, and TryAgain if one is missing; all that have come raise the same.
    """
    return _call(caller) if caller.number == 0 else _come(caller)


def _call(caller: Caller) -> str:
    """Hold the roll call, as the first process."""
    lines: dict[int, Line] = {}
    verdict: dict[str, Any] | None = None
    try:
        listener = _listen(caller)
        try:
            hosts = _gather(caller, listener, lines)
        finally:
            listener.close()  # JAX's coordinator is to listen there
        _show_workdir(caller, lines)
        seen_from_afar = next((host for host in hosts if not _is_loopback(host)), "")
        verdict = {"code": 0, "message": "", "host": seen_from_afar}
        return seen_from_afar or hosts[0]
    except (UserError, TryAgain) as error:
        verdict = {"code": code_of(error), "message": str(error)}
        raise
    finally:
        for line in lines.values():
            with suppress(OSError):
                if verdict:
                    line.say(verdict)
            line.close()


def _listen(caller: Caller) -> socket.socket:
    """Return a socket that listens at the port of the first process; whoever had it before may be about to go."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    while True:
        try:
            return socket.create_server(
                ("", caller.port), family=family, backlog=min(caller.count, 4096), dualstack_ipv6=dual
            )
        except OSError as error:
            if caller.left < PAUSE:
                raise TryAgain(
                    f"process 0 cannot listen at port {caller.port}, as --coordinator has it: {error.strerror}"
                ) from None
            time.sleep(PAUSE)


def _gather(caller: Caller, listener: socket.socket, lines: dict[int, Line]) -> list[str]:
    """Fill `lines` with the other processes; return the addresses at which they have reached this one.

    Raise UserError if one runs something else, and TryAgain if one does not come while those that have come can wait.
    """
    last, hosts = caller.begun + caller.patience, []
    found = {0: caller.facts}
    while not _all_there(caller, lines):
        listener.settimeout(max(last - time.monotonic(), 0.01))
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            raise TryAgain(_missing(caller, lines)) from None
        line = Line(connection)
        try:
            said = line.hear(REPLY)
            number, count, facts, left = (said[name] for name in ("number", "count", "facts", "left"))
        except (OSError, ValueError, KeyError):  # somebody who has come to the wrong door, or has gone
            line.close()
            continue
        _drop_gone(lines)  # one that was started again
        taken = number in lines or number == 0
        lines[-1 - len(lines) if taken else number] = line
        if count != caller.count:
            raise UserError(f"--processes is {caller.count} in process 0 and {count} in process {number}")
        if taken:
            raise UserError(f"two processes have --process {number}; each needs a number of its own")
        found[number] = facts
        last = min(last, time.monotonic() + left)
        hosts.append(connection.getsockname()[0].removeprefix("::ffff:"))
    if differences := different(found):
        raise UserError(
            f"the processes of this run differ: {'; '.join(differences[:5])}. Start all of them with the same command, "
            "code and files"
        )
    return hosts


def _all_there(caller: Caller, lines: dict[int, Line]) -> bool:
    if len(lines) == caller.count - 1:
        _drop_gone(lines)
    return len(lines) == caller.count - 1


def _drop_gone(lines: dict[int, Line]) -> None:
    for number in [number for number, line in lines.items() if not line.is_open()]:
        lines.pop(number).close()


def different(found: Mapping[int, Mapping[str, str]]) -> list[str]:
    """Return in words which facts are not the same in all processes. found: {number of a process: its facts}."""
    told = []
    for name in dict.fromkeys(name for facts in found.values() for name in facts):
        having: dict[str, list[int]] = {}
        for number, facts in sorted(found.items()):
            having.setdefault(facts.get(name, "absent"), []).append(number)
        if len(having) > 1:
            told.append(f"{name} is " + " and ".join(f"{value} in {_named(who)}" for value, who in having.items()))
    return told


def _named(numbers: Sequence[int]) -> str:
    some = ", ".join(map(str, numbers[:5])) + (", ..." if len(numbers) > 5 else "")
    return f"process {some}" if len(numbers) == 1 else f"processes {some}"


def _missing(caller: Caller, lines: Mapping[int, Line]) -> str:
    absent = [number for number in range(1, caller.count) if number not in lines]
    verb, more = ("has", "it has") if len(absent) == 1 else ("have", "they have")
    unknown = _unknown(caller.host)
    why = f": {unknown}" if unknown else f"; {more} to reach --coordinator {caller.address}"
    return (
        f"{_named(absent)} of {caller.count} {verb} not come within {time.monotonic() - caller.begun:.0f} s "
        f"(--heartbeat){why}"
    )


def _unknown(host: str) -> str:
    """Return what to say of a host that has no address, "" if it has one."""
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        return f"there is no host {host!r} ({error.strerror})"
    return ""


def _show_workdir(caller: Caller, lines: Mapping[int, Line]) -> None:
    """Raise UserError if a process does not see what is written in the workdir."""
    blind = []
    with _token(caller.workdir) as name:
        for line in lines.values():
            with suppress(OSError):
                line.say({"protocol": PROTOCOL, "file": name})
        for number, line in lines.items():
            try:
                if where := line.hear(VISIBLE + REPLY)["blind"]:
                    blind.append(f"process {number} at {where}")
            except (OSError, ValueError, KeyError):
                raise TryAgain(f"process {number} of {caller.count} has gone while the others came") from None
    if blind:
        raise UserError(
            f"RunConfig.workdir is not shared: what process 0 has written in {caller.workdir.absolute()} is not seen "
            f"by {', '.join(blind[:5])}; choose a directory on storage that all hosts mount"
        )


@contextmanager
def _token(workdir: Path) -> Iterator[str]:
    """Yield the name of a file in the workdir, where it is while the block runs.

    A workdir that is made for it is removed again: whether the run may begin is yet to be seen.
    """
    new = [folder for folder in (workdir, *workdir.parents) if not folder.exists()]
    token = workdir / f".roll-call-{secrets.token_hex(8)}"
    try:
        with mendable_writes("the run", workdir):
            workdir.mkdir(parents=True, exist_ok=True)
            token.touch()
    except OSError as error:
        raise UserError(f"RunConfig.workdir = {str(workdir)!r}: no directory ({error.strerror})") from error
    try:
        yield token.name
    finally:
        with suppress(OSError):
            token.unlink()
            for folder in new:
                folder.rmdir()


def _come(caller: Caller) -> str:
    """Answer the roll call, as one of the others."""
    while True:
        line = Line(reach(caller))
        try:
            line.say(
                {
                    "number": caller.number,
                    "count": caller.count,
                    "facts": dict(caller.facts),
                    "left": caller.left,
                }
            )
            said = line.hear(caller.left + REPLY)
            if said.get("protocol") == PROTOCOL:
                own = line.connection.getsockname()[0].removeprefix("::ffff:")
                line.say({"blind": _blind(caller.workdir, said["file"])})
                said = line.hear(VISIBLE + 2 * REPLY)
            code, message = said["code"], said["message"]
        except (OSError, ValueError, KeyError) as error:  # what listens there is no process of this run, or has gone
            if caller.left < PAUSE:
                raise TryAgain(silent(caller, f"it does not answer ({error})")) from None
            time.sleep(PAUSE)
            continue
        finally:
            line.close()
        if code:
            raise error_of(code, message)
        reach(caller).close()  # when JAX's coordinator listens; JAX itself would wait a second and try again
        return said["host"] if said["host"] and _is_loopback(own) else own


def _blind(workdir: Path, name: str) -> str:
    """Return where a file of the workdir is not seen, "" if it is."""
    last = time.monotonic() + VISIBLE
    while not (workdir / name).exists():
        if time.monotonic() > last:
            return str(workdir.absolute())
        time.sleep(PAUSE)
    return ""


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"
