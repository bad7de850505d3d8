#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A worker of the training; worker 0 evaluates the model at the end. "$@" are options of `trainer train`; OUT and EVALUATE
# come from the environment, as JOB_COMPLETION_INDEX and TF_CONFIG do.
set -u
[ "$JOB_COMPLETION_INDEX" = 0 ] && [ "$EVALUATE" = true ] || exec storescope-workloads trainer train --out "$OUT" "$@"
storescope-workloads trainer train --out "$OUT" "$@" &
child=$!
# An eviction must reach the training: it writes a checkpoint and ends.
trap 'kill -TERM "$child" 2> /dev/null' TERM INT
wait "$child"; code=$?
while kill -0 "$child" 2> /dev/null; do wait "$child"; code=$?; done
[ "$code" = 0 ] || exit "$code"
exec storescope-workloads trainer evaluate "$OUT"
