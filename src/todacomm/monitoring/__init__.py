"""Watch a training from inside its loop: `Monitor`, and callbacks of Hugging Face and Lightning."""

__all__ = ["monitor", "trainer_callback"]
