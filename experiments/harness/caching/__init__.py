"""What `lab7 matrix cache` asks of a cache: scenarios of requests and an origin's scripted answers, from the RFCs."""
