"""The Jupyter server's side: starts the engine, authenticates and authorises, and relays requests to its socket."""
