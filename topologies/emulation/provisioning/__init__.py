"""System packages that lab7 uses: their list, and the script that installs them with apt-get."""
