#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One worker of a benchmark: meets the others in the store, measures its share from one instant on, leaves its part there.
# "$@" are options of `storescope bench`. WORKERS, URL, RESULTS (the folder of the run), RUN_ID, START_AT, START_DELAY,
# JOIN_TIMEOUT, PREPARE and SCRATCH come from the environment, as JOB_COMPLETION_INDEX does.
set -u
worker=$((JOB_COMPLETION_INDEX + 1))
url=$URL
deadline=$(($(date +%s) + JOIN_TIMEOUT))

say() { echo "worker $worker of $WORKERS: $*" >&2; }
# Ends this worker, and tells the merge.
give_up() {
  say "$2"
  put "failed/$worker" "worker $worker: $2"
  exit "$1"
}
put() { printf '%s\n' "$2" | storescope cp - "$RESULTS/$1" > /dev/null; }
# Prints what an object of the run holds. 3: it is not there.
get() { storescope cat "$RESULTS/$1" 2> "$SCRATCH/error"; }

# Waits until an object of this run ($1) is there, and leaves its content in $found.
await() {
  while :; do
    found=$(get "$1")
    case $? in
      0) [ "${found%% *}" != "$RUN_ID" ] || return 0 ;;
      3) ;;
      *) cat "$SCRATCH/error" >&2; exit 1 ;;
    esac
    [ "$(date +%s)" -lt "$deadline" ] ||
      give_up 1 "waited $JOIN_TIMEOUT s for $1: a worker has no node, or its image cannot be pulled (kubectl describe pod)"
    sleep 1
  done
}

begun=$(get start)
case $? in
  0) say "$RESULTS holds the run of ${begun%% *}. Results are not replaced: set bench.run to another name, or remove the folder"; exit 2 ;;
  3) ;;
  *) cat "$SCRATCH/error" >&2; exit 1 ;;
esac
put "ready/$worker" "$RUN_ID" || { say "cannot write to $RESULTS"; exit 1; }
if [ "$worker" = 1 ]; then
  other=1
  while [ "$other" -lt "$WORKERS" ]; do
    other=$((other + 1))
    await "ready/$other"
  done
  put start "$RUN_ID ${START_AT:-$(date -u -d "@$(($(date +%s) + START_DELAY))" +%Y-%m-%dT%H:%M:%SZ)}" || exit 1
fi
await start
say "begins at ${found#* }"

if [ "$PREPARE" -gt 0 ]; then
  url="${URL%/}/worker-$worker/"
  set -- --prepare "$PREPARE" "$@"
fi
storescope bench "$url" --worker "$worker/$WORKERS" --start-at "${found#* }" --out "$SCRATCH/part" "$@" &
child=$!
# An eviction ends the benchmark as Ctrl-C does: what it made is removed.
trap 'kill -TERM "$child" 2> /dev/null' TERM INT
wait "$child"; code=$?
while kill -0 "$child" 2> /dev/null; do wait "$child"; code=$?; done

[ -e "$SCRATCH/part/run.json" ] || give_up "$code" "storescope bench ended with code $code and without a result"
storescope cp -r "$SCRATCH/part" "$RESULTS/part-$worker" || give_up 1 "cannot write its result to $RESULTS"
put "done/$worker" "$RUN_ID" || exit 1
say "result: $RESULTS/part-$worker"
exit "$code"
