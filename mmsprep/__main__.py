"""``mmsprep`` and ``python -m mmsprep``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command and end with its exit status; Ctrl-C ends it quietly while it is still being loaded, too."""
    try:
        from mmsprep.cli import main as command_line

        status = command_line()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
