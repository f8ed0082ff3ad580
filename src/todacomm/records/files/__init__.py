"""How records reach the disk: the codec, whole files, locks, new directories, and what damaged ones are told."""

__all__ = ["codec", "damaged", "fault_messages", "io", "locks", "result_directories", "unfinished"]
