"""Adapters around the domain: gRPC, storage, batch runs and the command line; no capacity rule lives here."""
