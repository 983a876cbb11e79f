"""Communication partners of a program under test: raw TCP and UDP client, scripted HTTP origin, SMTP receiver."""
