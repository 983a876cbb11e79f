"""Interpretation of MIME messages for display: text parts, attachments, file names, address fields.

Pure functions over the MIME structure from lab7.services.mail.mime. As in the MIME parser, no input raises an
exception, and the numbers of parts and characters are limited.
"""
