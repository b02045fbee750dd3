"""The response cache: answers kept by what was asked, for models that say so. Nothing here runs for other models."""
