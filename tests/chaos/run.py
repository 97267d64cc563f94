"""A run of two processes that is disturbed again and again, and what must be true of it after each disturbance."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from baichuan_jax.train.batch_hashes import read_hashes
from baichuan_jax.train.config import checkpoint_steps
from tests.chaos.child import Plan
from tests.cli.test_processes import port, quick

STEPS, INTERVAL, HEARTBEAT = 200, 10, 20
SETTINGS = {
    "TrainConfig.steps": STEPS,
    "TrainConfig.checkpoint_every": INTERVAL,
    "TrainConfig.eval_every": STEPS,
    "TrainConfig.eval_windows": 1,
    "TrainConfig.length": 16,
    "TrainConfig.keep": 2,
    "OptimConfig.moments": "bfloat16",
    "OptimConfig.peak_lr": 1e-3,
    "MeshConfig.fsdp": 2,
}
MOMENTS = ("step", "save", "commit", "clean-up", "restore", "moving aside")
OF_THE_FIRST = ("clean-up", "moving aside")  # what only the first process does
LOST = {75, -signal.SIGABRT}  # how a process ends that has lost the other
NOTHING = Plan()


@dataclass
class Life:
    """What has happened between a start of both processes and their end."""

    codes: list[int]
    logs: list[list[dict]]
    written: list[str]
    seconds: float

    def noted(self, what: str) -> list[dict]:
        """Return what the processes have noted of a kind."""
        return [line for log in self.logs for line in log if line["what"] == what]

    @property
    def restored(self) -> int:
        """Return the step that training went on from, 0 if it began anew, -1 if it did not get so far."""
        steps = [line["step"] for line in self.noted("restored")]
        return max(steps) if steps else 0 if self.noted("step") else -1

    @property
    def reached(self) -> int:
        """Return the last step that was finished in all processes for certain."""
        return max((line["step"] for line in self.noted("step")), default=1) - 1


@dataclass
class Reference:
    """What the undisturbed run has found: {step: hash} of each process's rows, its final states, its batches."""

    rows: list[dict[int, str]]
    final: list[str]
    batches: dict[int, str]


@dataclass
class Disturbed:
    """A workdir in which a run goes on from life to life.

    config: of the run. prepared: a workdir with its tokens. settings: beside those of all runs here. lost: steps that
    were done again, by life. starved: lives that ended because the machine gave the processes no time.
    """

    config: Path
    prepared: Path
    workdir: Path
    settings: dict[str, object] = field(default_factory=dict)
    reference: Reference | None = None
    lost: list[int] = field(default_factory=list)
    starved: int = 0
    reached: int = 0
    damaged: set[int] = field(default_factory=set)
    finished: bool = False
    compared: bool = False  # whether the final state has been

    @property
    def steps(self) -> int:
        """Return the steps of the whole training."""
        return self.settings.get("TrainConfig.steps", STEPS)

    def begin(self) -> None:
        """Begin the run anew."""
        shutil.rmtree(self.workdir, ignore_errors=True)
        for stage in ("data", "tokenizer", "tokens"):
            shutil.copytree(self.prepared / stage, self.workdir / stage)
        self.reached, self.finished, self.compared = 0, False, False
        self.damaged.clear()

    def start(self, plans: list[Plan]) -> list[subprocess.Popen]:
        """Start both processes."""
        place = ["--coordinator", f"localhost:{port()}", "--processes", "2", "--heartbeat", f"{HEARTBEAT}"]
        whole = {**SETTINGS, "RunConfig.workdir": str(self.workdir), **self.settings}
        given = [f"--set={name}={value!r}" for name, value in whole.items()]
        found = []
        for number, plan in enumerate(plans):
            log = self._log(number)
            log.write_text("")
            program = [sys.executable, "-m", "tests.chaos.child", json.dumps(asdict(plan)), str(log)]
            command = [*program, "train", str(self.config), *given, *place, "--process", f"{number}"]
            with self._output(number).open("w") as output:
                found.append(subprocess.Popen(command, env=quick(1), stdout=output, stderr=subprocess.STDOUT))
        return found

    def wait(self, processes: list[subprocess.Popen], power: bool = False) -> Life:
        """Wait until both have ended. power: as one is killed, so is the other."""
        begun = time.monotonic()
        while any(process.poll() is None for process in processes):
            if power and any(process.poll() == -signal.SIGKILL for process in processes):
                for process in processes:
                    process.kill()
            assert time.monotonic() - begun < 600, f"a process hangs: {self._texts()}"
            time.sleep(0.02)
        return Life(
            [process.returncode for process in processes],
            [[json.loads(line) for line in self._log(number).read_text().splitlines()] for number in range(2)],
            self._texts(),
            time.monotonic() - begun,
        )

    def end(self, processes: list[subprocess.Popen], power: bool = False) -> Life:
        """Wait until both have ended, and check what must be true."""
        life = self.wait(processes, power)
        self.finished = life.codes == [0, 0]
        self._check(life)
        return life

    def live(self, *plans: Plan, power: bool = False) -> Life:
        """Start both processes, and wait until both have ended."""
        return self.end(self.start([*plans, NOTHING, NOTHING][:2]), power)

    def _check(self, life: Life) -> None:
        """Raise AssertionError if a step was left out, done on another batch, or lost, or a bad checkpoint was used."""
        if life.restored >= 0 and self.reached:
            in_flight = self.reached // INTERVAL * INTERVAL  # its checkpoint may not have been whole
            assert life.restored >= in_flight - INTERVAL * (1 + len(self.damaged)), (life.restored, self.reached)
            assert life.restored not in self.damaged
            self.lost.append(max(0, self.reached - life.restored))
            self.damaged.clear()
        for number, log in enumerate(life.logs):
            steps = [line for line in log if line["what"] == "step"]
            assert [line["step"] for line in steps] == list(range(life.restored + 1, life.restored + 1 + len(steps)))
            if self.reference:
                wrong = [line for line in steps if self.reference.rows[number][line["step"]] != line["hash"]]
                assert not wrong, wrong
        self.reached = max(life.reached, life.restored) if life.restored >= 0 else self.reached
        last = [line for line in life.noted("restored") + life.noted("final") if line["step"] == self.steps]
        if self.reference and last:
            self.compared = True
            assert {line["hash"] for line in last} <= set(self.reference.final), "not bit for bit"
        if self.reference and self.finished:
            assert self.compared
            assert read_hashes(self.workdir / "train") == self.reference.batches

    def checkpoints(self) -> list[int]:
        """Return the steps of the checkpoints that are there."""
        folder = self.workdir / "train/checkpoints"
        return checkpoint_steps(folder) if folder.is_dir() else []

    def damage(self, rng: random.Random) -> None:
        """Flip a bit of the newest checkpoint, or cut one of its files short."""
        step = self.checkpoints()[-1]
        files = sorted(path for path in (self.workdir / f"train/checkpoints/{step}").rglob("*") if path.is_file())
        file = rng.choice([path for path in files if path.stat().st_size])
        content = bytearray(file.read_bytes())
        if rng.random() < 0.5:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        else:
            del content[rng.randrange(len(content)) :]
        file.write_bytes(content)
        self.damaged.add(step)

    def _log(self, number: int) -> Path:
        return self.workdir.with_name(f"{self.workdir.name}-{number}.log")

    def _output(self, number: int) -> Path:
        return self.workdir.with_name(f"{self.workdir.name}-{number}.txt")

    def _texts(self) -> list[str]:
        return [self._output(number).read_text(errors="replace") for number in range(2)]


def undisturbed(run: Disturbed) -> Reference:
    """Run to the end at once; return what was found."""
    run.begin()
    life = run.live()
    assert life.codes == [0, 0], life.written
    rows = [{line["step"]: line["hash"] for line in log if line["what"] == "step"} for log in life.logs]
    assert [sorted(each) for each in rows] == [list(range(1, run.steps + 1))] * 2
    return Reference(rows, [line["hash"] for line in life.noted("final")], read_hashes(run.workdir / "train"))


def draw(rng: random.Random, moment: str) -> Plan:
    """Return a plan for a kill at a moment."""
    occurrence = {"step": rng.randint(1, 2 * INTERVAL), "clean-up": rng.randint(1, 4), "restore": 1, "moving aside": 1}
    files = {"commit": 60, "clean-up": 60, "moving aside": 8}.get(moment, 0)
    event = rng.randint(1, files) if rng.random() < 0.8 and files else 0
    seconds = rng.uniform(0, {"step": 0.02, "restore": 0.5, "save": 0.3}.get(moment, 0.05))
    return Plan("kill", moment, occurrence.get(moment, rng.randint(1, 3)), event, seconds)


def kill(run: Disturbed, rng: random.Random, moment: str) -> dict | None:
    """Let one life end by a kill; return what was noted of it, None if training had ended before."""
    if moment == "moving aside":
        run.damage(rng)
    plan = draw(rng, moment)
    victim = 0 if moment in OF_THE_FIRST else rng.randrange(2)
    power = rng.random() < 0.25
    while True:
        life = run.live(*([plan] if victim == 0 else [NOTHING, plan]), power=power)
        killed = life.noted("killed")
        if killed or not set(life.codes) <= LOST:
            break
        run.starved += 1  # each lost the other before the moment came: the machine gave them no time
    if run.finished:
        assert not killed
        return None
    assert len(killed) == 1, (plan, life.codes, life.written)
    assert life.codes[victim] == -signal.SIGKILL
    assert life.codes[1 - victim] in LOST | ({-signal.SIGKILL} if power else set()), (plan, life.codes, life.written)
    return {**killed[0], "victim": victim, "seconds": life.seconds}


def table(kills: list[dict], run: Disturbed) -> str:
    """Return what was killed, and what that has cost."""
    counts = Counter(entry["moment"] for entry in kills)
    calls = Counter(entry["at"] for entry in kills)
    return (
        f"kills: {', '.join(f'{counts[moment]} in {moment}' for moment in MOMENTS)}\n"
        f"at: {', '.join(f'{event} {number}' for event, number in calls.most_common())}\n"
        f"of the first process: {sum(entry['victim'] == 0 for entry in kills)}; starved lives: {run.starved}; "
        f"steps done again: {max(run.lost, default=0)} at most, "
        f"{sum(run.lost) / max(1, len(run.lost)):.1f} on average\n"
        f"seconds of a life: {sum(entry['seconds'] for entry in kills) / max(1, len(kills)):.1f} on average"
    )
