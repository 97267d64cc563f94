"""Read the collectives of a compiled program: kind, size, how often they run, and what they overlap with.

The program is XLA's text after scheduling, `compiled.as_text()`, for CPU, GPU and TPU.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
BITS = {"pred": 8, "s4": 4, "u4": 4, "s8": 8, "u8": 8, "s16": 16, "u16": 16, "f16": 16, "bf16": 16, "s32": 32}
BITS |= {"u32": 32, "f32": 32, "s64": 64, "u64": 64, "f64": 64}
WORK = ("fusion", "convolution", "custom-call", "while", "conditional", "call")

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?(?P<name>[\w.\-]+) = (?P<type>.*?) (?P<op>[a-z][a-z0-9\-]*)\((?P<rest>.*)$")
_CALLED = re.compile(r"(?:calls|body|to_apply|branch_computations|called_computations)=\{?([%\w.\-, ]+)")
_SHAPE = re.compile(r"\b([a-z]+[0-9]*)\[([0-9,]*)\]")
_COLLECTIVE = re.compile(rf"^({'|'.join(KINDS)})(-start)?$")


class Collective(NamedTuple):
    """One collective of the program.

    size: bytes of the full array, the larger side of the collective. group_size: number of participating devices.
    times: executions per step. is_async: whether other work is scheduled while it runs. loop: whether it is inside a
    loop. source: the operation of the model that it comes from.
    """

    kind: str
    size: int
    group_size: int
    times: int
    is_async: bool
    loop: bool
    source: str

    @property
    def sent(self) -> float:
        """Bytes that each device sends per step with the ring algorithm."""
        rounds = {"all-reduce": 2.0, "collective-permute": self.group_size / max(1, self.group_size - 1)}.get(
            self.kind, 1.0
        )
        return self.times * self.size * rounds * (self.group_size - 1) / self.group_size


class _Line(NamedTuple):
    name: str
    type: str
    op: str
    rest: str


def collectives(program: str) -> list[Collective]:
    """Return the collectives over several devices. A collective in several steps, as on TPUs, counts once."""
    computations, entry = _computations(program)
    found: dict[str, Collective] = {}
    for name, times, loop, caller, started in _walk(computations, entry, 1, False, "", False):
        for number, line in enumerate(computations[name]):
            each = _collective(line, times, loop, started)
            if each is not None and each.is_async and not started:
                each = each._replace(is_async=_works_beside(line.name, computations[name][number + 1 :]))
            if each is not None and "all-reduce-scatter" in name:  # the name of a reduce-scatter on TPU
                each = each._replace(kind="reduce-scatter")
            if each is None or each.group_size == 1:
                continue
            channel = re.search(r"channel_id=(\d+)", line.rest)
            key = f"{caller} {channel[1]}" if caller and channel else f"{name} {line.name}"
            known = found.get(key)
            found[key] = each if known is None else known._replace(is_async=known.is_async or each.is_async)
    return list(found.values())


def _computations(program: str) -> tuple[dict[str, list[_Line]], str]:
    computations: dict[str, list[_Line]] = {}
    entry = current = ""
    for text in program.splitlines():
        if match := _COMPUTATION.match(text):
            current = match[2]
            computations[current] = []
            entry = current if match[1] else entry
        elif current and (match := _INSTRUCTION.match(text)):
            computations[current].append(_Line(match["name"], match["type"], match["op"], match["rest"]))
    return computations, entry


def _walk(
    computations: dict[str, list[_Line]], name: str, times: int, loop: bool, caller: str, started: bool
) -> Iterator[tuple[str, int, bool, str, bool]]:
    """Yield (computation, times a step runs it, inside a loop, caller, an asynchronous start), from the entry on.

    caller: for a fusion, the computation that contains it, else "". The steps of one collective have the same caller. A
    loop's body and the copy that XLA peels off the loop have different ones.
    """
    yield name, times, loop, caller, started
    for number, line in enumerate(computations[name]):
        is_while = line.op == "while"
        more = trip_count(computations, line) if is_while else 1
        begins = "async-collective-start" in line.name
        begins |= line.op == "async-start" and _works_beside(line.name, computations[name][number + 1 :])
        for group in _CALLED.findall(line.rest):
            for called in group.split(","):
                if (called := called.strip().lstrip("%")) in computations:
                    fused = caller or (name if line.op == "fusion" else "")
                    inside = loop or is_while, fused, started or begins
                    yield from _walk(computations, called, times * more, *inside)


def _works_beside(start: str, later: list[_Line]) -> bool:
    """Return whether other work is scheduled between `start` and its end.

    Sparse cores are started empty and receive their work by an update.
    """
    names, works = {start}, False
    for line in later:
        if names & set(re.findall(r"%([\w.\-]+)", line.rest.partition(")")[0])):
            if line.op.endswith("-done"):
                break
            if line.op == "async-update":
                names, works = names | {line.name}, False
        works |= line.op in WORK
    return works


def trip_count(computations: dict[str, list[_Line]], line: _Line) -> int:
    """Return the trip count of a loop: XLA's annotation, else the constant in its condition."""
    if match := re.search(r'known_trip_count":\{"n":"(\d+)"', line.rest):
        return int(match[1])
    condition = re.search(r"condition=%?([\w.\-]+)", line.rest)[1]
    constants = [re.match(r"(\d+)\)", each.rest) for each in computations[condition] if each.op == "constant"]
    return max((int(match[1]) for match in constants if match), default=1)


def _collective(line: _Line, times: int, loop: bool, started: bool) -> Collective | None:
    if not (match := _COLLECTIVE.match(line.op)):
        return None
    kind, start = match[1], bool(match[2])
    group_size, sizes = _group_size(line.rest), _sizes(line.type)
    if start and kind in ("all-gather", "reduce-scatter"):  # the type lists operands, then results
        sizes = sizes[len(sizes) // 2 :]
    elif start and kind == "collective-permute":
        sizes = sizes[1:2]
    size = sum(sizes) * (group_size if kind == "reduce-scatter" else 1)
    source = re.search(r'op_name="([^"]*)"', line.rest)
    is_async = (start or started) and '"is_sync":true' not in line.rest
    group_size = group_size if kind != "collective-permute" else max(group_size, 2)
    return Collective(kind, size, group_size, times, is_async, loop, source[1] if source else "")


def _sizes(type: str) -> list[int]:
    """Return the bytes of each array in a type."""
    shapes = [(kind, dims) for kind, dims in _SHAPE.findall(type) if kind in BITS]
    return [math.prod(int(d) for d in dims.split(",") if d) * BITS[kind] // 8 for kind, dims in shapes]


def _group_size(rest: str) -> int:
    """Return the number of devices in a group, from any of XLA's three notations for groups."""
    if match := re.search(r"replica_groups=\{\{([0-9,]*)\}", rest):
        return len(match[1].split(","))
    if match := re.search(r"replica_groups=\[\d+,(\d+)\]", rest):
        return int(match[1])
    if match := re.search(r"replica_groups=mesh\[([^\]]*)\].*?\{('[^}]*)\}", rest):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", match[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'(\w+)'", match[2]))
    return 1
