#!/usr/bin/env python3
"""Debian packages that data scientists ask for: each set is installed by kist and does its job.

Goal: no maintainer script is missed. Method: a project that asks for the set, one real command of
it, on real packages of the machine's own mirror; every set on every suite, and as root the sets of
AS_USER once more as a plain user. Skips (77) when no mirror is reachable.
Usage: system_packages.py KIST [--suite NAME]… [--as UID]… [NAME…]
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SUITES = ["trixie", "bookworm"]
PLAIN_UID = 12345
# Those whose scripts need the container most.
AS_USER = ["base", "git", "r-base-core", "java", "locales-german"]
# What every base promises, in one go: each line says what is missing.
BASE = r"""
want() { "$@" >/dev/null 2>&1 || echo "MISSING: $*"; }
want dpkg -l libc6 python3-minimal ca-certificates
want dpkg -s base-files
want dpkg -L coreutils
want dpkg -S bin/sh
want test -z "$(dpkg --audit)"
want test -z "$(dpkg -l | tail -n +6 | grep -v '^ii')"
want test "$(dpkg --print-architecture)" = "$(dpkg-query -W -f '${Architecture}' libc6)"
want grep -q '^VERSION_CODENAME=' /etc/os-release
want test -s /etc/ssl/certs/ca-certificates.crt
want test -s /etc/localtime
want getent passwd root
want getent passwd www-data
want getent passwd "$(id -u)"
want getent group staff
want getent services https
want sh -c 'locale -a | grep -qix c.utf8'
want sh -c 'awk 1 /dev/null'
want test -x /etc/alternatives/awk
want update-alternatives --query awk
want ldconfig -p
want python -c 'import locale; locale.setlocale(locale.LC_ALL, "C.UTF-8")'
want python -c 'import ssl; assert len(ssl.create_default_context().get_ca_certs()) > 50'
want python -c 'import zoneinfo, sqlite3, lzma, bz2, ctypes; zoneinfo.ZoneInfo("Europe/Paris")'
# A scanner reads these three fields of each paragraph, and the files that go with it.
want python -c '
import pathlib
for text in pathlib.Path("/var/lib/dpkg/status").read_text().strip().split("\n\n"):
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and line[0] != " ")
    assert fields["Status"] == "install ok installed" and fields["Version"] and fields["Architecture"]
    name = fields["Package"]
    info = pathlib.Path("/var/lib/dpkg/info")
    assert any((info / f"{n}.list").exists() for n in (name, name + ":" + fields["Architecture"])), name
'
echo done
"""

# name: (system packages, Python packages, command, what its output must contain)
SETS = {
    "base": ([], [], BASE, "done"),
    "git": (["git"], [], "git init -q /tmp/r && git -C /tmp/r status", "No commits yet"),
    "curl": (["curl"], [], "curl --version", "https"),
    "ffmpeg": (["ffmpeg"], [],
               "ffmpeg -v error -f lavfi -i testsrc=d=0.1 -f null - && echo fine", "fine"),
    "graphviz": (["graphviz"], [], "echo 'digraph{a->b}' | dot -Tsvg", "</svg>"),
    "opencv": (["libgl1", "libglib2.0-0"], ["opencv-python"],
               "python -c 'import cv2; print(cv2.__version__)'", "."),
    "build-essential": (["build-essential"], [],
                        "echo 'int main(){return 0;}' > /tmp/a.c && cc /tmp/a.c -o /tmp/a && /tmp/a && "
                        "echo '#include <string>\nint main(){}' > /tmp/b.cc && c++ /tmp/b.cc -o /tmp/b && "
                        "make --version", "GNU Make"),
    "gfortran": (["gfortran"], [],
                 "printf 'print *, 6*7\\nend\\n' > /tmp/a.f90 && gfortran /tmp/a.f90 -o /tmp/a && /tmp/a", "42"),
    "java": (["default-jre-headless"], ["pyspark"],
             "java -version 2>&1 && python -c 'from pyspark.sql import SparkSession as S; "
             "print(S.builder.master(\"local[1]\").getOrCreate().range(10).count())'", "10"),
    "postgresql-client": (["postgresql-client"], [], "psql --version", "psql (PostgreSQL)"),
    "r-base-core": (["r-base-core"], [], "Rscript -e 'cat(sum(1:10))'", "55"),
    "nodejs": (["nodejs"], [], "node -e 'console.log(6*7)'", "42"),
    "tesseract": (["tesseract-ocr"], [], "tesseract --list-langs", "eng"),
    "fonts": (["fontconfig", "fonts-dejavu-core"], [], "fc-list", "DejaVu"),
    "tzdata": (["tzdata"], [],
               "TZ=Asia/Tokyo date +%Z && python -c 'import zoneinfo; print(zoneinfo.ZoneInfo(\"Europe/Paris\"))'",
               "JST"),
    "locales": (["locales"], [], "localedef -i de_DE -f UTF-8 /tmp/de && ls /tmp/de && locale -a", "C.utf8"),
    "locales-german": (["locales-all"], [],
                       "LC_ALL=de_DE.UTF-8 python -c 'import locale; locale.setlocale(locale.LC_ALL, \"\"); "
                       "print(locale.str(1.5), locale.nl_langinfo(locale.MON_1))'", "1,5 Januar"),
}


def command_for(kist, uid):
    if uid is None:
        return [kist]
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", kist]


def run(kist, name, suite, uid, environment):
    system, python, command, wanted = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        quoted = ", ".join(f'"{p}"' for p in system)
        (pathlib.Path(folder) / "kist.toml").write_text(
            f'[environment]\nbase = "debian:{suite}"\nsystem = [{quoted}]\n')
        if python:
            (pathlib.Path(folder) / "requirements.txt").write_text("\n".join(python) + "\n")
        if uid is not None:
            subprocess.run(["chown", "-R", f"{uid}:{uid}", folder], check=True)
        done = subprocess.run([*command_for(kist, uid), "run", "sh", "-c", command], cwd=folder,
                              env=environment, text=True, errors="replace", stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=1200)
    output = done.stdout + done.stderr
    good = done.returncode == 0 and wanted in output and "MISSING" not in done.stdout
    title = f"{name} on {suite}" + (f" as {uid}" if uid is not None else "")
    print(f"{'ok' if good else 'FAILED'}  {title}", flush=True)
    if not good:
        print(f"  status {done.returncode}, wanted {wanted!r}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return [] if good else [title]


def run_as_user(kist, names, suites, uid):
    """With a home, a store and a copy of the program that the user may read."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kist-system-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        for program in ("kist", "kist-engine"):
            shutil.copy2(pathlib.Path(kist).resolve().parent / program, folder / program)
        home = folder / "home"
        home.mkdir()
        os.chown(home, uid, uid)
        environment = {**os.environ, "HOME": str(home), "KIST_HOME": str(home / "store")}
        return [failed for suite in suites for name in names
                for failed in run(str(folder / "kist"), name, suite, uid, environment)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--as", dest="uids", action="append", type=int)
    parser.add_argument("kist")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    doctor = subprocess.run([options.kist, "doctor"], text=True, stdout=subprocess.PIPE, check=False).stdout
    for line in doctor.splitlines():
        if line.startswith("FAIL") and ("mirror" in line or "index" in line):
            print(f"SKIPPED: {line}")
            return 77
    suites = options.suite or SUITES
    failed = []
    if not options.uids:
        for suite in suites:
            for name in options.names or SETS:
                failed += run(options.kist, name, suite, None, dict(os.environ))
    if os.getuid() == 0:
        for uid in options.uids or [PLAIN_UID]:
            failed += run_as_user(options.kist, options.names or AS_USER, suites, uid)
    print("all passed" if not failed else f"{len(failed)} failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
