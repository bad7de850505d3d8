# SPDX-License-Identifier: Apache-2.0
"""The trigger classifier: events of three classes, from ROOT files to a trained network.

::

    ROOT files ── ingest ──▶ events/ (parquet) ── prepare ──▶ shards/ ── data ──▶ batches ── train ──▶ model, checkpoints
                  scan/        selected events,                scaled, balanced,    by worker,           │
                  selection    features                        split, shuffled      epoch, seed          └── evaluate ──▶ result.json

It follows the Spark DL Trigger (cerndb/SparkDLTrigger), without what is wrong there (docs/TRAINER.md). Only
:mod:`.models`, :mod:`.loop` and what imports them need TensorFlow."""
