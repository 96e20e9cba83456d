"""Synthesis: recipe -> instantiated clips -> MIDI -> stems -> mix."""
