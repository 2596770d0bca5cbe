"""The gRPC door: servicers, messages to domain values and back, refusals to status, interceptors."""
