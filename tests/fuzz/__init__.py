"""Damaged inputs through every reader and every command: refused in a line, or the right answer; never anything else.

``python -m fuzz`` from tests/ runs all cases and prints the table; ``test_fuzz.py`` runs a drawn part of them.
"""
