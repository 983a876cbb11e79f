"""Page handlers of webmail: message list, message, compose form, attachments, folders."""
