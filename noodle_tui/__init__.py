"""Fine-tune a face classifier from the terminal: live curves, honest numbers, runs that survive."""

__version__ = "0.1.0"
