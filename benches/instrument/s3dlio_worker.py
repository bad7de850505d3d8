# SPDX-License-Identifier: Apache-2.0
"""s3dlio's part of peers.py, in a process of its own: LOG OPERATION SIZE COUNT CONCURRENCY KEYS.

`get_many` and `put_many` are what its documentation has for many objects. One call takes the whole list, so that it keeps
as many under way as it was told to.
"""

import os
import random
import sys

import s3dlio

log, operation, size, count, concurrency, keys = sys.argv[1:]
choice = random.Random(1)
names = [f"s3://demo/{key}" for key in keys.split(",")]
uris = [choice.choice(names) for _ in range(int(count))]
os.environ["S3DLIO_OPLOG_LOSSLESS"] = "1"
s3dlio.init_op_log(log)
if operation == "get":
    for _, body in s3dlio.get_many(uris, max_in_flight=int(concurrency)):
        assert len(body) == int(size), f"{len(body)} bytes, not {size}"
else:
    body = os.urandom(int(size))
    s3dlio.put_many([(uri, body) for uri in uris], max_in_flight=int(concurrency))
s3dlio.finalize_op_log()
stats = s3dlio.op_log_stats()
assert stats["dropped_full"] == 0 and stats["writer_error"] is None, stats
