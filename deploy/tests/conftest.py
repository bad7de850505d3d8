# SPDX-License-Identifier: Apache-2.0
"""No test is skipped, and none has an account of its own."""

from __future__ import annotations

import os

pytest_plugins = ["strict"]

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
for name in [name for name in os.environ if name.startswith(("OCI_", "AWS_", "HADOOP_", "SPARK_"))]:
    del os.environ[name]
