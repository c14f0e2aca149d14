#!/usr/bin/env python3
"""Golden transcripts: what kist prints, to the letter.

    tests/cli/run.py [FILE.txt …]        compare; ACCEPT=1 rewrites the files instead

Each file is played from top to bottom in an empty folder with an empty store and no network index:

    # a comment
    $ kist lock          a command, for bash; kist is $KIST (default build/release/kist)
    = 2                  its exit status, when it is not 0
    > text               a line of stdout
    ! text               a line of stderr

What differs from run to run is filtered: the folder (PROJECT), the store (STORE), HOME, digests,
times, sizes and the version.
"""
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from lib import filtered, program_copy, remove_tree  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def play(command, project, environment):
    done = subprocess.run(["bash", "-c", command], cwd=project, env=environment,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def shown(mark, data, places):
    text = filtered(data.decode(errors="backslashreplace"), places)
    text = re.sub(r"\bkist \d+\.\d+\.\d+\b", "kist VERSION", text)
    lines = text.split("\n")
    missing_newline = lines[-1] != ""
    if not missing_newline:
        lines.pop()
    out = [f"{mark} {line}".rstrip() for line in lines]
    if missing_newline:
        out.append(f"{mark}\\ no newline at the end")
    return out


def replay(text, folder):
    """The transcript with what really happened."""
    project, home, store = folder / "project", folder / "home", folder / "store"
    project.mkdir()
    home.mkdir()
    kist = program_copy(folder / "bin")
    environment = {"PATH": f"{kist.parent}:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8",
                   "KIST_HOME": str(store), "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1",
                   "UV_DEFAULT_INDEX": "http://127.0.0.1:1/simple"}
    places = [(project, "PROJECT"), (store, "STORE"), (home, "HOME"), (folder, "FOLDER")]
    out = []
    for line in text.splitlines():
        if line.startswith("$ "):
            status, stdout, stderr = play(line[2:], project, environment)
            out.append(line)
            if status != 0:
                out.append(f"= {status}")
            out += shown(">", stdout, places) + shown("!", stderr, places)
        elif not re.match(r"[=>!]( |\\|$)", line):
            out.append(line)
    return "\n".join(out) + "\n"


def main():
    paths = [pathlib.Path(arg) for arg in sys.argv[1:]] or sorted(HERE.glob("*.txt"))
    failed = 0
    for path in paths:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="kist-golden-"))
        try:
            wanted = path.read_text()
            got = replay(wanted, folder)
        finally:
            remove_tree(folder)
        if got == wanted:
            print(f"ok      {path.name}")
        elif os.environ.get("ACCEPT"):
            path.write_text(got)
            print(f"written {path.name}")
        else:
            failed += 1
            print(f"FAILED  {path.name}")
            sys.stdout.writelines(difflib.unified_diff(
                wanted.splitlines(True), got.splitlines(True), f"{path.name} wanted", "got"))
    if failed:
        print(f"{failed} of {len(paths)} transcripts differ; ACCEPT=1 rewrites them", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
