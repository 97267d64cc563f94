"""Tasks for the tests: importable, so that worker processes can run them."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from baichuan_jax.core.errors import UserError
from baichuan_jax.core.interrupt import taking_signals
from baichuan_jax.jobs.config import RunnerConfig
from baichuan_jax.jobs.output import task_directory
from baichuan_jax.jobs.runner import Runner


@dataclass(frozen=True)
class Squares:
    """Writes number^2 into a directory of its own, and the process of each run into a file."""

    directory: Path
    how: str = "well"

    def __call__(self, number: int) -> None:
        (self.directory / "runs").mkdir(exist_ok=True)
        with (self.directory / "runs" / f"{number}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        times = len((self.directory / "runs" / f"{number}").read_text().split())
        with task_directory(self.directory / "out", number) as out:
            (out / "square").write_text(str(number**2))
            getattr(self, self.how)(number, times)

    def well(self, number: int, times: int) -> None:
        print("a word")

    def killed_once(self, number: int, times: int) -> None:
        if number == 2 and times == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    def killed_always(self, number: int, times: int) -> None:
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrong(self, number: int, times: int) -> None:
        if number >= 1:
            raise UserError(f"line {number} of a.jsonl is wrong")

    def full(self, number: int, times: int) -> None:
        if number == 1:
            raise OSError(errno.ENOSPC, "No space left on device")

    def broken(self, number: int, times: int) -> None:
        if number == 1:
            raise ZeroDivisionError("by zero")

    def slow(self, number: int, times: int) -> None:
        while not (self.directory / "go").exists():
            time.sleep(0.1)

    def slow_with_child(self, number: int, times: int) -> None:
        with subprocess.Popen(["sleep", "60"]) as child:
            with (self.directory / "runs" / f"{number}").open("a") as file:
                file.write(f"{child.pid}\n")
            self.slow(number, times)
            child.kill()

    def without_jax(self, number: int, times: int) -> None:
        loaded = {"jax", "flax", "tensorflow"} & sys.modules.keys()
        assert not loaded, loaded


def run(directory: Path, how: str, count: int = 5, **settings) -> list[tuple[int, int]]:
    """Run the squares; return the progress that was shown."""
    shown = []
    with Runner(RunnerConfig(**settings), directory / "engine") as runner:
        runner.run("squares", Squares(directory, how), count, lambda *progress: shown.append(progress))
    return shown


def squares(directory: Path) -> list[int]:
    """Return what the tasks have left."""
    return [int((path / "square").read_text()) for path in sorted((directory / "out").glob("*"))]


def processes(directory: Path) -> dict[int, list[int]]:
    """Return the processes in which each task was begun."""
    return {int(path.name): list(map(int, path.read_text().split())) for path in (directory / "runs").glob("*")}


def times(directory: Path) -> dict[int, int]:
    """How often each task was begun."""
    return {number: len(pids) for number, pids in processes(directory).items()}


def drive() -> None:
    """Run the squares as arguments say: a program for drivers that come to harm."""
    with taking_signals():
        run(Path(sys.argv[1]), sys.argv[2], workers=int(sys.argv[3]))
