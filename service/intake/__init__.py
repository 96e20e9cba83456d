"""What comes in: forms, bodies and recordings, bounded while they are read and looked at before all else."""
