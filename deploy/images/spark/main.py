# SPDX-License-Identifier: Apache-2.0
"""storescope-workloads, for spark-submit."""

from storescope_workloads.cli import main

main()
