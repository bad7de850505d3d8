#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Spark runs this in an executor's pod before it is stopped: its blocks move to others. The JVM is the first process.
kill -s PWR 1
for _ in $(seq 60); do sleep 1; done
