"""Students of a course: the roster, and the times at which they handed in."""
