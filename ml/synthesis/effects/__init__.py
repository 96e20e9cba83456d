"""Effects: what happens to a mix after the instruments have played, with every choice written down."""
