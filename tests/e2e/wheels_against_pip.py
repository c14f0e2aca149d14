#!/usr/bin/env python3
"""Compares what kist makes of popular wheels with what pip installs, file by file.

    wheels_against_pip.py --tool PATH/wheel_install_to_folder [--wheels FOLDER] [NAME...]

Downloads the wheels with this machine's pip, from wherever it is configured to look, into FOLDER
(kept between runs), installs each with pip into a fresh virtual environment and with kist into a
folder, and compares contents, modes, RECORD as a set, and what the scripts of entry points call.
A difference must be of a kind that docs/wheel-differences.md lists with its reason; any other fails.
Exits with 77, "skipped", when pip reaches no index.
"""
import argparse
import base64
import collections
import csv
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PACKAGES = """
numpy pandas scipy scikit-learn matplotlib seaborn plotly statsmodels polars pyarrow numba llvmlite
sympy networkx dask distributed lightgbm xgboost nltk spacy transformers tokenizers datasets
huggingface-hub pillow opencv-python-headless mkl-fft pybind11 greenlet
jupyterlab notebook ipykernel ipython jupyter-server jupyter-client jupyterlab-widgets ipywidgets
widgetsnbextension nbconvert tornado pyzmq debugpy
requests urllib3 certifi charset-normalizer httpx aiohttp flask werkzeug django fastapi starlette
uvicorn pydantic pydantic-core sqlalchemy boto3 botocore google-auth google-api-core azure-core
protobuf grpcio cryptography cffi psutil lxml beautifulsoup4 selenium
pyyaml ruamel.yaml zope.interface pytest coverage black mypy ruff uv cmake ninja setuptools wheel pip
virtualenv rich click typer tqdm joblib python-dateutil pytz tzdata six attrs jinja2 markupsafe
packaging onnxruntime tensorboard bokeh
""".split()
FEWEST = 60
PREFIX = "/opt/kist"
PYTHON_MINOR = "%d.%d" % sys.version_info[:2]
SITE = "lib/python%s/site-packages" % PYTHON_MINOR
# What `python -m venv` puts into an environment by itself.
VENV_OWN = re.compile(r"pyvenv\.cfg|lib64|bin/(python[\d.]*|[Aa]ctivate.*)|\.gitignore")
DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "wheel-differences.md"


def run(*command):
    # Not our PYTHON… variables: they would reach into the environments that we compare.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def download(folder, names):
    """Fetches what is missing; returns the wheels, and skips the test when there is no index."""
    folder.mkdir(parents=True, exist_ok=True)
    have = {canonical(path.name.split("-")[0]) for path in folder.glob("*.whl")}
    failed = []
    for name in names:
        if canonical(name) in have:
            continue
        got = run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                  "--only-binary", ":all:", "--dest", str(folder), name)
        if got.returncode != 0:
            failed.append(name)
            if len(failed) == 3 and not have:
                print("SKIPPED: pip cannot download wheels here:\n" + got.stderr[-500:])
                sys.exit(77)
    if failed:
        print("no wheel for this machine:", *failed)
    wanted = {canonical(name) for name in names}
    return sorted(path for path in folder.glob("*.whl")
                  if canonical(path.name.split("-")[0]) in wanted)


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def install_with_pip(wheel, folder):
    # By name from a folder: for a file's path pip would write direct_url.json.
    name, version = wheel.name.split("-")[:2]
    alone = folder.parent / "alone"
    alone.mkdir()
    os.link(wheel, alone / wheel.name)
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    got = run(sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install",
              "--quiet", "--no-deps", "--no-compile", "--no-index", "--no-warn-script-location",
              "--find-links", str(alone), name + "==" + version)
    return got.stderr if got.returncode else ""


def install_with_kist(tool, wheel, folder):
    got = run(str(tool), PYTHON_MINOR, PREFIX, str(folder), str(wheel))
    for line in got.stdout.splitlines():
        print("  warning:", line)
    return got.stderr if got.returncode else ""


def files_of(root):
    out = {}
    for folder, names, files in os.walk(root):
        for name in files + [n for n in names if os.path.islink(os.path.join(folder, n))]:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            if not VENV_OWN.fullmatch(relative):
                out[relative] = path
    return out


def read(path):
    with open(path, "rb") as file:
        return file.read()


def without_shebang(content):
    """The content after the lines that name the interpreter."""
    if content.startswith(b"#!/bin/sh\n'''exec'"):
        return content.split(b"\n' '''\n", 1)[1]
    return content.split(b"\n", 1)[1] if content.startswith(b"#!") else content


def called_by(content):
    """What the script of an entry point calls: (module, attribute path)."""
    found = re.search(rb"^from (\S+) import (\S+)$.*sys\.exit\((\S+)\(\)\)", content, re.M | re.S)
    return found and (found[1], found[3])


def is_own(path, name):
    """Whether it is that file of the wheel's own dist-info, not of a package that it has swallowed."""
    folder, last = os.path.split(path)
    return last == name and folder.endswith(".dist-info") and os.path.dirname(folder) == SITE


def difference_of_contents(path, ours, theirs):
    """The kind of difference, None when equal."""
    if is_own(path, "RECORD"):
        return None  # Compared as a set, by itself.
    a, b = read(ours), read(theirs)
    if a == b:
        return None
    if is_own(path, "INSTALLER"):
        return "installer" if (a, b) == (b"kist\n", b"pip\n") else "INSTALLER has other content"
    if path.startswith("bin/"):
        if without_shebang(a) == without_shebang(b):
            return "shebang"
        if called_by(a) and called_by(a) == called_by(b):
            return "script-text"
    return "other content"


def record_rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row[0]: tuple(row[1:3]) for row in csv.reader(file) if row}


def truth(path):
    content = read(path)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return "sha256=" + digest, str(len(content))


def compare_records(ours, theirs, record, explained):
    """Yields (kind, path). `explained`: files that differ themselves, and so do their rows."""
    a, b = record_rows(ours[record]), record_rows(theirs[record])
    base = os.path.join(os.path.dirname(os.path.dirname(record)))
    for row in sorted(a.keys() | b.keys()):
        path = os.path.normpath(os.path.join(base, row))
        if path in explained:
            continue
        if a.get(row) == b.get(row):
            # Ours must also be right.
            if row != os.path.relpath(record, base) and a[row] not in (("", ""), truth(ours[path])):
                yield "RECORD is wrong", row
        elif row in a and row in b and a[row] == truth(ours[path]):
            yield "record-healed", row
        elif row in a and path in ours:
            yield "record-unlisted", row
        elif row in b and path not in theirs:
            yield "record-ghost", row
        else:
            yield "RECORD differs", row
    listed = [row[0] for row in csv.reader(open(ours[record], newline="", encoding="utf-8"))]
    if listed != sorted(listed, key=os.fsencode):
        yield "RECORD is not sorted", record


def compare(ours_root, theirs_root):
    """Yields (kind, path) for each difference between the two environments."""
    ours, theirs = files_of(ours_root), files_of(theirs_root)
    explained = set()
    for path in sorted(ours.keys() | theirs.keys()):
        if path not in ours:
            kind = "requested" if is_own(path, "REQUESTED") else "missing"
        elif path not in theirs:
            kind = "added"
        else:
            kind = difference_of_contents(path, ours[path], theirs[path])
            modes = [os.lstat(root[path]).st_mode for root in (ours, theirs)]
            if modes[0] != modes[1]:
                yield "mode %o, not %o" % (modes[0] & 0o7777, modes[1] & 0o7777), path
        if kind:
            explained.add(path)
            yield kind, path
    for path in sorted(ours.keys() & theirs.keys()):
        if is_own(path, "RECORD"):
            yield from compare_records(ours, theirs, path, explained)


def listed_kinds():
    return set(re.findall(r"^\| `([\w-]+)` \|", DOCUMENT.read_text(), re.M))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True, type=pathlib.Path)
    parser.add_argument("--wheels", type=pathlib.Path,
                        default=pathlib.Path(tempfile.gettempdir()) / "kist-popular-wheels")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    os.umask(0o022)
    wheels = download(options.wheels, options.names or PACKAGES)
    if not options.names and len(wheels) < FEWEST:
        sys.exit("only %d wheels could be downloaded, want %d" % (len(wheels), FEWEST))
    listed = listed_kinds()
    seen, unlisted, file_count = collections.Counter(), 0, 0
    for number, wheel in enumerate(wheels, 1):
        print("%d/%d %s" % (number, len(wheels), wheel.name), flush=True)
        work = pathlib.Path(tempfile.mkdtemp(prefix="kist-wheel-"))
        try:
            problem = (install_with_pip(wheel, work / "pip") or
                       install_with_kist(options.tool, wheel, work / "kist"))
            if problem:
                print("%s: cannot be installed:\n%s" % (wheel.name, problem))
                unlisted += 1
                continue
            root = work / "kist" / PREFIX.lstrip("/")
            file_count += len(files_of(root))
            for kind, path in compare(root, work / "pip"):
                seen[kind] += 1
                if kind not in listed:
                    print("%s: %s: %s" % (wheel.name, kind, path))
                    unlisted += 1
        finally:
            shutil.rmtree(work, ignore_errors=True)
    print("%d wheels, %d files compared; differences:" % (len(wheels), file_count),
          ", ".join("%s %d" % pair for pair in sorted(seen.items())) or "none")
    if unlisted:
        sys.exit("%d differences are not listed in docs/%s" % (unlisted, DOCUMENT.name))


if __name__ == "__main__":
    main()
