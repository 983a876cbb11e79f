"""Gradescope: zip file of an autograder, and the program in it that grades one submission."""
