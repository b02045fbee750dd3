"""What is told about the engine to those who watch it; below the engine, so values come in and texts go out."""
