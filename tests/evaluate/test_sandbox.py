"""Hostile programs are contained, and none passes. Each is written so that it comes to its end only if it succeeds."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from baichuan_jax.core.errors import UserError
from baichuan_jax.evaluate.sandbox.parent import Limits, Verdict, _listen, run_program
from tests.evaluate.hostile import CHEATS, RIGHT, RIGHT_FOR_TESTS, TESTS, WRONG

LIMITS = Limits(seconds=20, memory=256 * 2**20, processes=6, disk=4 * 2**20, output=100_000)
ROOT = Path(__file__).parents[2]
HUMANEVAL = ROOT.parent / "shared/data/eval/humaneval/HumanEval.jsonl.gz"


@pytest.fixture(scope="module", autouse=True)
def _containing():
    try:
        run_program("", LIMITS)
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Verdict]:
    """All of them, some at a time: most wait."""
    jobs = {name: (program, "", "") for name, program in RIGHT.items()}
    jobs |= {f"wrong: {name}": (program, "", end) for name, (program, end) in WRONG.items()}
    jobs |= {f"tested: {name}": (program, TESTS, "") for name, program in RIGHT_FOR_TESTS.items()}
    jobs |= {f"cheat: {name}": (program, TESTS, end) for name, (program, end) in CHEATS.items()}

    def run(job: tuple[str, str, str]) -> Verdict:
        program, tests, end = job  # how slow the machine is must not matter but where time is the end
        return run_program(program, replace(LIMITS, seconds=1) if "out of time" in end else LIMITS, tests)

    os.environ["SANDBOX_SECRET"] = "1"
    try:
        with ThreadPoolExecutor(8) as threads:
            return dict(zip(jobs, threads.map(run, jobs.values())))
    finally:
        del os.environ["SANDBOX_SECRET"]


def test_a_flood_that_is_there_with_the_first_report():
    """On a busy machine the program has written too much before anybody has read that it is ready."""
    (report, say), (output, write) = os.pipe(), os.pipe()
    os.write(say, b'{"ready": true}\n')
    os.write(write, b"x" * 2000)
    assert _listen(report, output, replace(LIMITS, output=1000)).reason == "wrote more than 1000 bytes"
    for descriptor in (report, say, output, write):
        os.close(descriptor)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_passes(verdicts, name):
    assert verdicts[name] == Verdict(True, "passed", ""), verdicts[name]


@pytest.mark.parametrize("name", WRONG)
def test_no_other_passes(verdicts, name):
    verdict = verdicts[f"wrong: {name}"]
    assert not verdict.passed
    assert re.match(WRONG[name][1], verdict.reason), verdict


@pytest.mark.parametrize("name", RIGHT_FOR_TESTS)
def test_tests_pass_a_right_program(verdicts, name):
    assert verdicts[f"tested: {name}"] == Verdict(True, "passed", "")


@pytest.mark.parametrize("name", CHEATS)
def test_tests_pass_no_other(verdicts, name):
    verdict = verdicts[f"cheat: {name}"]
    assert not verdict.passed
    assert re.match(CHEATS[name][1], verdict.reason), verdict


def test_a_reason_moves_no_cursor(verdicts):
    assert all(verdict.reason.isprintable() for verdict in verdicts.values())


def test_tests_import_no_module_because_a_program_names_it():
    """In the tests' process: what it imports is told by the tests themselves."""
    tests = "import sys\nassert not {'this', 'turtle', 'antigravity'} & set(sys.modules)\nassert f(1) == 2"
    forged = '["returned", {"type": "dict", "of": [["this", ["module", null]]]}]'
    honest = "import antigravity, this\ndef f(x):\n    return x + 1"
    assert run_program(honest, LIMITS, tests).reason == "passed"
    writes = f"import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, {forged.encode()!r} + bytes([10]))\n"
    only = "import sys\nassert 'this' not in sys.modules"
    verdict = run_program(writes + "    except OSError:\n        pass", LIMITS, only)
    assert verdict.reason == "passed", verdict


def test_modules_that_compute_are_there_as_the_program_imported_them():
    program = "import math, collections, re\nimport random as dice\ndef f(x):\n    return x"
    assert run_program(program, LIMITS, "assert f(math.floor(1.5)) == 1 and collections.Counter and re").passed


def test_data_goes_both_ways_as_it_is():
    program = "import math\nMOST = 3\ndef f(*x, **y):\n    return x, y"
    tests = (
        "a = [None, True, -1, 10**5000, 2.5, float('inf'), 'é\\n', b'\\xff', 1j, (1, [2]), {3}, {(4,): {'type': 5}}]\n"
        "got, named = f(*a, k=a)\nassert (list(got), named) == (a, {'k': a})\n"
        "assert repr(list(got)) == repr(a) and repr(f(-0.0)) == '((-0.0,), {})'\nassert math.floor(MOST + .5) == 3\n"
        "try:\n    f(object())\nexcept TypeError:\n    pass\nelse:\n    assert False"
    )
    assert run_program(program, LIMITS, tests) == Verdict(True, "passed", "")


def left_behind() -> list[str]:
    """ProcessGroup of sandboxes that this one started, or that came of them: they have its command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"sandbox" in b"".join(words) and str(os.getpid()).encode() in words:
            found.append(path.parent.name)
    return found


@pytest.mark.parametrize("end", ["", "os.kill(os.getpid(), 9)", "time.sleep(60)"], ids=["passed", "killed", "no end"])
def test_what_a_program_leaves_running_does_not_outlive_it(end):
    daemon = (
        "import os, signal, time\nif not os.fork():\n    os.setsid()\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    if os.fork():\n        os._exit(0)\n"
        "    while True:\n        time.sleep(1)\ntime.sleep(.1)\n"
    )
    verdict = run_program(daemon + end, Limits(seconds=1))
    assert verdict.passed == (not end)
    deadline = time.monotonic() + 5
    while left_behind() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_behind() == []


def test_files_of_ours_stay(tmp_path):
    tmp_path.chmod(0o777)
    (tmp_path / "mine").write_text("x")
    attack = f"import os, shutil\nshutil.rmtree({str(tmp_path)!r}, ignore_errors=True)\n"
    attack += f"os.remove({str(tmp_path / 'mine')!r})"
    assert run_program(attack, LIMITS).reason.startswith("raised FileNotFoundError")
    assert (tmp_path / "mine").read_text() == "x"


def test_nothing_that_is_open_here_is_open_there():
    """However many descriptors there are here, so that those of the sandbox have high numbers."""
    with ExitStack() as stack:
        for _ in range(200):
            os.set_inheritable(stack.enter_context(open(__file__)).fileno(), True)
        program = (
            "import os, stat\nkinds = []\nfor fd in range(3, 5000):\n    try:\n"
            "        kinds.append(os.fstat(fd).st_mode)\n    except OSError:\n        pass\n"
            "assert [stat.S_ISFIFO(kind) for kind in kinds] == [True, True], kinds"
        )
        assert run_program(program, LIMITS).reason == "passed"
        assert run_program(f"{program}\ndef f(x):\n    return x + 1", LIMITS, TESTS).reason == "passed"


def test_the_output_is_what_was_written_until_the_end():
    assert (
        run_program("import os\nprint('一')\nos.write(2, b'\\xff')\nos._exit(0)", LIMITS).output
        == "一\n\N{REPLACEMENT CHARACTER}"
    )
    assert "line 2, in f" in run_program("def f():\n    1 / 0\nf()", LIMITS).output


CALL = (
    "from baichuan_jax.evaluate.sandbox.parent import Limits, run_program\n"
    "print([run_program(p, Limits()).reason for p in ('assert 1', 'assert 0', 'import os; os.getpid() == 2 or 1 / 0')])"
)


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("unshare"), reason="says what it does for root")
def test_an_ordinary_user_has_the_same():
    user = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    done = subprocess.run([*user, sys.executable, "-c", CALL], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "['passed', 'raised AssertionError', 'passed']\n", done.stderr


def test_where_it_cannot_be_contained_nothing_runs(tmp_path):
    """The filter of the sandbox itself makes such a machine."""
    deny = (
        "from baichuan_jax.evaluate.sandbox.child import seccomp\n"
        "from baichuan_jax.evaluate.sandbox.child.libc import call\n"
        "call('prctl', 38, 1, 0, 0, 0)\nseccomp.deny()\n"
    )
    done = subprocess.run([sys.executable, "-c", deny + CALL], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "UserError: the sandbox is not available on this machine ([Errno 1] unshare" in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.skipif(not HUMANEVAL.exists(), reason="HumanEval is not on this machine")
def test_humanevals_own_solutions_pass_and_empty_ones_do_not():
    with gzip.open(HUMANEVAL, "rt", encoding="utf-8") as lines:
        tasks = [json.loads(line) for line in lines]

    def passes(task: dict, solution: str) -> bool:
        tests = f"{task['test']}\ncheck({task['entry_point']})"
        whole = run_program(f"{task['prompt']}{solution}\n{tests}", Limits()).passed
        assert run_program(task["prompt"] + solution, Limits(), tests).passed == whole
        return whole

    with ThreadPoolExecutor(2) as threads:
        right = list(threads.map(lambda task: passes(task, task["canonical_solution"]), tasks))
        empty = list(threads.map(lambda task: passes(task, "    return None\n"), tasks))
    assert (len(tasks), sum(right), sum(empty)) == (164, 164, 0)


def test_limits_out_of_range():
    with pytest.raises(UserError, match=r"Limits.seconds = 0: expected a number above 0"):
        Limits(seconds=0)
