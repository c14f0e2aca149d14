#!/bin/sh
# Profiles of AppArmor, by `kist runtime` and by `kist run --image`.
. /kist/vm/guest/lib.sh
cd "$(mktemp -d /tmp/bundle.XXXXXX)" || exit 1
[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] || skip "needs AppArmor"
cat >profile <<'PROFILE'
profile kist-test flags=(attach_disconnected,mediate_deleted) {
  file,
  capability,
  network,
  mount,
  signal,
  ptrace,
  deny /secret r,
}
PROFILE
apparmor_parser -r -K profile || exit 1
with=',"apparmorProfile":"kist-test"'
bundle . 'cat /proc/self/attr/current; cat /secret' '{}' '' "$with"
echo secret >rootfs/secret
is "create" "$("$runtime" run one 2>&1)" "kist-test (enforce)
cat: can't open '/secret': Permission denied"
bundle . 'sleep 1000' '{}' '' "$with"
works "run -d" "$runtime" run -d one
is "the process" "$(cat "/proc/$(pid_of one)/attr/current")" "kist-test (enforce)"
is "exec has it too" "$("$runtime" exec one cat /proc/self/attr/current)" "kist-test (enforce)"
is "exec with another" "$("$runtime" exec --apparmor unconfined one cat /proc/self/attr/current)" unconfined
fails "exec with one that is not there" "*no profile 'nonsense' is loaded*" "$runtime" exec --apparmor nonsense one true
"$runtime" delete -f one
bundle . 'cat /proc/self/attr/current' '{}' '' "$with,\"noNewPrivileges\":true"
is "with noNewPrivileges" "$("$runtime" run one)" "kist-test (enforce)"
bundle . 'cat /proc/self/attr/current' '{}' '' ',"apparmorProfile":"unconfined"'
is "unconfined" "$("$runtime" run one)" unconfined
bundle . 'true' '{}' '' ',"apparmorProfile":"nonsense"'
fails "one that is not there" "*no profile 'nonsense' is loaded*" "$runtime" run one
fails "by create" "*no profile 'nonsense' is loaded*" "$runtime" create one
is "nothing is left" "$("$runtime" list -q)" ""

export KIST_HOME=/tmp/store
tar -C rootfs -c . | $engine import - box >/dev/null || exit 1
is "--security-opt" "$($engine run --rm --security-opt apparmor=kist-test --image box cat /proc/self/attr/current)" "kist-test (enforce)"
like "is enforced" "$($engine run --rm --security-opt apparmor=kist-test --image box cat /secret 2>&1)" "*Permission denied*"
works "in the background" $engine run -d --name two --security-opt apparmor=kist-test --image box sleep 1000
is "exec has it too" "$($engine exec two cat /proc/self/attr/current)" "kist-test (enforce)"
$engine rm -f two >/dev/null
is "unconfined" "$($engine run --rm --security-opt apparmor=unconfined --image box cat /proc/self/attr/current)" unconfined
fails "one that is not there" "*no profile 'nonsense' is loaded*" $engine run --rm --security-opt apparmor=nonsense --image box true
finish
