"""The command line's options by what they are about, and the settings that they become."""
