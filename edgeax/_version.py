"""The one place of the version number; setup.py reads it without importing edgeax."""

__version__ = "0.1.0.dev0"
