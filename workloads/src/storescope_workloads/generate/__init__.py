# SPDX-License-Identifier: Apache-2.0
"""Samples like CMS's, of any size, written straight to a store.

::

    dimuon.py     seed, number of a chunk ─ 37 columns of events        filler.py     63 more                  (numpy, no I/O)
    trigger.py    seed, class, number of a chunk ─ columns as Delphes   partons.py    collisions
        │                                                               hadronise.py  particles of partons
        │ Columns
    columns.py    events start…stop, from whatever chunks they lie in
    samples.py    which events lie in which file
        │ one cluster at a time
    files.py      a TTree, an RNTuple or a parquet file, whole or not there
    job.py        writes files by processes of this machine             spark.py      by Spark's tasks
    command.py    storescope-workloads generate dimuon|trigger          (executors do not import it, and need no click)

An event depends only on the seed, its class and its number, whatever the number of files, processes and clusters."""
