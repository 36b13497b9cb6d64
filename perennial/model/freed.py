"""What the C library does with memory that is given back while an encoder learns."""

import ctypes
import sys

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # mallopt(3)
_LARGEST = 32 << 20  # bytes; glibc takes no larger threshold
_ALL = (1 << 31) - 1


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for the next layer; nothing where there is no glibc.

    As it comes, glibc gives large blocks back to the system and has them anew for every product,
    page by page: the pages of a product took longer than the product.
    """
    if not sys.platform.startswith("linux"):
        return
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_MMAP_THRESHOLD, _LARGEST)
        option(_TRIM_THRESHOLD, _ALL)
