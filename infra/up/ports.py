"""The ports of this machine that all of it needs: free at the start, or somebody is named."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields

from perennial.errors import BadInput, PlaceUnusable

_GRPC = 10_000  # SeaweedFS listens for gRPC at each of its ports plus so many
_MOST = 65_535 - 9340 - _GRPC  # then SeaweedFS has no port


@dataclass(frozen=True)
class Ports:
    """Where each of them listens on loopback."""

    postgres: int = 5433
    master: int = 9333
    volume: int = 9340
    filer: int = 8888
    s3: int = 8333
    prefect: int = 4200
    mlflow: int = 5000
    search: int = 8080
    receiver: int = 8090

    @classmethod
    def shifted(cls, by: int) -> "Ports":
        """The same, each so much higher; raises BadInput where that is no port."""
        if not 0 <= by <= _MOST:
            raise BadInput(f"PERENNIAL_PORTS is {by}; let it be from 0 to {_MOST}")
        return cls(**{each.name: each.default + by for each in fields(cls)})

    def names(self) -> dict[int, str]:
        """Whose each port is, as people call it."""
        weed = (self.master, self.volume, self.filer, self.s3)
        return {
            self.postgres: "PostgreSQL",
            **{each + more: "SeaweedFS" for each in weed for more in (0, _GRPC)},
            self.prefect: "Prefect",
            self.mlflow: "MLflow",
            self.search: "the search service",
            self.receiver: "the webhook receiver",
        }


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
                    f"`ss -ltnp` names it; or move all of ours, such as PERENNIAL_PORTS=11000"
                ) from error
