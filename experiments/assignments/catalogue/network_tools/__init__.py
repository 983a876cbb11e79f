"""Assignment network-tools: work with curl, dig, lftp and mail programs, graded from the captured packets."""
