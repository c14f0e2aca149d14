#!/bin/sh
# The real clients that this system has, with kist as their runtime: tests/clients, one after another.
failures=0
for name in podman docker containerd; do
  echo "# $name"
  began=$(cut -d. -f1 /proc/uptime)
  status=0
  timeout 900 "/kist/clients/$name.sh" || status=$?
  echo "# $name took $(($(cut -d. -f1 /proc/uptime) - began)) s"
  case $status in
    0) echo "ok - $name" ;;
    77) echo "not ok - $name: skipped, but it is here"; failures=$((failures + 1)) ;;
    *) echo "not ok - $name: status $status"; failures=$((failures + 1)) ;;
  esac
done
[ $failures = 0 ]
