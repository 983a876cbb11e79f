"""DNS: names, messages, master files, zones and the servers that answer from them."""
