"""Looking into models: debuggers that attach to their processes, and requests kept to be run again."""
