"""The processes of a training that is supervised: started, watched by their heartbeats, and ended."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from baichuan_jax.core.errors import AGAIN, MISTAKE
from baichuan_jax.core.heartbeat import Beat, read_beats
from baichuan_jax.core.interrupt import STOPPED, StopRequest

POLL = 0.05  # seconds
FROZEN = 8.0  # seconds after which a process that the system holds is told of
LEAVE = 30.0  # seconds that the others have to end when one has ended for a reason that they share
PDEATHSIG = 1  # of linux/prctl.h


@dataclass(frozen=True)
class Fault:
    """How the processes of an attempt ended. kind: in a word or two. told: in a line. code: of the one that is named.

    step, phase: where that one was.
    """

    kind: str
    told: str
    code: int
    process: int = 0
    step: int = 0
    phase: str = ""

    @property
    def retry(self) -> bool:
        """Whether the same command may go on where it was."""
        return self.code != MISTAKE


class Watched:
    """Processes that run the same training; all of them end when one does.

    numbers: of the processes, in the order of their commands. hang: seconds of silence that are one outside of steps.
    """

    def __init__(self, commands: Sequence[Sequence[str]], numbers: Sequence[int], workdir: Path, hang: float):
        self._numbers, self._workdir, self._hang = numbers, workdir, hang
        self._started = time.time()
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=_stop_with_parent)
            for command in commands
        ]
        self._seen: dict[int, tuple[Beat | None, float]] = {}  # the last beat of each pid, and when it was new

    def wait(self, stop: StopRequest) -> Fault | None:
        """Wait until all have ended well, or one has not, which ends the others; return how that one ended."""
        asked = False
        while True:
            codes = [process.poll() for process in self._processes]
            if all(code == 0 for code in codes):
                return None
            if failed := [place for place, code in enumerate(codes) if code]:
                return self._end(failed)
            if stop.requested and not asked:
                self._signal(signal.SIGTERM)
                asked = True
            if (hung := self._hung()) is not None:
                return self._kill_hung(hung)
            time.sleep(POLL)

    def _end(self, failed: list[int]) -> Fault:
        """Return how the process failed that did not fail for another; let the others end, or end them."""
        codes = {place: self._processes[place].returncode for place in failed}
        deadline = time.monotonic() + (LEAVE if {MISTAKE, STOPPED} & {*codes.values()} else 0)
        while time.monotonic() < deadline and any(process.poll() is None for process in self._processes):
            time.sleep(POLL)
        codes = {place: code for place, process in enumerate(self._processes) if (code := process.poll())}
        self._kill()
        faults = {place: beat.fault if (beat := self._beat(place)) else "" for place in codes}
        first = min(codes, key=lambda place: (codes[place] in (AGAIN, -signal.SIGABRT), not faults[place]))
        code = codes[first]
        kind = faults[first] or {MISTAKE: "mistake", AGAIN: "lost process", STOPPED: "stop"}.get(code, "crash")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return self._fault(first, kind, how, code)

    def _hung(self) -> int | None:
        """Return the place of a process that gives no sign any more, None if all do."""
        now, silent = time.monotonic(), {}
        for place, process in enumerate(self._processes):
            beat, (before, since) = self._beat(place), self._seen.get(process.pid, (None, now))
            if process.poll() is None and beat == before:
                limit = self._hang if beat is None or beat.within is None else beat.within
                if now - since > (min(limit, FROZEN) if _is_frozen(process.pid) else limit):
                    silent[place] = since
                self._seen[process.pid] = before, since
            else:
                self._seen[process.pid] = beat, now
        if not silent:
            return None
        # One that stands still makes all silent that wait for it.
        others = [place for place in range(len(self._processes)) if self._processes[place].poll() is None]
        return min(others, key=lambda place: (not _is_frozen(self._pid(place)), self._seen[self._pid(place)][1]))

    def _kill_hung(self, place: int) -> Fault:
        pid = self._pid(place)
        how = "is frozen" if _is_frozen(pid) else "hangs"
        fault = self._fault(
            place, "hang", f"{how}, and has given no sign for {self._silence(pid):.0f} s", -signal.SIGKILL
        )
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR2)  # it prints its stack
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.5)
        self._kill()
        return fault

    def _silence(self, pid: int) -> float:
        return time.monotonic() - self._seen[pid][1]

    def _fault(self, place: int, kind: str, how: str, code: int) -> Fault:
        beat, number = self._beat(place), self._numbers[place]
        who = f"process {number} (pid {self._pid(place)} on {socket.gethostname()})"
        if beat is None:
            return Fault(kind, f"{who} {how} before it began to train: {kind}", code, number)
        where = f"after step {beat.step}, in phase {beat.phase!r}; the last that it finished was {beat.last!r}"
        return Fault(kind, f"{who} {how} {where}: {kind}", code, number, beat.step, beat.phase)

    def _beat(self, place: int) -> Beat | None:
        """Return the last beat of a process, None before the first."""
        found = read_beats(self._workdir).values()
        ours = [beat for beat in found if beat.pid == self._pid(place) and beat.host == socket.gethostname()]
        return next((beat for beat in ours if beat.time >= self._started), None)

    def _pid(self, place: int) -> int:
        return self._processes[place].pid

    def _signal(self, number: int) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    def _kill(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError, PermissionError):  # it has ended; macOS raises the latter
                os.killpg(process.pid, signal.SIGKILL)
        for process in self._processes:
            process.wait()


def _is_frozen(pid: int) -> bool:
    """Return whether the system holds a process, as after SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in ("T", "t")
    except OSError:
        return False


def _stop_with_parent() -> None:
    """Have this process asked to stop when its supervisor dies, where the system can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGTERM)
