"""``python -m mmsprep``."""

from mmsprep.cli import main

if __name__ == "__main__":
    main()
