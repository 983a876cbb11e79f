"""Integration with the user's shell: completion, man page, defaults, host names in typed commands."""
