"""Compose page of webmail: messages being written and their files, drafts, replies and forwards, submission."""
