"""Views of webmail: message list, message page, attachments, folders, and the HTML sanitiser."""
