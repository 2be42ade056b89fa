"""Readers and writers of the files that captures are kept in."""
