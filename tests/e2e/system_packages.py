#!/usr/bin/env python3
"""Debian packages that data scientists ask for: each set is installed by kist and does its job.

Goal: no maintainer script is missed. Method: a project that asks for the set, one real command of
it, on real packages of the machine's own mirror. Skips (77) when no mirror is reachable.
Usage: system_packages.py KIST [NAME…]
"""
import os
import pathlib
import subprocess
import sys
import tempfile

# name: (system packages, Python packages, command, what its output must contain)
SETS = {
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
    "locales": (["locales"], [], "locale -a", "C.utf8"),
}


def run(kist, name):
    system, python, command, wanted = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        quoted = ", ".join(f'"{p}"' for p in system)
        (pathlib.Path(folder) / "kist.toml").write_text(f"[environment]\nsystem = [{quoted}]\n")
        if python:
            (pathlib.Path(folder) / "requirements.txt").write_text("\n".join(python) + "\n")
        done = subprocess.run([kist, "run", "sh", "-c", command], cwd=folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=900)
        good = done.returncode == 0 and wanted in done.stdout + done.stderr
        print(f"{'ok' if good else 'FAILED'}  {name}", flush=True)
        if not good:
            print(f"  status {done.returncode}, wanted {wanted!r}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return good


def main():
    kist, names = sys.argv[1], sys.argv[2:] or list(SETS)
    doctor = subprocess.run([kist, "doctor"], text=True, stdout=subprocess.PIPE, check=False).stdout
    for line in doctor.splitlines():
        if line.startswith("FAIL") and ("mirror" in line or "index" in line):
            print(f"SKIPPED: {line}")
            return 77
    failed = [name for name in names if not run(kist, name)]
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed" + (f": {failed}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
