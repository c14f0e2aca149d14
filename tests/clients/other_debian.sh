#!/usr/bin/env bash
# The clients of a newer Debian than this machine may have, in a root of its own: tests/clients again, in
# namespaces of mounts, processes and network. The kernel and its cgroups are this machine's.
#
#     other_debian.sh SUITE
#
# The root is made once, by mmdebstrap, and kept in $XDG_CACHE_HOME/kist-tests, default /var/cache/kist-tests.
# Nothing is written to it afterwards: memory is laid over it.
set -euo pipefail
suite=${1:?the suite}
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-/var/cache}/kist-tests
root=$cache/clients-$suite
packages=podman,conmon,crun,runc,docker.io,docker-cli,containerd,netavark,busybox-static,python3,bsdutils,mount,procps
# Part of the recipe: a root that was made by another is made again.
options=(--variant=essential "--include=$packages")
for what in doc man locale info; do options+=("--dpkgopt=path-exclude=/usr/share/$what/*"); done

skip() { echo "skipped: $*" >&2; exit 77; }

[ "$(id -u)" = 0 ] || skip "needs root"
program=$(readlink -f "${KIST:?the program to test}")
if [ "${2:-}" != inside ]; then
  command -v mmdebstrap >/dev/null || skip "needs mmdebstrap: scripts/setup --clients"
  mkdir -p "$cache"
  exec 9>"$root.lock"
  flock 9
  if [ "$(cat "$root/recipe" 2>/dev/null)" != "${options[*]}" ]; then
    echo "# making a root of $suite, once" >&2
    rm -rf "$root" "$root.new"
    # Debian's mirror that this machine uses, if it is one of Debian's own suites; else mmdebstrap's.
    mirror=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      awk -F'|' '$1 == "Debian" && $2 == "Debian" {print $3; exit}')
    if ! mmdebstrap -q "${options[@]}" "$suite" "$root.new" ${mirror:+"$mirror"} >"$root.log" 2>&1; then
      rm -rf "$root.new"
      skip "no root of $suite can be made: $(grep -m1 -E '^(E|W):' "$root.log" || tail -1 "$root.log")"
    fi
    echo "${options[*]}" >"$root.new/recipe"
    mv "$root.new" "$root"
  fi
  flock -u 9
  exec unshare --mount --pid --net --ipc --uts --fork --kill-child --propagation private "$0" "$suite" inside
fi

# Pid 1 of the test; all that is mounted and running from here on goes with it.
mount -t tmpfs tmpfs /mnt
mkdir /mnt/{upper,work,root}
mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
cd /mnt/root
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
for folder in tmp run; do mount -t tmpfs -o mode=1777 tmpfs "$folder"; done
mkdir -p kist/vm/guest kist/host
cp "$program" kist/kist
cp -r "$here" kist/clients
cp "$here/../vm/guest/clients.sh" kist/vm/guest/
# Not by chroot: whoever lives in one may make no user namespace.
pivot_root . kist/host
exec chroot . /bin/sh -ec '
  umount -l /kist/host
  export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 KIST=/kist/kist PODMAN_IGNORE_CGROUPSV1_WARNING=1
  unset XDG_CACHE_HOME
  busybox ip link set lo up
  for one in "podman --version" "docker --version" "containerd --version"; do echo "# $($one)"; done
  exec /kist/vm/guest/clients.sh'
