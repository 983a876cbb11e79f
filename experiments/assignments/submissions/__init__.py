"""Submissions as learning platforms deliver them: names of files and folders, the students' files, and zip files."""
