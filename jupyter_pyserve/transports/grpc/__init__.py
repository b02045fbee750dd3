"""gRPC: HTTP/2 connections, and one short function for each method of the inference service."""
