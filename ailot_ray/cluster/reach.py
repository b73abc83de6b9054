"""Whether a Ray cluster answers at an address: asked before `ray.init`, which tries a wrong one for minutes."""

import socket

import grpc

# no public name opens a channel with the token and the certificates that this cluster may ask for
from ray._private.grpc_utils import init_grpc_channel

from ailot_ray.errors import AilotError

REMEDY = (
    "give the host:port that `ray start --head` printed, or leave --address and RAY_ADDRESS out to start Ray on this machine"
)


class UnreachableError(AilotError):
    """No Ray cluster answers at the address."""


def require_answer(address: str, seconds: float = 5.0) -> None:
    """Raise UnreachableError unless a gRPC server answers at `address` (host:port) within about `seconds`.

    `auto` and `local` are left for Ray to find.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise UnreachableError(f"{address} is no address of a Ray cluster: {REMEDY}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=seconds).close()
    except (OSError, OverflowError) as error:  # refused, timed out, no such host, no such port
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreachableError(f"nothing answers at {address} ({reason}): start Ray there, or {REMEDY}") from error
    try:
        with init_grpc_channel(address) as channel:
            grpc.channel_ready_future(channel).result(timeout=seconds)
    except grpc.FutureTimeoutError as error:
        raise UnreachableError(f"what answers at {address} is not Ray (its dashboard, perhaps): {REMEDY}") from error
