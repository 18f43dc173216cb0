"""``mmsprep`` and ``python -m mmsprep``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; Ctrl-C ends it quietly while it is still being loaded, too."""
    try:
        from mmsprep.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
