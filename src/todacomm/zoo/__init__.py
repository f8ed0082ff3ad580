"""The four small models that ship with todacomm, and how they were trained; see MODEL_CARD.md."""
