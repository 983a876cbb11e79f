"""Driver processes of the mail experiments: mail clients controlled by requests on the standard input."""
