"""Integration of lab7 with the shell: completion, man page, defaults of options, and hints in usage errors."""
