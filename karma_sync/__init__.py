"""Coding agents' sessions, followed to your other machines and teammates over Syncthing."""

__version__ = "0.1.0"
