"""Melodies: what each instrument plays, from sources behind one interface."""
