# SPDX-License-Identifier: Apache-2.0
"""Reads the events of many files once, in pieces, by processes or by Spark, and writes what a kernel makes of them.

::

    files ──▶ layouts ──▶ batches ──▶ tasks of pieces ──▶ kernel ──▶ rows (parquet) and a sum of counts
              layout       pieces      local · spark       work       rows, tally

Knows no physics: a :class:`.kernel.Kernel` names the columns, and turns events to rows and counts. A job's files are read
in the versions that were planned; batches that are complete are kept and not read again; the accounts are checked."""
