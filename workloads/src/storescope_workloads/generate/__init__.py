# SPDX-License-Identifier: Apache-2.0
"""Samples like CMS's, of any size, written straight to a store.

::

    dimuon.py     seed, number of a chunk ─ 37 columns of events        filler.py  63 more        (numpy, no I/O)
        │ Columns
    columns.py    events start…stop, from whatever chunks they lie in
        │ one cluster at a time
    files.py      a TTree, an RNTuple or a parquet file, whole or not there
    job.py        which events lie in which file ─ processes of this machine, or spark.py's tasks
    command.py    storescope-workloads generate dimuon       (executors do not import it, and need no click)

An event depends only on the seed and its number, whatever the number of files, processes and clusters."""
