# SPDX-License-Identifier: Apache-2.0
"""The CMS dimuon reduction: ROOT files or parquet in, pairs of muons, a spectrum and the cost of the reads out.

::

    datasets.py   data sets: names, files by globs, cross-sections          places.py  find()
        │ files
    layout.py     each file's clusters, and the bytes that the cuts' columns need of each        (parallel, by an engine)
        │ FileLayout
    pieces.py     batches of files ─ tasks of pieces (file, entry range), by bytes to read      (pure)
        │ list[Piece]
    work.py       one task: read.py reads a piece while the next is on its way ─ physics.py cuts it
        │ Outcome: rows, counts by cut          TaskReport: requests, bytes, seconds waited
    engines       local.py (processes) · spark.py (mapInArrow) · sql.py (Spark SQL over parquet)
        │ BatchReport, and parquet in OUT/pairs
    job.py        batches in turn, what is complete is kept ─ result.py: result.json, histograms.json ─ plot.py

Beneath ``layout.py`` and ``work.py``: ``read.py`` opens a file in the version that was listed and says whose fault an error
is; ``formats.py`` gives a ``TTree``, an RNTuple and parquet one face; ``source.py`` reads bytes of stores and disks.

``physics.py`` does no I/O, and the I/O knows no physics: it asks :meth:`Cuts.columns` what to read."""
