"""Compose page of webmail: compositions and their staged files, drafts, replies and forwards, submission."""
