#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Waits for the parts of a benchmark, adds them up and makes the report. WORKERS, RESULTS, DEADLINE and SCRATCH come from
# the environment.
set -eu
deadline=$(($(date +%s) + DEADLINE))

# Whether an object of the run is there. What cannot be looked at ends the merge.
is_there() {
  code=0
  storescope cat "$RESULTS/$1" > "$SCRATCH/found" 2> "$SCRATCH/error" || code=$?
  case $code in
    0) return 0 ;;
    3) return 1 ;;
    *) cat "$SCRATCH/error" >&2; exit 1 ;;
  esac
}

cd "$SCRATCH"
worker=0
while [ "$worker" -lt "$WORKERS" ]; do
  worker=$((worker + 1))
  until is_there "done/$worker"; do
    if is_there "failed/$worker"; then
      cat "$SCRATCH/found" >&2
      exit 1
    fi
    [ "$(date +%s)" -lt "$deadline" ] || { echo "the result of worker $worker has not come within $DEADLINE s" >&2; exit 1; }
    sleep 2
  done
  storescope cp -r "$RESULTS/part-$worker" "part-$worker"
  set -- "$@" "part-$worker"
done
if [ "$WORKERS" = 1 ]; then mv part-1 all; else storescope merge "$@" --out all; fi
storescope report all --out all/report.html
storescope cp -r all "$RESULTS/all"
echo "report: $RESULTS/all/report.html"
