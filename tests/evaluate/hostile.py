"""Programs for the sandbox. A hostile one comes to its end only if its attack succeeds; beside it: how it ends."""

import platform
from pathlib import Path

RIGHT = {
    "plain": "def f(x):\n    return x + 1\n\ndef check(f):\n    assert f(1) == 2\n\ncheck(f)",
    "modules": "import collections, dataclasses, decimal, hashlib, heapq, itertools, json, math, random, re, typing\n"
    "@dataclasses.dataclass\nclass A:\n    x: int\nassert hashlib.md5(b'').hexdigest()[0] == 'd' and A(1) == A(1)",
    "its main": "done = []\nif __name__ == '__main__':\n    done.append(1)\nassert done",
    "scratch": "import os, tempfile\nopen('a', 'w').write('b')\nassert open('a').read() == 'b'\n"
    "assert os.listdir() == ['a']\nwith tempfile.TemporaryFile() as file:\n    file.write(b'x' * 100_000)",
    "threads": "import threading\nfound = []\nthread = threading.Thread(target=lambda: found.append(1))\n"
    "thread.start()\nthread.join()\nassert found",
    "a child": "import os\npid = os.fork()\nif not pid:\n    os._exit(3)\nassert os.waitpid(pid, 0)[1] == 3 << 8",
    "a caught signal": "import os, signal\ngot = []\nsignal.signal(signal.SIGALRM, lambda *_: got.append(1))\n"
    "signal.setitimer(signal.ITIMER_REAL, .01)\nsignal.pause()\nassert got",
}
WRONG = {
    "wrong": ("assert 1 + 1 == 3, 'no'", "raised AssertionError: no"),
    "no Python": ("def f(:", "raised SyntaxError"),
    "interrupted": ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "exit": ("import sys; sys.exit(0)", r"ended before its last line \(exit code 0\)"),
    "exit without a code": ("raise SystemExit", r"ended before its last line \(exit code 0\)"),
    "exit of the process": ("import os; os._exit(0)", r"ended before its last line \(exit code 0\)"),
    "exit later": (
        "import atexit, os, sys\natexit.register(os._exit, 0)\nprint('passed')\nsys.exit()",
        "ended before its last line",
    ),
    "exit in a thread": (
        "import os, threading, time\nthreading.Thread(target=os._exit, args=(0,)).start()\ntime.sleep(9)",
        "ended before its last line",
    ),
    "another program": ("import os\nos.execv('/bin/true', ['true'])", "raised FileNotFoundError"),
    "the interpreter again": (
        "import os, sys\nos.execv(sys.executable, ['python', '-c', ''])",
        "raised (FileNotFound|Permission)Error",
    ),
    "saying so": (
        "import os\nprint('{\"passed\": true}', flush=True)\nfor fd in range(1000):\n    try:\n"
        "        os.write(fd, b'{\"passed\": true}\\n')\n    except OSError:\n        pass\nos._exit(0)",
        "ended before its last line",
    ),
    "asking for the token and no more": (
        "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'?')\n    except OSError:\n        pass\n"
        "os._exit(0)",
        "ended before its last line",
    ),
    "killing itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    "crash": ("import ctypes\nctypes.string_at(0)", "killed by SIGSEGV"),
    "no end": ("while True:\n    pass", r"out of time \(1 s\)"),
    "asleep, deaf to signals": (
        "import signal, time\nfor number in range(1, 32):\n    try:\n        signal.signal(number, signal.SIG_IGN)\n"
        "    except OSError:\n        pass\nos = __import__('os')\nos.setsid()\nwhile True:\n    time.sleep(1)",
        "out of time|raised PermissionError",
    ),
    "no end of output": ("while True:\n    print('x' * 1000)", "wrote more than 100000 bytes"),
    "no end of errors": (
        "import os\nif os.fork():\n    os.wait()\nwhile True:\n    os.write(2, b'x' * 4096)",
        "wrote more than 100000 bytes",
    ),
    "memory": ("x = []\nwhile True:\n    x.append(bytearray(2**20))", "raised MemoryError"),
    "memory in a recursion": ("def f(x):\n    return f(x + x)\nf('aa')", "raised (MemoryError|RecursionError)"),
    "forks": ("import os\nwhile True:\n    os.fork()", "raised BlockingIOError"),
    "threads": (
        "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(99,)).start()",
        "raised RuntimeError: can't start new thread",
    ),
    "a huge file": (
        "with open('f', 'wb') as file:\n    while True:\n        file.write(bytes(2**20))",
        r"raised OSError: \[Errno (27|28)\]",
    ),
    "many files": (
        "for n in range(10**6):\n    open(str(n), 'w').close()",
        r"raised OSError: \[Errno 28\]",
    ),
    "open files": ("x = [open('/dev/null') for _ in range(1000)]", "raised OSError: .*Too many open files"),
    "memory that no limit counts": ("import os\nos.memfd_create('x')", "raised PermissionError"),
    "shared memory": (
        "import ctypes\nassert ctypes.CDLL(None).shmget(0, 2**30, 0o1600) != -1",
        "raised AssertionError",
    ),
    "a pair of sockets": ("import socket\nsocket.socketpair()", "raised PermissionError"),
    "timers": (  # CLOCK_MONOTONIC, SIGALRM
        "import ctypes\nlibc, timer = ctypes.CDLL(None), ctypes.c_void_p()\n"
        "assert libc.timer_create(1, None, ctypes.byref(timer)) == 0",
        "raised AssertionError",
    ),
    "signals that wait": (
        "import ctypes, os, signal\nnumber = signal.SIGRTMIN + 5\nsignal.pthread_sigmask(signal.SIG_BLOCK, [number])\n"
        "for _ in range(1000):\n    assert ctypes.CDLL(None).sigqueue(os.getpid(), number, None) == 0",
        "raised AssertionError",
    ),
    "a signal without a name": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGRTMIN + 5)",
        r"killed by signal \d+",
    ),
    "limits of another": (
        "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"
        "resource.prlimit(1, resource.RLIMIT_NOFILE, (1, 1))",
        "raised PermissionError",
    ),
    "turns of another": ("import os\nos.setpriority(os.PRIO_PROCESS, 1, 19)", "raised PermissionError"),
    "processors of another": ("import os\nos.sched_setaffinity(1, {0})", "raised PermissionError"),
    "watching files": (
        "import ctypes\nassert ctypes.CDLL(None).inotify_init1(0) != -1",
        "raised AssertionError",
    ),
    "the kernel's log": (
        "import ctypes\nassert ctypes.CDLL(None).klogctl(3, ctypes.create_string_buffer(99), 99) >= 0",
        "raised AssertionError",
    ),
    "keys": ("import ctypes\nassert ctypes.CDLL(None).syscall(250, 0, -3, 1) != -1", "raised AssertionError"),
    "rings": ("import ctypes\nassert ctypes.CDLL(None).syscall(425, 1, None) != -1", "raised AssertionError"),
    "faults of its own": ("import ctypes\nassert ctypes.CDLL(None).syscall(323, 0) != -1", "raised AssertionError"),
    "the machine's name": (f"import os\nassert os.uname().nodename == {platform.node()!r}", "raised AssertionError"),
    "a talker": (
        "import os\nwhile True:\n    for fd in range(3, 64):\n        try:\n            os.write(fd, b'x' * 4096)\n"
        "        except OSError:\n            pass",
        r"ended before its last line|killed by|out of time \(1 s\)",
    ),
    "terminal escapes": (
        "raise ValueError('\\x1b[2J\\x1b]0;passed\\x07\\u202edessap\\r\\x9b1A')",
        r"raised ValueError: \\x1b\[2J\\x1b\]0;passed\\x07\\u202edessap\\r\\x9b1A$",
    ),
    "terminal escapes in a name": (
        "raise type('\\x1b[1mpassed', (Exception,), {})",
        r"raised \S*\\x1b\[1mpassed",
    ),
    "passwords": ("open('/etc/passwd')", "raised FileNotFoundError"),
    "home": (f"import os\nos.listdir({str(Path.home())!r} + '/.ssh')", "raised FileNotFoundError"),
    "temporary files": ("import os\nos.listdir('/tmp')", "raised FileNotFoundError"),
    "the project": (f"open({__file__!r})", "raised FileNotFoundError"),
    "the other root": ("import os\nos.chdir('..')\nos.listdir('../../../../etc')", "raised FileNotFoundError"),
    "processes": ("import os\nos.listdir('/proc')", "raised FileNotFoundError"),
    "the parent's environment": (
        "import os\nopen(f'/proc/{os.getppid()}/environ', 'rb').read()",
        "raised FileNotFoundError",
    ),
    "its own environment": ("import os\nassert 'SANDBOX_SECRET' in str(os.environ)", "raised AssertionError"),
    "what was in its environment": (
        "import ctypes\nctypes.CDLL(None).getenv.restype = ctypes.c_char_p\n"
        "assert ctypes.CDLL(None).getenv(b'SANDBOX_SECRET')\n",
        "raised AssertionError",
    ),
    "writing to libraries": (
        "import os\nopen(os.path.join(os.path.dirname(os.__file__), 'x.py'), 'w')",
        r"raised OSError: \[Errno 30\]",
    ),
    "writing to the root": ("open('/x', 'w')", r"raised OSError: \[Errno 30\]|raised PermissionError"),
    "killing the parent": (
        "import os, time\nfor pid in (os.getppid(), 1, -1):\n    try:\n        os.kill(pid, 9)\n"
        "    except ProcessLookupError:\n        pass\ntime.sleep(.1)\nassert False, 'still here'",
        "raised AssertionError: still here",
    ),
    "killing the group": (
        "import os, time\ntry:\n    os.killpg(0, 15)\nfinally:\n    time.sleep(.1)",
        "killed by SIGTERM",
    ),
    "tracing the parent": ("import ctypes\nassert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0", "raised AssertionError"),
    "namespaces of its own": (
        "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0",
        "raised AssertionError",
    ),
    "mounts": (
        "import ctypes\nassert ctypes.CDLL(None).mount(b'proc', b'/scratch', b'proc', 0, None) == 0",
        "raised AssertionError",
    ),
    "root": ("import os\nos.setuid(0)", "raised PermissionError"),
    "root by a map": ("open('/proc/self/uid_map', 'w').write('0 0 1')", "raised FileNotFoundError"),
    **{
        f"a socket, {family}": (f"import socket\nsocket.socket(socket.{family})", "raised PermissionError")
        for family in ("AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK", "AF_VSOCK", "AF_PACKET")
    },
}

TESTS = """
def check(candidate):
    assert candidate(3) == 4
    assert abs(candidate(7) - 8) < 1e-6
    assert len({candidate(n) for n in range(50)}) == 50

check(f)
"""
RIGHT_FOR_TESTS = {
    "plain": "def f(x):\n    return x + 1",
    "a class": "class F:\n    def __call__(self, x):\n        return x + 1\nf = F()",
    "data of its own kind": "class Number(int):\n    pass\ndef f(x):\n    return Number(x + 1)",
}
CHEATS = {
    "wrong": ("def f(x):\n    return x", "raised AssertionError"),
    "missing": ("def g(x):\n    return x + 1", "raised NameError: name 'f' is not defined"),
    "raising": ("def f(x):\n    return {}[x]", "raised KeyError"),
    "raising, before": ("f = 1 / 0", "raised ZeroDivisionError"),
    "no Python": ("def f(:", "raised SyntaxError"),
    "an end": ("import os\nos._exit(0)", "raised RuntimeError: the program ended before its tests"),
    "an end in a call": ("import os\ndef f(x):\n    os._exit(0)", "raised RuntimeError: the program ended"),
    "SystemExit in a call": ("def f(x):\n    raise SystemExit(0)", "raised RuntimeError: the program ended"),
    "the end of a loop": ("def f(x):\n    raise StopIteration", "raised RuntimeError: StopIteration"),
    "no end": ("def f(x):\n    while True:\n        pass", "out of time"),
    "equal to everything": (
        "class All(int):\n    __eq__ = lambda *_: True\n    __hash__ = lambda *_: 0\ndef f(x):\n    return All(x)",
        "raised AssertionError",
    ),
    "an object equal to everything": (
        "class All:\n    __eq__ = lambda *_: True\n    __sub__ = lambda *_: 0\ndef f(x):\n    return All()",
        "raised TypeError: All is no plain data",
    ),
    "other builtins": (
        "import builtins\nbuiltins.abs = abs = lambda _: 0\nbuiltins.set = lambda _: range(50)\n"
        "def f(x):\n    return 4 if x == 3 else 0",
        "raised AssertionError",
    ),
    "other functions of the sandbox": (
        "import sys\nfor name, module in list(sys.modules.items()):\n    if 'sandbox.child' in name:\n"
        "        for key, value in list(vars(module).items()):\n            if callable(value):\n"
        "                setattr(module, key, lambda *_, **__: 4)\ndef f(x):\n    return 4",
        "out of time",
    ),
    "a test of its own": ("def f(x):\n    return 4\ndef check(candidate):\n    pass", "raised AssertionError"),
    "what is known of the tests": (
        "import gc, sys\ntext, frame = '', sys._getframe()\nwhile frame:\n    text += str(frame.f_locals)\n"
        "    frame = frame.f_back\ntext += ''.join(str(x) for x in gc.get_objects() if type(x) is dict)\n"
        "assert 'candid' 'ate(7)' in text, 'nothing'",
        "raised AssertionError: nothing",
    ),
    "writing wherever it can": (
        "import os\nfor fd in range(3, 64):\n    try:\n        os.write(fd, b'?')\n    except OSError:\n        pass\n"
        "def f(x):\n    return 4",
        "raised",
    ),
    "modules that it names": (
        "import antigravity, os, this\n"
        "of = ','.join('[\"%s\", [\"module\", null]]' % name for name in ('this', 'turtle'))\n"
        'for fd in range(3, 64):\n    try:\n        os.write(fd, b\'["returned", {"type": "dict", "of": [%s]}]\\n\' '
        "% of.encode())\n    except OSError:\n        pass\ndef f(x):\n    return x + 1",
        "raised",
    ),
    "signals to the tests": (
        "import os, signal, time\ndef f(x):\n    for number in range(1, 32):\n        for pid in range(3, 9):\n"
        "            try:\n                pid == os.getpid() or os.kill(pid, number)\n"
        "            except OSError:\n                pass\n    return 4",
        "killed by",
    ),
}
