"""Exit 0 when the service on this machine says that it serves: the readiness probe of the image.

The cluster's own gRPC probe knows no TLS, which the service requires wherever another machine can reach it. The
certificate must be good for both ends (server and client authentication), and stand for TONNAGE_TLS_NAME.
"""

import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PATIENCE_S = 4.0


def channel() -> grpc.Channel:
    """Return a channel to the service, in clear only where the service itself is told no certificate."""
    port = os.environ.get("TONNAGE_LISTEN", "127.0.0.1:7433").rpartition(":")[2]
    files = [os.environ.get(f"TONNAGE_TLS_{name}") for name in ("CLIENT_CA", "KEY", "CERTIFICATE")]
    if not all(files):
        return grpc.insecure_channel(f"127.0.0.1:{port}")
    credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() for file in files if file))
    name = os.environ.get("TONNAGE_TLS_NAME", "localhost")
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, [("grpc.ssl_target_name_override", name)])


def serves() -> bool:
    """Ask the service's health service; no answer is a no."""
    with channel() as opened:
        try:
            answer = health_pb2_grpc.HealthStub(opened).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)
        except grpc.RpcError as error:
            sys.stderr.write(f"{error}\n")
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(0 if serves() else 1)
