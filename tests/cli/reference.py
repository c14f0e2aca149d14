#!/usr/bin/env python3
"""docs/reference.md is what `kist help --markdown` prints. ACCEPT=1 writes it anew."""
import difflib
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference.md"


def main():
    kist = os.environ.get("KIST", str(ROOT / "build" / "release" / "kist"))
    printed = subprocess.run([kist, "help", "--markdown"], stdout=subprocess.PIPE, check=True,
                             text=True).stdout
    if os.environ.get("ACCEPT"):
        REFERENCE.write_text(printed)
        return 0
    written = REFERENCE.read_text()
    sys.stdout.writelines(difflib.unified_diff(written.splitlines(True), printed.splitlines(True),
                                               "docs/reference.md", "kist help --markdown"))
    if written == printed:
        return 0
    print("\nhint: ACCEPT=1 tests/cli/reference.py writes docs/reference.md anew")
    return 1


if __name__ == "__main__":
    sys.exit(main())
