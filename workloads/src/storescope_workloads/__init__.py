# SPDX-License-Identifier: Apache-2.0
"""Reference workloads over object storage.

``generate`` makes data like CMS's, ``reduction`` reduces ROOT files to pairs of muons. Both run on one machine or on
Spark, read and write by storescope, and say what the storage cost. Commands: ``storescope-workloads --help``."""

__version__ = "0.1.0"
