#!/usr/bin/env python3
"""Completion scripts in their own shells: each is read without complaint, and offers what the table of verbs has.
A shell that is not installed is named and left out; bash always is."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

KIST = os.environ.get("KIST", str(pathlib.Path(__file__).resolve().parents[2] / "build/release/kist"))

# The words so far, the last one begun; what must be offered, and what must not.
CASES = [
    ([""], ["run", "ps", "network", "registry", "runtime", "completion"], ["create-network", "--help"]),
    (["ru"], ["run", "runtime"], []),
    (["network", ""], ["create", "ls", "connect"], ["run", "add"]),
    (["network", "create", "--i"], ["--internal", "--ipv6"], ["--image", "--init"]),
    (["create", "--i"], ["--image", "--init"], ["--internal"]),
    (["registry", ""], ["serve", "gc"], ["run"]),
    (["run", "--cgroup"], ["--cgroup-parent"], []),
    (["image", ""], ["ls", "rm", "exists", "prune"], ["images"]),
    (["image", "ls", "--f"], ["--filter", "--format"], ["--force"]),
    (["manifest", ""], ["inspect", "referrers", "create"], ["run"]),
    (["completion", ""], ["bash", "zsh", "fish"], []),
    (["help", "net"], ["network"], []),
    (["runtime", "re"], ["restore", "resume"], []),
]


def out(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
    if done.stderr:
        raise RuntimeError(f"{command[0]} complains: {done.stderr[:500]}")
    return done.stdout


def bash(script, words):
    quoted = " ".join(f"'{word}'" for word in ["kist", *words])
    return out("bash", "--norc", "-c", f'. "{script}"; COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _kist; '
               'printf "%s\\n" "${COMPREPLY[@]}"').split("\n")


def zsh(script, words):
    # The functions of its completion system, as far as they are called.
    stubs = ("compdef() { }; _describe() { [[ $1 == -o ]] && shift; print -rl -- ${(P)2}; }; _files() { }; "
             "compadd() { shift; print -rl -- $@; }; ")
    quoted = " ".join(f"'{word}'" for word in ["kist", *words])
    said = out("zsh", "-fc", f"{stubs} source {script}; words=({quoted}); CURRENT={len(words) + 1}; PREFIX='{words[-1]}'; _kist")
    # Matching what was begun is the system's.
    return [line.split(":")[0] for line in said.split("\n") if line.startswith(words[-1])]


def fish(script, words):
    said = out("fish", "--no-config", "-c", f"source {script}; complete -C '{' '.join(['kist', *words])}'")
    return [line.split("\t")[0] for line in said.split("\n")]


SHELLS = {"bash": (bash, "-n"), "zsh": (zsh, "-n"), "fish": (fish, "--no-execute")}


def commands_of_runtime():
    said = out(KIST, "runtime", "--help").split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\S+)", said, re.M)


def problems_of(shell, script):
    complete, check = SHELLS[shell]
    done = subprocess.run([shell, check, script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 or done.stdout:
        yield f"it cannot be read: {done.stdout}"
        return
    runtime = commands_of_runtime()
    for words, wanted, unwanted in [*CASES, (["runtime", ""], runtime, ["runtime"])]:
        offered = complete(script, words)
        missing = [word for word in wanted if word not in offered]
        wrong = [word for word in unwanted if word in offered]
        if missing or wrong:
            yield f"kist {' '.join(words)}: missing {missing}, wrong {wrong}, offered {offered}"


def main():
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for shell in SHELLS:
            if not shutil.which(shell):
                print(f"left out: {shell} is not installed")
                continue
            script = pathlib.Path(folder) / f"kist.{shell}"
            script.write_text(out(KIST, "completion", shell))
            found = list(problems_of(shell, script))
            for problem in found:
                print(f"not ok - {shell}: {problem}")
            failed = failed or bool(found)
            if not found:
                print(f"ok - {shell}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
