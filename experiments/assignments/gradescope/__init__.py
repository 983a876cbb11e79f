"""Autograder for the learning platform Gradescope: its zip file, and the program in it that grades one submission."""
