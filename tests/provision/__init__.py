"""The machine that lab7 is installed on: the Vagrantfile, and the one script that installs."""
