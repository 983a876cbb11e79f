"""Administrative data of a course: the roster of students, the deadline, and the times of submission."""
