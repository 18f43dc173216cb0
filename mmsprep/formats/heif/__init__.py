"""HEIF: which pictures a file holds, and how the main one is put together; loaded where there is one (registered in
:mod:`mmsprep.formats.movies`)."""
