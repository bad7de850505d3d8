# SPDX-License-Identifier: Apache-2.0
"""Prepared data for a training, in the emulator: `python shards.py ARGUMENTS`, JSON."""

from __future__ import annotations

import json
import sys

from storescope_workloads.settings import StoreSettings
from trainer_shards import write_shards

if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    write_shards(told["url"], train=(1500,) * 8, test=(600,), settings=StoreSettings(**told["settings"]))
