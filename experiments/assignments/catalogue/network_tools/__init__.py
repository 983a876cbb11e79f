"""Assignment network-tools: use of curl, dig, lftp and mail clients, graded from a capture of the work."""
