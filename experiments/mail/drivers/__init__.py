"""Driver processes of the mail experiments: clients that send and read mail as requests on stdin tell them."""
