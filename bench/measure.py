"""Timing of whole programs, and the rows of the table that come out of it.

Two programs are compared by running them in turn, so that whatever else the machine does hits both.
"""
import dataclasses
import gc
import json
import os
import pwd
import resource  # wait4 loads it when first called, and then the user may not read it.
import statistics
import time


@dataclasses.dataclass
class Command:
    """A program to time. `files` opens paths as descriptors inside it; `before` is not timed."""

    name: str
    argv: list
    environment: dict
    files: dict = dataclasses.field(default_factory=dict)
    before: object = None
    status: int = 0
    first_byte: bool = False  # Time until its first byte of output instead of until its end.


@dataclasses.dataclass
class Row:
    group: str
    what: str
    who: str
    unit: str
    values: list
    reference: str = ""
    reference_values: list = dataclasses.field(default_factory=list)
    goal: float = 0.0  # Of the ratio when there is a reference, else of the value.
    at_least: bool = False
    load: str = ""
    note: str = ""

    def low(self, values):
        return max(values) if self.at_least and values else min(values) if values else None

    def ratio(self, pick):
        if not self.values or not self.reference_values:
            return None
        return pick(self.values) / pick(self.reference_values)

    def met(self):
        """By the best values, which the neighbours on a shared machine disturb least."""
        if not self.values or (self.reference and not self.reference_values):
            return None
        got = self.ratio(self.low) if self.reference else self.low(self.values)
        return got >= self.goal if self.at_least else got <= self.goal


def load():
    return f"{os.getloadavg()[0]:.1f}"


def spawn(command, output=None):
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    if output is None:
        actions.append((os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0))
    else:
        actions.append((os.POSIX_SPAWN_DUP2, output, 1))
    for number, path in command.files.items():
        actions.append((os.POSIX_SPAWN_OPEN, number, path, os.O_RDONLY, 0))
    return os.posix_spawnp(command.argv[0], command.argv, command.environment, file_actions=actions)


def check(command, status):
    code = os.waitstatus_to_exitcode(status)
    if code != command.status:
        raise RuntimeError(f"{' '.join(map(str, command.argv))}: exit status {code}")


def run_once(command):
    """Seconds from before the start until its end, or its first byte, and what wait4 tells."""
    if command.before:
        command.before()
    if command.first_byte:
        return until_first_byte(command)
    start = time.perf_counter()
    _, status, usage = os.wait4(spawn(command), 0)
    seconds = time.perf_counter() - start
    check(command, status)
    return seconds, usage


def until_first_byte(command):
    read_end, write_end = os.pipe()
    start = time.perf_counter()
    pid = spawn(command, write_end)
    os.close(write_end)
    got = os.read(read_end, 1)
    seconds = time.perf_counter() - start
    os.close(read_end)
    _, status, usage = os.wait4(pid, 0)
    check(command, status)
    if not got:
        raise RuntimeError(f"{command.argv}: no output")
    return seconds, usage


def interleave(commands, rounds, warm_up=1):
    """Every command once, then again: {name: [seconds]}."""
    taken = {command.name: [] for command in commands}
    gc.disable()
    for i in range(rounds + warm_up):
        for command in commands:
            seconds, _ = run_once(command)
            if i >= warm_up:
                taken[command.name].append(seconds)
    gc.enable()
    return taken


def rate(command, runs, at_once):
    """Runs a second, with `at_once` of them under way."""
    started = ended = 0
    start = time.perf_counter()
    while ended < runs:
        while started < runs and started - ended < at_once:
            spawn(command)
            started += 1
        _, status = os.wait()
        check(command, status)
        ended += 1
    return runs / (time.perf_counter() - start)


def as_user(uid, folder, function):
    """What `function` returns when called in a process of that user, in that folder."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(read_end)
            if uid != os.getuid():
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            os.chdir(folder)
            with os.fdopen(write_end, "w") as out:
                json.dump(function(), out)
            status = 0
        except Exception as error:  # The process ends here; its last words are the report.
            print(f"  {error}", flush=True)
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end) as result:
        text = result.read()
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError("a measurement failed, see above")
    return json.loads(text)


def user_name(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def show(value, unit):
    if value is None:
        return "-"
    if unit == "s" and value < 1:
        return f"{value * 1000:.2f} ms"
    return f"{value:.2f} s" if unit == "s" else f"{value:.1f} {unit}"


def cells(row):
    median, low = row.ratio(statistics.median), row.ratio(row.low)
    goal = ("≥ " if row.at_least else "≤ ") + (
        f"{row.goal:g}×" if row.reference else show(row.goal, row.unit))
    verdict = {True: "met", False: "MISSED", None: "not measured"}[row.met()]
    middle = statistics.median(row.values) if row.values else None
    return [row.group, row.what, row.who, show(middle, row.unit), show(row.low(row.values), row.unit),
            row.reference or "-",
            show(row.low(row.reference_values), row.unit) if row.reference else "-",
            f"{median:.2f}" if median else "-", f"{low:.2f}" if low else "-", goal, verdict,
            row.load, row.note]


HEADINGS = ["group", "what", "who", "median", "best", "against", "its best", "ratio of medians",
            "ratio of bests", "goal", "", "load", "note"]


def table(rows):
    lines = [HEADINGS] + [cells(row) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    def text(line):
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([text(lines[0]), rule] + [text(line) for line in lines[1:]])
