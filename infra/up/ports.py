"""The ports of this machine that all of it needs: free at the start, or somebody is named."""

import os
import socket
from collections.abc import Mapping

from perennial.errors import PlaceUnusable


def refuse_taken(ports: Mapping[int, str]) -> None:
    """Raises PlaceUnusable where another program has one of them on loopback: what answers there
    would be believed to be ours, and our work be given to it."""
    for port, whose in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
            # What ended a minute ago still holds its port for the kernel; what listens is refused.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError as error:
                raise PlaceUnusable(
                    f"port {port}, which {whose} needs, cannot be had "
                    f"({os.strerror(error.errno or 0)}); end the program that listens there: "
                    f"`ss -ltnp` names it"
                ) from error
