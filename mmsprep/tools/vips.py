"""libvips, loaded as threads and workers need it.

Comes in: pictures of Pillow's. Goes out: the library, and their pixels in it. Never: a file or a format of its choice.

libvips has threads, which a fork does not take along: it would wait for them for ever. A process that was forked from
one where it has run does without it.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mmsprep.errors import ToolMissing

if TYPE_CHECKING:
    from PIL import Image

_THREADS = "VIPS_CONCURRENCY"
"""Read once, when libvips is loaded."""


@lru_cache(maxsize=1)
def load_vips() -> Any:
    """libvips, with one thread (several pictures are worked on side by side) and without a cache.

    Raises:
        ToolMissing: it does not load.
    """
    unset = _THREADS not in os.environ
    os.environ.setdefault(_THREADS, "1")
    try:
        import pyvips
    except (ImportError, OSError) as error:
        from mmsprep.tools.extras import reinstall

        raise ToolMissing(
            f"libvips, which makes pictures smaller, does not load ({error}); '{reinstall('pyvips-binary')}' brings it"
        ) from error
    finally:
        if unset:
            del os.environ[_THREADS]
    pyvips.cache_set_max(0)
    # It is called after each operation, and an interrupt or the end of a worker that arrives in it would be swallowed.
    pyvips._remove_log_handler()
    return pyvips


def as_vips(image: Image.Image) -> Any:
    """The pixels of a picture of Pillow's, of 8 bits a channel, as libvips takes them.

    Raises:
        ToolMissing: libvips does not load.
    """
    bands = len(image.getbands())
    return load_vips().Image.new_from_memory(image.tobytes(), image.width, image.height, bands, "uchar")


_forked = False


def vips_runs() -> bool:
    """Whether libvips can be used in this process."""
    return not _forked


def _do_without() -> None:
    global _forked  # noqa: PLW0603
    _forked = "pyvips" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_do_without)
