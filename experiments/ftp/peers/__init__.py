"""FTP and SFTP clients that are not lab7's: ftplib and asyncssh."""
