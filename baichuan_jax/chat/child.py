"""The process that renders a foreign template: JSON lines on standard input and output, within limits.

The first line has the template, its variables and the limits, each later one a conversation. Every line is answered:
{"text": ...}, or {"error": why not}.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from baichuan_jax.chat.jinja import JinjaTemplate, reason


def main() -> None:
    """Answer until standard input ends. The kernel ends the process at a limit."""
    job = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (job["memory"], job["memory"]))
    _allow(job["seconds"])
    try:
        template = JinjaTemplate(job["template"], job["variables"])
    except Exception as error:
        _say({"error": reason(error)})
        return
    _say({"text": ""})
    for line in sys.stdin.buffer:
        _allow(job["seconds"])
        _say(_rendered(template, json.loads(line), job["characters"]))


def _rendered(template: JinjaTemplate, asked: dict[str, Any], most: int) -> dict[str, str]:
    try:
        text = template(asked["messages"], asked["generate"])
        text.encode()
    except UnicodeEncodeError as error:
        return {"error": f"it writes an unpaired surrogate at character {error.start}"}
    except Exception as error:
        return {"error": reason(error)}
    return {"text": text} if len(text) <= most else {"error": f"it writes more than {most} characters"}


def _allow(seconds: int) -> None:
    """Set the limit of processor time to so much from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _say(what: dict[str, str]) -> None:
    sys.stdout.buffer.write(json.dumps(what).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
