#!/bin/sh
# The clock jumps by a day, forth and back, while containers are restarted, checked, stopped and waited for.
. /kist/vm/guest/lib.sh
cd "$(mktemp -d /tmp/clock.XXXXXX)" || exit 1
export KIST_HOME=/tmp/store
root_folder root
tar -C root -c . | $engine import - box >/dev/null || exit 1
up() { cut -d. -f1 /proc/uptime; }
restarts() { $engine inspect --format '{{.RestartCount}}' "$1"; }
jump() { date -s "@$(($(date +%s) + $1))" >/dev/null; }
day=86400

works "one that fails again and again" $engine run -d --name fails --restart on-failure --image box sh -c 'sleep 0.1; exit 1'
works "one that is well" $engine run -d --name well --health-cmd true --health-interval 1s --health-timeout 5s --image box \
  sh -c 'trap "exit 0" TERM; while true; do echo line; sleep 0.5; done'
works "one that does not hear" $engine run -d --name deaf --image box sh -c 'trap "" TERM; while true; do sleep 1; done'
checks_of() { $engine inspect --format '{{json .State.Health}}' well | grep -o ExitCode | wc -l; }
well() { $engine inspect --format '{{.State.Health.Status}}' well | grep -qx healthy; }
soon well; is "healthy" "$($engine inspect --format '{{.State.Health.Status}}' well)" healthy
sleep 3
for way in $day -$day -$day $day; do
  before=$(restarts fails)
  at=$(up)
  ($engine wait late >/tmp/waited 2>&1; echo "$(up)" >>/tmp/waited) &
  waiter=$!
  jump "$way"
  sleep 5
  more=$(($(restarts fails) - before))
  # With back-off from 100 ms on there are at most six in five seconds, and some on a slow machine.
  if [ "$more" -le 8 ]; then ok "no storm of restarts after $way s ($more)"; else not_ok "no storm after $way s" "$more restarts in 5 s" "at most 8"; fi
  is "still healthy" "$($engine inspect --format '{{.State.Health.Status}}' well)" healthy
  wait $waiter
done
last=$($engine inspect --format '{{json .State.Health}}' well)
sleep 4
if [ "$last" != "$($engine inspect --format '{{json .State.Health}}' well)" ]; then ok "checks go on"; else not_ok "checks go on" "the same as 4 s ago" "new ones"; fi
count=$(restarts fails)
works "it is started again" sh -c "for i in \$(seq 70); do [ \$($engine inspect --format '{{.RestartCount}}' fails) -gt $count ] && exit 0; sleep 1; done; exit 1"

# A stop that waits while the clock goes away.
for way in $day -$day; do
  at=$(up)
  $engine stop --timeout 3 deaf >/dev/null & stopper=$!
  sleep 1; jump $way
  wait $stopper
  took=$(($(up) - at))
  if [ $took -ge 2 ] && [ $took -le 10 ]; then ok "stop --timeout 3 over $way s ($took s)"; else not_ok "stop --timeout 3 over $way s" "$took s" "3 to 10"; fi
  is "it was killed" "$($engine inspect --format '{{.State.ExitCode}}' deaf)" 137
  $engine start deaf >/dev/null
done
$engine run -d --name short --image box sleep 4 >/dev/null
at=$(up)
$engine wait short >/tmp/waited & waiter=$!
sleep 1; jump $day
wait $waiter
is "wait" "$(cat /tmp/waited)" 0
took=$(($(up) - at))
if [ $took -le 12 ]; then ok "wait ends when it ends ($took s)"; else not_ok "wait" "$took s" "at most 12"; fi
lines=$(timeout 20 $engine logs --since 2s well | wc -l)
if [ "$lines" -le 12 ]; then ok "logs --since 2s ($lines)"; else not_ok "logs --since 2s" "$lines lines" "at most 12"; fi
works "logs --since a day ago" sh -c "timeout 20 $engine logs --since 48h well | grep -q line"
(timeout 6 $engine logs -f --since 1s well >/tmp/followed; true) & follower=$!
sleep 2; jump -$day; wait $follower
if [ "$(wc -l </tmp/followed)" -ge 5 ]; then ok "logs -f goes on"; else not_ok "logs -f" "$(wc -l </tmp/followed) lines in 6 s" "at least 5"; fi
works "ps" $engine ps -a
like "exec" "$(timeout 20 $engine exec well echo here)" here
works "rm -f" $engine rm -f fails well deaf short
finish
