"""What the engine and a stub say to each other: pure values in, bytes out, and back. Both ends import it."""
