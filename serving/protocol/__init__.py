"""Open Inference Protocol v2 over gRPC: the message definitions and the stubs made of them (`make protocol`)."""
