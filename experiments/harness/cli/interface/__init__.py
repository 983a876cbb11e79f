"""Interface of the command line with the user's shell: completion, man page, defaults, and names at the prompt."""
