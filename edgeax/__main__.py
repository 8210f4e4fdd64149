"""`python -m edgeax` is the command line."""

import sys

from edgeax.cli import main

if __name__ == "__main__":
    sys.exit(main())
