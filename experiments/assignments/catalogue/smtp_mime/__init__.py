"""Assignment smtp-mime: a message with an attachment from submission to relay, its envelope, header and MIME parts."""
