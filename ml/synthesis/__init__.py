"""Synthesis: recipe -> instantiated clips -> MIDI -> stems -> effects -> mix."""
