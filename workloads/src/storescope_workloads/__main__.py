# SPDX-License-Identifier: Apache-2.0
import sys

try:
    from .cli import main
except KeyboardInterrupt:
    # Its imports take a second or two.
    print("interrupted", file=sys.stderr)
    sys.exit(130)

main()
