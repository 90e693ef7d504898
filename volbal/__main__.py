"""`python -m volbal`."""

import sys

from volbal.cli import main

sys.exit(main(sys.argv[1:]))
