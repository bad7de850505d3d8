#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Before the workers begin: worker 0 makes the data where there are none, the others wait. DATA, EVENTS, SOFT_PARTICLES,
# JOIN_TIMEOUT and SCRATCH come from the environment, as JOB_COMPLETION_INDEX does.
set -eu
deadline=$(($(date +%s) + JOIN_TIMEOUT))

# The manifest is written last. What cannot be looked at is an error.
is_prepared() {
  code=0
  storescope cat "$DATA/manifest.json" > /dev/null 2> "$SCRATCH/error" || code=$?
  case $code in
    0) return 0 ;;
    3) return 1 ;;
    *) cat "$SCRATCH/error" >&2; exit 1 ;;
  esac
}

if ! is_prepared && [ "$JOB_COMPLETION_INDEX" = 0 ]; then
  storescope-workloads generate trigger --events "$EVENTS" --files 2 --soft-particles "$SOFT_PARTICLES" \
    --out "$DATA-sample" --overwrite
  storescope-workloads trainer ingest "$DATA-sample" --out "$DATA-events" --overwrite
  storescope-workloads trainer prepare "$DATA-events" --out "$DATA" --overwrite
fi
until is_prepared; do
  [ "$(date +%s)" -lt "$deadline" ] || { echo "no prepared data in $DATA within $JOIN_TIMEOUT s: see the log of worker 0" >&2; exit 1; }
  sleep 2
done
