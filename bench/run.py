#!/usr/bin/env python3
"""Measures kist against the kernel floor and its peers; docs/benchmarks.md explains the groups.

  bench/run.py [--only NAME[,NAME]] [--quick] [--json FILE] [--build FOLDER] [--work FOLDER]

Exit status: 0 all goals met, 1 one missed, 2 a group could not be measured.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import platform
import statistics
import sys
import time

import groups_assembly
import groups_build
import groups_containers
import groups_network
import groups_peers
import groups_registry
import groups_run
import groups_runtime
import groups_transfer
import groups_updates
from measure import table
from stores import Bench, say

GROUPS = {"start": groups_run.start, "rate": groups_run.rates, "version": groups_run.version,
          "second": groups_assembly.second, "import": groups_run.imports,
          "base": groups_assembly.base, "env100": groups_assembly.env100,
          "memory": groups_assembly.memory, "change": groups_assembly.change,
          "runtime": groups_runtime.runtime, "network": groups_network.network,
          "containers": groups_containers.containers, "build": groups_build.build,
          "registry": groups_registry.registry, "transfer": groups_transfer.transfer,
          "updates": groups_updates.updates,
          "mmdebstrap": groups_peers.mmdebstrap, "podman": groups_peers.podman_build}


def machine():
    with open("/proc/cpuinfo") as text:
        models = {line.split(":", 1)[1].strip() for line in text if line.startswith("model name")}
    return {"date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "cores": os.cpu_count(),
            "processor": ", ".join(sorted(models)) or "unknown", "kernel": platform.release(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}


def as_json(row):
    fields = dataclasses.asdict(row)
    fields |= {"met": row.met(), "ratio_of_medians": row.ratio(statistics.median),
               "ratio_of_bests": row.ratio(row.low)}
    return fields


def arguments():
    here = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"of {', '.join(GROUPS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", metavar="FILE", help="write all values there")
    parser.add_argument("--build", default=here / "build/release", help="where kist was built")
    parser.add_argument("--work", default="/var/tmp/kist-bench",
                        help="stores and projects; kept for the next time (change: some 20 GB)")
    parsed = parser.parse_args()
    names = parsed.only.split(",") if parsed.only else list(GROUPS)
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        parser.error(f"no group {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return parsed, names


def main():
    parsed, names = arguments()
    bench = Bench(parsed.build, parsed.work, parsed.quick)
    rows, failed = [], []
    for name in names:
        say(f"group {name}")
        try:
            rows += GROUPS[name](bench)
        except Exception as error:  # One group that cannot be measured must not cost the others.
            say(f"group {name} could not be measured: {error}")
            failed.append(name)
        if parsed.json:
            result = {"machine": machine(), "rows": [as_json(row) for row in rows], "failed": failed}
            pathlib.Path(parsed.json).write_text(json.dumps(result, indent=1) + "\n")
    bench.empty_trash()
    print(table(rows))
    if failed:
        return 2
    return 1 if any(row.met() is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
