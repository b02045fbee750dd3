"""The v2 protocol over HTTP/1.1: bytes in, one call of the service, bytes out."""
