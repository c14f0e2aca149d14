#!/usr/bin/env python3
"""Cases derived from the OCI runtime specification and runc's command line, in TAP.

  run.py [--quick] [WORDS…]           over `$KIST runtime`
  RUNTIME=runc run.py [WORDS…]        over another runtime, as a control of the cases themselves

Exit status: 0 all passed, 1 some failed, 77 cannot run here.
"""
import os
import shutil
import sys

import lib


def main():
    if os.geteuid() != 0 or not os.path.exists(lib.BUSYBOX):
        print("skipped: needs root and busybox-static", file=sys.stderr)
        return 77
    if shutil.which(lib.RUNTIME[0]) is None:
        print(f"skipped: no {lib.RUNTIME[0]}", file=sys.stderr)
        return 77
    import cases_process, cases_mounts, cases_linux, cases_life, cases_checkpoint, cases_config, cases_control, cases_escape  # noqa: F401, E401
    words = [word for word in sys.argv[1:] if word != "--quick"]
    return lib.main(words, "--quick" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
